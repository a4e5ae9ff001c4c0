//! `codex-ml plugin limit`.

use codex_plugin_api::{Manifest, Result};
use serde_json::json;

use super::grant::{must_be_sandboxed, read};
use super::info::find;
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::grants::Grants;
use crate::plugins::grants::limit::{Limit, Source, in_force, set};

/// Arguments of `plugin limit`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Set how much a sandboxed plugin may use.\n\nWithout a setting: show the limits in force and who set \
                  each. Yours come before the manifest's, those before the defaults. Limits hold for every component of \
                  the plugin by itself:\n  memory          memory, as 256MiB\n  time            time of one call, as \
                  30s\n  transfer        what one call may hand over, as 128MiB\n  table_elements  elements of its tables \
                  of functions\n  instances       modules inside it",
    after_help = "Examples:\n  codex-ml plugin limit word-list\n  codex-ml plugin limit word-list memory=1GiB \
                  time=2m\n  codex-ml plugin limit word-list memory="
)]
pub(super) struct Args {
    /// The plugin's id.
    id: String,
    /// Limits to set; KEY= takes yours away.
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let registry = app.registry()?;
    let plugin = find(&registry, &args.id)?;
    must_be_sandboxed(plugin)?;
    if !args.settings.is_empty() {
        Grants::set_limits(app.folders.data()?, plugin.id(), |limits| {
            args.settings.iter().try_for_each(|text| set(limits, text))
        })?;
    }
    let limits = in_force(plugin, &read(app)?);
    if app.output.is_json() {
        app.output.value(&json!({
            "id": plugin.id(), "version": plugin.manifest.plugin.version, "limits": limits,
        }))?;
        return Ok(Exit::Done);
    }
    let rows = limits.iter().map(|limit| {
        [
            limit.key.to_owned(),
            limit.value.clone(),
            origin(limit, &plugin.manifest),
        ]
    });
    app.output.table(["limit", "value", "set by"], rows)?;
    Ok(Exit::Done)
}

/// Who set a limit, and what the manifest asks for where that is something else.
pub(super) fn origin(limit: &Limit, manifest: &Manifest) -> String {
    let source = limit.source.as_str();
    match &limit.asked {
        None => source.to_owned(),
        Some(asked) if limit.source == Source::User => {
            format!("{source} (the manifest says {asked})")
        }
        Some(asked) => format!(
            "{source} (the manifest asks for {asked}: codex-ml plugin grant {} --limits)",
            manifest.plugin.id
        ),
    }
}
