//! `codex-ml plugin why`.

use codex_packages::graph::why;
use codex_packages::names::nearest;
use codex_packages::project::ProjectFile;
use codex_packages::scope::PROJECT_FILE;
use codex_plugin_api::{Error, Result};
use serde_json::json;

use super::packages::ScopeArgs;
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::packages::Room;

/// Arguments of `plugin why`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugin's id.
    id: String,
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let room = Room::open(app, args.scope.which())?;
    let (project, lock) = (ProjectFile::open(&room.scope.project_file())?, room.lock()?);
    let Some(locked) = lock.plugins.get(&args.id) else {
        let error = Error::config(format!(
            "{} is not in {}",
            args.id,
            room.scope.lock_file().display()
        ));
        return Err(
            match nearest(&args.id, lock.plugins.keys().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint("codex-ml plugin tree shows what is in use"),
            },
        );
    };
    let ways = why(&lock, &project.wanted()?, &args.id);
    let pin = project.pins()?.remove(&args.id);
    if app.output.is_json() {
        app.output.value(&json!({
            "id": args.id, "version": locked.version, "registry": locked.registry, "url": locked.url, "key": locked.key,
            "pinned": pin, "because": ways,
        }))?;
        return Ok(Exit::Done);
    }
    app.output.line(format!(
        "{}  ({}, signed with key {})",
        locked.title(),
        locked.registry,
        locked.key
    ))?;
    for way in ways {
        let steps: Vec<String> = way
            .iter()
            .map(|step| {
                let asker = step.asker.as_deref().unwrap_or(PROJECT_FILE);
                let verb = if step.asker.is_some() {
                    "needs"
                } else {
                    "asks for"
                };
                format!("{asker} {verb} {} {}", step.name, step.requirement)
            })
            .collect();
        app.output.line(format!("  {}", steps.join(", ")))?;
    }
    if let Some(pin) = pin {
        app.output
            .line(format!("  {PROJECT_FILE} pins it to {pin}"))?;
    }
    Ok(Exit::Done)
}
