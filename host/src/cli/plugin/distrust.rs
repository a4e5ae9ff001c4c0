//! `codex-ml plugin distrust`.

use codex_packages::trust::Change;
use codex_plugin_api::Result;
use serde_json::json;

use super::trust::{pinned, show};
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::trust::open;

/// Arguments of `plugin distrust`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Take trust in a plugin back.\n\nWithout an option it is neither installed nor run any more, whatever a \
                  lock says; codex-ml plugin trust takes that back. With --native only its native code may not run any \
                  more. With --forget all that is known of the name is forgotten, its registry and its key included: the \
                  next use is its first.",
    after_help = "Examples:\n  codex-ml plugin distrust word-list\n  codex-ml plugin distrust word-list --native\n  codex-ml \
                  plugin distrust word-list --forget"
)]
pub(super) struct Args {
    /// The plugin's name; it need not be installed.
    name: String,
    /// Only its native code.
    #[arg(long, conflicts_with = "forget")]
    native: bool,
    /// Forget its key, its registry and what was accepted of it.
    #[arg(long)]
    forget: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let mut trust = open(app.folders.data()?)?;
    let name = &args.name;
    if args.forget {
        pinned(&trust, name)?;
        trust.change(name, Change::Forget)?;
        if app.output.is_json() {
            app.output
                .value(&json!({"name": name, "state": "forgotten"}))?;
        } else {
            app.output.line(format!(
                "forgot {name}: the next key and registry that offer it are pinned anew"
            ))?;
        }
        return Ok(Exit::Done);
    }
    if args.native {
        pinned(&trust, name)?;
        trust.change(name, Change::Native(false))?;
    } else {
        trust.change(name, Change::Distrust)?;
    }
    show(name, &trust, app)
}
