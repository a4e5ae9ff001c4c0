//! `codex-ml plugin outdated`.

use codex_packages::outdated::outdated;
use codex_packages::session::{Goal, Renew};
use codex_packages::trust::Wishes;
use codex_plugin_api::Result;
use semver::Version;

use super::packages::ScopeArgs;
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::packages::Room;

/// Arguments of `plugin outdated`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Show which plugins could be newer, and which were taken back.\n\nColumn update: what codex-ml plugin update \
                  takes. Column newest: the newest release that runs here, which may need another requirement in \
                  codex-plugins.toml."
)]
pub(super) struct Args {
    /// Connect to nothing: use what was fetched before.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let room = Room::open(app, args.scope.which())?;
    let registries = room.registries(Wishes::default(), args.offline)?;
    let goal = Goal {
        renew: Renew::All,
        ..Goal::default()
    };
    let lock = room.lock()?;
    let found = if lock.plugins.is_empty() {
        Vec::new()
    } else {
        let plan = room.session(&registries).plan(&goal)?;
        outdated(&lock, plan.lock(), &room.host, &registries)?
    };
    if app.output.is_json() {
        app.output.value(&found)?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        app.output
            .note(format!("all {} plugins are the newest", lock.plugins.len()));
        return Ok(Exit::Done);
    }
    let text = |version: Option<Version>| {
        version.map_or_else(|| "-".to_owned(), |version| version.to_string())
    };
    app.output.table(
        ["plugin", "version", "update", "newest", "note"],
        found.into_iter().map(|one| {
            [
                one.name,
                one.version.to_string(),
                text(one.update),
                text(one.newest),
                plain(&one.taken_back.unwrap_or_default()),
            ]
        }),
    )?;
    Ok(Exit::Done)
}
