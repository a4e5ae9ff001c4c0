//! `codex-ml registry disconnect`.

use codex_packages::names::nearest;
use codex_packages::project::ProjectFile;
use codex_plugin_api::{Error, Result};
use serde_json::json;

use super::connected;
use crate::app::App;
use crate::exit::Exit;

/// Arguments of `registry disconnect`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Use a registry no longer: it is taken out of the file that names it, the project's before yours. What was \
                  installed from it stays, and so does its pinned key: whoever serves that address later is held to it."
)]
pub(super) struct Args {
    /// Its name.
    name: String,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let all = connected(app)?;
    let Some((scope, connection)) = all.iter().find(|(_, one)| one.name == args.name) else {
        let error = Error::config(format!("no registry {:?} is connected", args.name));
        let known = all.iter().map(|(_, one)| one.name.as_str());
        return Err(match nearest(&args.name, known) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("codex-ml registry list shows which are"),
        });
    };
    let mut file = ProjectFile::open(&scope.project_file())?;
    file.disconnect(&args.name);
    file.save()?;
    if app.output.is_json() {
        app.output.value(&json!({
            "name": args.name, "url": connection.address.url(), "scope": scope.kind, "file": scope.project_file(),
        }))?;
        return Ok(Exit::Done);
    }
    app.output.line(format!(
        "disconnected {} ({}): taken out of {}",
        args.name,
        connection.address.url(),
        scope.project_file().display()
    ))?;
    Ok(Exit::Done)
}
