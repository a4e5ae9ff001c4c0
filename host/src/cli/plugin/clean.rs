//! `codex-ml plugin clean`.

use codex_packages::clean::clean;
use codex_plugin_api::Result;
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::plugins::packages::{Room, Which};

/// Arguments of `plugin clean`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Remove installed versions that nothing uses.\n\nA version stays while a lock names it, yours or that of a \
                  project that ever installed something, and while a history does, so that codex-ml plugin rollback finds it."
)]
pub(super) struct Args {
    /// Forget your history and this project's too: there is no way back then.
    #[arg(long)]
    history: bool,
    /// Show what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let room = Room::open(app, Which::Nearest)?;
    let _turn = room.turn(app)?;
    let cleaned = clean(
        &room.data,
        &room.store,
        Some(&room.scope),
        args.history,
        args.dry_run,
    )?;
    if app.output.is_json() {
        app.output.value(&json!({
            "removed": cleaned.removed, "bytes": cleaned.bytes, "kept": cleaned.kept, "dry_run": args.dry_run,
        }))?;
        return Ok(Exit::Done);
    }
    for folder in &cleaned.removed {
        app.output.line(folder.display().to_string())?;
    }
    let done = if args.dry_run {
        "would be removed"
    } else {
        "removed"
    };
    app.output.note(format!(
        "{} versions {done} ({:.1} MB), {} kept",
        cleaned.removed.len(),
        cleaned.bytes as f64 / 1e6,
        cleaned.kept
    ));
    Ok(Exit::Done)
}
