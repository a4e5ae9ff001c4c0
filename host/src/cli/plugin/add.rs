//! `codex-ml plugin add`.

use codex_packages::session::Goal;
use codex_plugin_api::Result;

use super::packages::{FetchArgs, reach, wishes};
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::packages::{Room, Which};

/// Arguments of `plugin add`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Add plugins from a registry to the project.\n\nWrites what is asked for into codex-plugins.toml and the exact \
                  versions into codex-plugins.lock, in the nearest folder that has one of them, otherwise here. Commit \
                  both.",
    after_help = "Examples:\n  codex-ml plugin add word-list\n  codex-ml plugin add word-list@1.2 'shout@>=1, <3'"
)]
pub(super) struct Args {
    /// Plugins, each with a version requirement where not every version will do.
    #[arg(required = true, value_name = "NAME[@REQ]")]
    plugins: Vec<String>,
    /// Take them from this registry.
    #[arg(long, value_name = "NAME")]
    registry: Option<String>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let goal = Goal {
        what: format!("add {}", args.plugins.join(" ")),
        edits: wishes(&args.plugins, args.registry.as_deref())?,
        ..Goal::default()
    };
    reach(
        app,
        &Room::open(app, Which::Project)?,
        &args.fetch,
        &goal,
        args.dry_run,
    )
}
