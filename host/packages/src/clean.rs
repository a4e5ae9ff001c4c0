//! Removing versions that nothing names any more. Projects that ever locked something are remembered, since the store
//! serves them all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};
use serde::Serialize;

use crate::durable;
use crate::history::History;
use crate::lock::Lock;
use crate::scope::{Scope, ScopeKind};
use crate::store::Store;

const PROJECTS: &str = "projects.json";

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cleaned {
    /// The folders.
    pub removed: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
    /// The versions that stay.
    pub kept: usize,
}

/// Remembers that a project uses the store. The caller has the store's turn.
///
/// # Errors
/// When it cannot be written.
pub fn remember(data: &Path, scope: &Scope) -> Result<()> {
    if scope.kind == ScopeKind::User {
        return Ok(());
    }
    let mut projects = projects(data);
    if projects.insert(scope.folder.clone()) {
        write(data, &projects)?;
    }
    Ok(())
}

/// The projects that ever used the store. A list that cannot be read is begun again: what it named is installed again by
/// `plugin sync`.
fn projects(data: &Path) -> BTreeSet<PathBuf> {
    let bytes = fs::read(data.join(PROJECTS)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn write(data: &Path, projects: &BTreeSet<PathBuf>) -> Result<()> {
    let text = serde_json::to_vec_pretty(projects)
        .or_error(|| Error::failed("cannot write the list of projects"))?;
    durable::write_file(&data.join(PROJECTS), &text)
}

/// Removes the versions that no lock and no history names. With `forget`, the histories of the user and of `project` are
/// forgotten first. With `dry_run` nothing is removed. The caller has the store's turn.
///
/// # Errors
/// When a lock cannot be read: what it names must not be removed.
pub fn clean(
    data: &Path,
    store: &Store,
    project: Option<&Scope>,
    forget: bool,
    dry_run: bool,
) -> Result<Cleaned> {
    let mut scopes = vec![Scope::user(data)];
    let mut known = projects(data);
    let before = known.clone();
    known.retain(|folder| Scope::project_in(folder).lock_file().is_file());
    if known != before && !dry_run {
        write(data, &known)?;
    }
    scopes.extend(known.iter().map(|folder| Scope::project_in(folder)));
    scopes.extend(
        project
            .filter(|scope| !known.contains(&scope.folder))
            .cloned(),
    );
    let mut used = BTreeSet::new();
    for scope in &scopes {
        let lock = Lock::open(&scope.lock_file()).map_err(|error| {
            let message = format!("nothing was removed, because {}", error.message());
            error.with_message(message)
        })?;
        name(&lock, store, &mut used);
        let history = History::new(scope.history());
        let own = scope.kind == ScopeKind::User || Some(scope) == project;
        if forget && own {
            if !dry_run {
                history.forget()?;
            }
            continue;
        }
        for entry in history.entries()? {
            // A state that cannot be read any more is none to go back to.
            if let Some(Ok(lock)) = entry.state.lock.map(|text| Lock::parse(&text, "history")) {
                name(&lock, store, &mut used);
            }
        }
    }
    let mut cleaned = Cleaned::default();
    for (_, folder) in store.versions()? {
        if used.contains(&folder) {
            cleaned.kept += 1;
            continue;
        }
        cleaned.bytes += if dry_run {
            crate::store::size_of(&folder)
        } else {
            store.remove(&folder)?
        };
        cleaned.removed.push(folder);
    }
    Ok(cleaned)
}

fn name(lock: &Lock, store: &Store, used: &mut BTreeSet<PathBuf>) {
    let folders = lock.plugins.values();
    used.extend(
        folders.map(|locked| store.folder(&locked.name, &locked.version, &locked.archive.sha256)),
    );
}
