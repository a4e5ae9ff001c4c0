//! `codex-ml plugin pack`.

use std::path::PathBuf;

use codex_plugin_api::Result;
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::package::{Request, package};

/// Arguments of `plugin pack`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Put a built plugin into one archive, the same bytes for the same input.\n\nThe archive holds plugin.toml, \
                  the built file (one for each target, or one WebAssembly component for all), the schemas of its \
                  configuration, and README*, LICENSE*, NOTICE*, COPYING* and CHANGELOG* from the same folder. The \
                  plugin is loaded once to ask for its schemas.",
    after_help = "Examples:\n  codex-ml plugin pack\n  codex-ml plugin pack target/release/libshout.so\n  codex-ml plugin \
                  pack . --artifact x86_64-unknown-linux-gnu=linux/libshout.so --artifact aarch64-apple-darwin=mac/libshout.dylib"
)]
pub(super) struct Args {
    /// A built plugin, or a folder with plugin.toml and one.
    #[arg(value_name = "DIR|FILE", default_value = ".", value_hint = clap::ValueHint::AnyPath)]
    source: PathBuf,
    /// A built file that lies elsewhere, with its target; repeatable for several targets.
    #[arg(long, value_name = "[TARGET=]FILE", value_parser = artifact)]
    artifact: Vec<(Option<String>, PathBuf)>,
    /// The file to write [default: <id>-<version>.tar.zst].
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Leave the schemas out, so that nothing is loaded.
    #[arg(long)]
    no_schemas: bool,
}

/// A file, with the target that it is said to be for.
#[allow(
    clippy::unnecessary_wraps,
    reason = "what a value parser must look like"
)]
fn artifact(text: &str) -> Result<(Option<String>, PathBuf), String> {
    Ok(match text.split_once('=') {
        Some((target, file)) => (Some(target.to_owned()), file.into()),
        None => (None, text.into()),
    })
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let request = Request {
        source: &args.source,
        artifacts: &args.artifact,
        output: args.output.as_deref(),
        no_schemas: args.no_schemas,
    };
    let (packed, path) = package(&request, app)?;
    let contents = &packed.contents;
    let plugin = &contents.manifest.plugin;
    let artifacts = contents.artifacts();
    if app.output.is_json() {
        app.output.value(&json!({
            "id": plugin.id, "version": plugin.version, "file": path, "bytes": contents.archive.size,
            "sha256": contents.archive.sha256, "targets": artifacts.keys().collect::<Vec<_>>(), "files": contents.files,
        }))?;
        return Ok(Exit::Done);
    }
    let targets: Vec<&str> = artifacts.keys().map(String::as_str).collect();
    let path = path.display();
    app.output.line(plain(&format!(
        "packed {} {} ({}) in {path}\n  {} files, {} bytes, SHA-256 {}\n  codex-ml plugin sign {path}, or codex-ml plugin publish {path} --to …",
        plugin.id,
        plugin.version,
        targets.join(", "),
        contents.files.len(),
        contents.archive.size,
        contents.archive.sha256,
    )))?;
    Ok(Exit::Done)
}
