//! `codex-ml plugin unpin`.

use codex_packages::session::{Edit, Goal};
use codex_plugin_api::Result;

use super::packages::{FetchArgs, ScopeArgs, reach};
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::packages::Room;

/// Arguments of `plugin unpin`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugins that are held no longer.
    #[arg(required = true, value_name = "NAME")]
    plugins: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let goal = Goal {
        what: format!("unpin {}", args.plugins.join(" ")),
        edits: args.plugins.iter().cloned().map(Edit::Unpin).collect(),
        ..Goal::default()
    };
    reach(
        app,
        &Room::open(app, args.scope.which())?,
        &args.fetch,
        &goal,
        false,
    )
}
