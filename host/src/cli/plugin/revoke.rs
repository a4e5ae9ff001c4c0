//! `codex-ml plugin revoke`.

use codex_plugin_api::Result;
use serde_json::json;

use super::grant::{Picked, must_be_sandboxed, read, show};
use super::info::find;
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::grants::Grants;

/// Arguments of `plugin revoke`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Take back what a sandboxed plugin was granted.\n\nWithout an option the decision is forgotten, and the \
                  plugin is not run until you decide again; limits that you set stay. With options only that is taken \
                  back, and the plugin goes on without.",
    after_help = "Examples:\n  codex-ml plugin revoke word-list\n  codex-ml plugin revoke word-list --folder data \
                  --clock\n  codex-ml plugin revoke word-list --all"
)]
pub(super) struct Args {
    /// The plugin's id; it need not be installed any more.
    id: String,
    /// Everything: the plugin is run with nothing.
    #[arg(long)]
    all: bool,
    /// A folder by the plugin's name for it.
    #[arg(long, value_name = "NAME")]
    folder: Vec<String>,
    #[command(flatten)]
    picked: Picked,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let registry = app.registry()?;
    let id = &args.id;
    let plugin = match find(&registry, id) {
        Ok(plugin) => Some(plugin),
        // What was granted to a plugin outlives it, so it can be taken back without it.
        Err(_) if read(app)?.knows(id) => None,
        Err(error) => return Err(error),
    };
    plugin.map_or(Ok(()), must_be_sandboxed)?;
    let choice = args.picked.choice(args.all, &args.folder);
    if !choice.is_empty() {
        let data = app.folders.data()?;
        Grants::take_back(data, id, |granted| choice.revoke(id, granted))?;
        if let Some(plugin) = plugin {
            return show(plugin, app);
        }
        return said(
            app,
            id,
            true,
            &format!("{id} is granted less; it is not among the plugins in use"),
        );
    }
    let forgot = Grants::forget(app.folders.data()?, id, plugin.is_none())?;
    let line = match (forgot, plugin) {
        (false, _) => format!("nothing was decided about {id}"),
        (true, None) => {
            format!("forgot what was decided about {id}, which is not among the plugins in use")
        }
        (true, Some(_)) => {
            format!("forgot what was decided about {id}: it is not run until you decide again")
        }
    };
    said(app, id, forgot, &line)
}

fn said(app: &App, id: &str, changed: bool, line: &str) -> Result<Exit> {
    if app.output.is_json() {
        app.output.value(&json!({"id": id, "changed": changed}))?;
    } else {
        app.output.line(line)?;
    }
    Ok(Exit::Done)
}
