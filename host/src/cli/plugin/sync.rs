//! `codex-ml plugin sync`.

use codex_packages::session::Goal;
use codex_plugin_api::Result;

use super::packages::{FetchArgs, ScopeArgs, reach};
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::packages::Room;

/// Arguments of `plugin sync`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Install exactly what the lock names.\n\nWhere codex-plugins.toml asks for something that the lock does not \
                  answer, the lock is brought up to date first, or with --locked the command fails with the difference. \
                  Installed files are compared with their digests, and damaged versions installed again."
)]
pub(super) struct Args {
    /// Fail if the lock would change.
    #[arg(long)]
    locked: bool,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let goal = Goal {
        what: "sync".into(),
        locked: args.locked,
        thorough: true,
        ..Goal::default()
    };
    reach(
        app,
        &Room::open(app, args.scope.which())?,
        &args.fetch,
        &goal,
        args.dry_run,
    )
}
