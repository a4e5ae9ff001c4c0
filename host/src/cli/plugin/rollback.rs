//! `codex-ml plugin rollback`.

use std::time::{Duration, SystemTime};

use codex_packages::history::{Entry, State};
use codex_packages::lock::Lock;
use codex_plugin_api::Result;
use serde_json::{Value, json};

use super::packages::{FetchArgs, ScopeArgs, carry_out};
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::packages::Room;

/// Arguments of `plugin rollback`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Go back to what was in use before the last change.\n\nBoth codex-plugins.toml and the lock become what they \
                  were; the versions are in the store still, unless codex-ml plugin clean --history removed them. Again: one \
                  change further back. The way back is a change of its own, so --to leads forth again."
)]
pub(super) struct Args {
    /// Show the states there are, and go nowhere.
    #[arg(long, conflicts_with = "to")]
    list: bool,
    /// Go to this state of the list.
    #[arg(long, value_name = "N")]
    to: Option<u64>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let room = Room::open(app, args.scope.which())?;
    if args.list {
        return list(app, &room);
    }
    carry_out(app, &room, &args.fetch, false, |registries| {
        room.session(registries).plan_back(args.to)
    })
}

fn list(app: &App, room: &Room) -> Result<Exit> {
    let entries = codex_packages::history::History::new(room.scope.history()).entries()?;
    if app.output.is_json() {
        let rows: Vec<Value> = entries
            .iter()
            .map(|entry| {
                json!({"number": entry.number, "time": entry.time, "what": entry.what, "before": entry.parent, "plugins": plugins(&entry.state)})
            })
            .collect();
        app.output.value(&rows)?;
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        app.output
            .note("the history is empty: nothing was changed yet");
        return Ok(Exit::Done);
    }
    app.output.table(
        ["state", "since", "what", "plugins"],
        entries.iter().map(|entry| {
            [
                entry.number.to_string(),
                ago(entry),
                plain(&entry.what),
                plugins(&entry.state).join(", "),
            ]
        }),
    )?;
    Ok(Exit::Done)
}

fn plugins(state: &State) -> Vec<String> {
    let lock = state
        .lock
        .as_deref()
        .map(|text| Lock::parse(text, "history"));
    match lock {
        Some(Ok(lock)) => lock
            .plugins
            .values()
            .map(codex_packages::lock::Locked::title)
            .collect(),
        _ => Vec::new(),
    }
}

fn ago(entry: &Entry) -> String {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.time);
    let seconds = SystemTime::now()
        .duration_since(then)
        .unwrap_or_default()
        .as_secs();
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
