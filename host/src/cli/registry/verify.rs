//! `codex-ml registry verify`.

use codex_plugin_api::Result;
use serde_json::json;

use super::looking;
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;

/// Arguments of `registry verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The registry: a folder, a URL, or the name of one that is connected.
    #[arg(value_name = "REGISTRY", default_value = ".", value_hint = clap::ValueHint::DirPath)]
    registry: String,
    /// Its root key, where it is not connected: without it, the key that it names itself is believed.
    #[arg(long, value_name = "KEY")]
    root_key: Option<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let (client, _folder) = looking(&args.registry, args.root_key.as_deref(), app)?;
    let report = codex_packages::registry::verify(&client)?;
    let root = client.snapshot()?.root.id();
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| json!({"what": finding.what, "reason": finding.reason}))
        .collect();
    if app.output.is_json() {
        app.output.value(&json!({
            "url": client.url(), "root_key": root, "snapshot": report.snapshot, "expires": report.expires,
            "plugins": report.plugins, "versions": report.versions, "bytes": report.bytes, "author_keys": report.keys,
            "findings": findings,
        }))?;
    } else {
        for finding in &report.findings {
            app.output
                .line(plain(&format!("{}: {}", finding.what, finding.reason)))?;
        }
        app.output.line(format!(
            "{} plugins, {} versions, {} bytes; root key {root}, {} author keys; snapshot {} until {}; {} findings",
            report.plugins,
            report.versions,
            report.bytes,
            report.keys.len(),
            report.snapshot,
            report.expires,
            report.findings.len()
        ))?;
    }
    Ok(if report.findings.is_empty() {
        Exit::Done
    } else {
        Exit::Data
    })
}
