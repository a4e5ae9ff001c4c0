//! `codex-ml plugin remove`.

use codex_plugin_api::Result;
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::plugins::install::remove;
use crate::plugins::search::plugins_of;

/// Arguments of `plugin remove`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugin's id.
    id: String,
    /// Remove it only from the project (.codex-ml/plugins).
    #[arg(long)]
    project: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let user = if args.project {
        None
    } else {
        app.folders.data.as_deref()
    };
    let roots: Vec<_> = app
        .folders
        .project
        .as_deref()
        .into_iter()
        .chain(user)
        .map(plugins_of)
        .collect();
    let removed = remove(&args.id, &roots, app.registry()?.catalog())?;
    if app.output.is_json() {
        app.output
            .value(&json!({"id": args.id, "removed": removed}))?;
    } else {
        app.output
            .line(format!("removed {} from {}", args.id, removed.display()))?;
    }
    Ok(Exit::Done)
}
