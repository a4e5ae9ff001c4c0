//! `codex-ml plugin remove`.

use codex_packages::project::ProjectFile;
use codex_packages::session::{Edit, Goal};
use codex_plugin_api::Result;
use serde_json::json;

use super::packages::{FetchArgs, reach};
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::grants::Grants;
use crate::plugins::install::remove;
use crate::plugins::packages::{Room, Which};
use crate::plugins::search::plugins_of;
use crate::plugins::trust::{forget_local, locks};

/// Arguments of `plugin remove`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Remove a plugin.\n\nOne from a registry is asked for no longer: it leaves codex-plugins.toml and the lock, \
                  with what only it needed, and stays in the store until codex-ml plugin clean. One that was installed from a \
                  path is deleted."
)]
pub(super) struct Args {
    /// The plugin's id.
    id: String,
    /// Remove it only from the project.
    #[arg(long)]
    project: bool,
    /// Remove it only from the user's plugins.
    #[arg(long, conflicts_with = "project")]
    user: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let exit = remove_it(args, app)?;
    forget_grants(&args.id, app)?;
    Ok(exit)
}

/// Whoever comes next under this id begins with nothing, unless another lock still has the plugin.
fn forget_grants(id: &str, app: &App) -> Result<()> {
    let Some(data) = app.folders.data.as_deref() else {
        return Ok(());
    };
    let mut locks = locks(&app.folders)?.into_iter();
    if locks.any(|(_, lock)| lock.plugins.contains_key(id)) || !Grants::open(Some(data)).knows(id) {
        return Ok(());
    }
    Grants::forget(data, id, true).map(drop)
}

fn remove_it(args: &Args, app: &App) -> Result<Exit> {
    if let Some(room) = room(args, app)? {
        let goal = Goal {
            what: format!("remove {}", args.id),
            edits: vec![Edit::Unwant(args.id.clone())],
            ..Goal::default()
        };
        // What stays is in use already: nothing has to be asked for or fetched.
        let fetch = FetchArgs {
            offline: true,
            ..FetchArgs::default()
        };
        return reach(app, &room, &fetch, &goal, false);
    }
    remove_files(args, app)
}

/// The scope that asks for the plugin or has it for another's sake, where it is from a registry.
fn room(args: &Args, app: &App) -> Result<Option<Room>> {
    let scopes: &[Which] = match (args.project, args.user) {
        (true, _) => &[Which::Project],
        (_, true) => &[Which::User],
        _ => &[Which::Nearest, Which::User],
    };
    for which in scopes {
        let room = Room::open(app, *which)?;
        let wanted = ProjectFile::open(&room.scope.project_file())?.wanted()?;
        if wanted.iter().any(|wanted| wanted.name == args.id)
            || room.lock()?.plugins.contains_key(&args.id)
        {
            return Ok(Some(room));
        }
    }
    Ok(None)
}

fn remove_files(args: &Args, app: &App) -> Result<Exit> {
    let user = app.folders.data.as_deref().filter(|_| !args.project);
    let project = app.folders.project.as_deref().filter(|_| !args.user);
    let roots: Vec<_> = project.into_iter().chain(user).map(plugins_of).collect();
    let removed = remove(&args.id, &roots, app.registry()?.catalog())?;
    if let Some(data) = app.folders.data.as_deref() {
        forget_local(data, &removed)?;
    }
    if app.output.is_json() {
        app.output
            .value(&json!({"id": args.id, "removed": removed}))?;
    } else {
        app.output
            .line(format!("removed {} from {}", args.id, removed.display()))?;
    }
    Ok(Exit::Done)
}
