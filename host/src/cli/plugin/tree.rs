//! `codex-ml plugin tree`.

use codex_packages::graph::tree;
use codex_packages::project::ProjectFile;
use codex_plugin_api::Result;
use serde_json::json;

use super::packages::ScopeArgs;
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::packages::Room;

/// Arguments of `plugin tree`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let room = Room::open(app, args.scope.which())?;
    let (project, lock) = (ProjectFile::open(&room.scope.project_file())?, room.lock()?);
    let (nodes, pins) = (tree(&lock, &project.wanted()?), project.pins()?);
    if app.output.is_json() {
        app.output.value(&json!({
            "scope": room.scope.kind, "project": room.scope.project_file(), "pins": pins, "tree": nodes,
        }))?;
        return Ok(Exit::Done);
    }
    if nodes.is_empty() {
        app.output.note(format!(
            "{} asks for no plugin",
            room.scope.project_file().display()
        ));
        return Ok(Exit::Done);
    }
    app.output
        .line(room.scope.project_file().display().to_string())?;
    for node in nodes {
        let version = node.version.map_or_else(
            || "not in the lock: codex-ml plugin sync".to_owned(),
            |version| version.to_string(),
        );
        let pinned = if pins.contains_key(&node.name) {
            ", pinned"
        } else {
            ""
        };
        let above = if node.repeated { "  (see above)" } else { "" };
        app.output.line(format!(
            "{}{} {version}  ({}{pinned}){above}",
            "  ".repeat(node.depth + 1),
            node.name,
            node.requirement
        ))?;
    }
    Ok(Exit::Done)
}
