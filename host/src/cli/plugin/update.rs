//! `codex-ml plugin update`.

use codex_packages::names::nearest;
use codex_packages::session::{Goal, Renew};
use codex_plugin_api::{Error, Result};

use super::packages::{FetchArgs, ScopeArgs, reach};
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::packages::Room;

/// Arguments of `plugin update`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Take newer versions, within what codex-plugins.toml asks for.\n\nWithout names: of every plugin of the lock. \
                  Pinned plugins stay. A version that asks for more permissions than the one before does nothing until you \
                  grant them; codex-ml plugin rollback goes back.",
    after_help = "Examples:\n  codex-ml plugin update --dry-run\n  codex-ml plugin update word-list"
)]
pub(super) struct Args {
    /// The plugins to update; all others stay as they are.
    #[arg(value_name = "NAME")]
    plugins: Vec<String>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let room = Room::open(app, args.scope.which())?;
    let lock = room.lock()?;
    if let Some(unknown) = args
        .plugins
        .iter()
        .find(|name| !lock.plugins.contains_key(*name))
    {
        let error = Error::config(format!(
            "{unknown} is not in {}",
            room.scope.lock_file().display()
        ));
        return Err(
            match nearest(unknown, lock.plugins.keys().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint("codex-ml plugin tree shows what is in use"),
            },
        );
    }
    let goal = Goal {
        what: format!("update {}", args.plugins.join(" "))
            .trim_end()
            .to_owned(),
        renew: if args.plugins.is_empty() {
            Renew::All
        } else {
            Renew::Named(args.plugins.clone())
        },
        ..Goal::default()
    };
    reach(app, &room, &args.fetch, &goal, args.dry_run)
}
