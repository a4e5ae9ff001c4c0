//! Where plugins are looked for, in which order, and which files there are candidates. Nothing is opened here.

use std::collections::{HashMap, HashSet};
use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use codex_packages::lock::{Lock, Locked};
use codex_packages::scope::{Scope, ScopeKind};
use codex_packages::store::Store;
use codex_plugin_api::{Error, Result};
use serde::{Deserialize, Serialize};

use super::refusal::{Refusal, Step};
use crate::folders::Folders;

/// The manifest's file name.
pub const MANIFEST: &str = "plugin.toml";

/// Who put a folder on the search path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `--plugin-dir`.
    Option,
    /// `$CODEX_ML_PLUGIN_PATH`.
    Environment,
    /// `.codex-ml/plugins` of the project.
    Project,
    /// The store, by the lock of the project.
    ProjectLock,
    /// The user's data folder.
    User,
    /// The store, by the user's lock.
    UserLock,
    /// Beside the executable; only files that are named like the project's own plugins.
    Executable,
    /// `../lib/codex-ml/plugins` from the executable.
    System,
}

impl Origin {
    /// The scope whose lock named the plugin, where one did.
    pub fn scope(self) -> Option<&'static str> {
        match self {
            Self::ProjectLock => Some("project"),
            Self::UserLock => Some("user"),
            _ => None,
        }
    }

    /// Whether what lies there is part of the program.
    pub fn is_built_in(self) -> bool {
        matches!(self, Self::Executable | Self::System)
    }
}

/// A folder of the search path, or a lock that names folders of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The folder or the lock; it need not exist.
    pub path: PathBuf,
    /// Who put it there.
    pub origin: Origin,
}

/// What may be a plugin: a library or component, or a folder with a manifest and one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The library, the component or the folder.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Where it was found.
    pub origin: Origin,
}

/// What a search comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The candidates of all places in order, each once.
    pub candidates: Vec<Candidate>,
    /// The places that exist and cannot be read, and what a lock names and the store lacks.
    pub refused: Vec<Refusal>,
    /// What locks say of the folders of the store, the first lock that names one.
    pub locked: HashMap<PathBuf, (Origin, Locked)>,
}

/// The folder in which a data or project folder keeps plugins.
pub fn plugins_of(folder: &Path) -> PathBuf {
    folder.join("plugins")
}

/// The search path, first place first.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] when a folder of `--plugin-dir` is not there.
pub fn places(plugin_dirs: &[PathBuf], folders: &Folders) -> Result<Vec<Place>> {
    if let Some(missing) = plugin_dirs.iter().find(|dir| !dir.is_dir()) {
        return Err(Error::config(format!(
            "--plugin-dir {} is not a folder",
            missing.display()
        ))
        .hint("give a folder that holds plugins: libraries, or folders with plugin.toml"));
    }
    let place = |path: PathBuf, origin| Place { path, origin };
    let mut places: Vec<Place> = plugin_dirs
        .iter()
        .map(|dir| place(dir.clone(), Origin::Option))
        .collect();
    if let Some(list) = env::var_os("CODEX_ML_PLUGIN_PATH") {
        let given = env::split_paths(&list).filter(|path| !path.as_os_str().is_empty());
        places.extend(given.map(|path| place(path, Origin::Environment)));
    }
    if let Some(project) = &folders.project {
        places.push(place(plugins_of(project), Origin::Project));
    }
    let mut locks = locks(folders);
    let user_lock = locks.pop_if(|(origin, ..)| *origin == Origin::UserLock);
    places.extend(
        locks
            .into_iter()
            .map(|(origin, lock, _)| place(lock, origin)),
    );
    if let Some(data) = &folders.data {
        places.push(place(plugins_of(data), Origin::User));
    }
    places.extend(user_lock.map(|(origin, lock, _)| place(lock, origin)));
    // A link to the executable leads to where the plugins really are.
    let executable = env::current_exe().and_then(fs::canonicalize).ok();
    if let Some(folder) = executable.as_deref().and_then(Path::parent) {
        places.push(place(folder.to_owned(), Origin::Executable));
        if let Some(prefix) = folder.parent() {
            places.push(place(prefix.join("lib/codex-ml/plugins"), Origin::System));
        }
    }
    Ok(places)
}

/// The locks that count here, the project's before the user's, each with the store that it means.
pub(crate) fn locks(folders: &Folders) -> Vec<(Origin, PathBuf, Store)> {
    let Some(data) = &folders.data else {
        return Vec::new();
    };
    let project = env::current_dir()
        .ok()
        .and_then(|current| Scope::project(&current, Some(data)));
    let lock = |scope: Scope| {
        let origin = match scope.kind {
            ScopeKind::Project => Origin::ProjectLock,
            ScopeKind::User => Origin::UserLock,
        };
        (origin, scope.lock_file(), Store::new(data))
    };
    project
        .into_iter()
        .chain([Scope::user(data)])
        .map(lock)
        .collect()
}

/// The store's folders that a lock names. What it names and the store lacks is told, not passed over.
fn locked(place: &Place, store: &Store, found: &mut Found) {
    let lock = match Lock::open(&place.path) {
        Ok(lock) => lock,
        Err(error) => {
            found.refused.push(Refusal::from_error(
                &place.path,
                Step::Read,
                &error,
                "codex-ml plugin sync",
            ));
            return;
        }
    };
    for locked in lock.plugins.into_values() {
        let path = store.folder(&locked.name, &locked.version, &locked.archive.sha256);
        let title = locked.title();
        let record = found.locked.entry(path.clone());
        record.or_insert((place.origin, locked));
        // One look a plugin: the gates look at its files anyway.
        if path.join(MANIFEST).is_file() {
            found.candidates.push(Candidate {
                path,
                is_folder: true,
                origin: place.origin,
            });
            continue;
        }
        let scope = place.origin.scope().unwrap_or_default();
        let reason = format!(
            "{title} is in the {scope}'s lock ({}) and is not installed",
            place.path.display()
        );
        let hint = match place.origin {
            Origin::UserLock => "codex-ml plugin sync --user",
            _ => "codex-ml plugin sync",
        };
        found
            .refused
            .push(Refusal::new(&path, Step::Read, reason, hint));
    }
}

/// Looks through all places.
pub fn candidates(places: &[Place], store: Option<&Store>) -> Found {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    for place in places {
        if place.origin.scope().is_some() {
            if let Some(store) = store {
                locked(place, store, &mut found);
            }
            continue;
        }
        let real = match fs::canonicalize(&place.path) {
            Ok(real) => real,
            Err(error) if absent(&error) => continue,
            Err(error) => {
                found.refused.push(unreadable(&place.path, &error));
                continue;
            }
        };
        // The executable's folder takes only some files, so it does not stand for the same folder named in full.
        if !seen.insert((real.clone(), place.origin == Origin::Executable)) {
            continue;
        }
        match list(place) {
            Ok(mut entries) => found.candidates.append(&mut entries),
            Err(error) if absent(&error) => {}
            Err(error) => found.refused.push(unreadable(&place.path, &error)),
        }
    }
    let mut seen = HashSet::new();
    found
        .candidates
        .retain(|candidate| seen.insert(candidate.path.clone()));
    found
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    let reason = format!("the folder cannot be read: {error}");
    Refusal::new(
        path,
        Step::Read,
        reason,
        "give yourself the right to read it, or take it off the search path",
    )
}

fn list(place: &Place) -> io::Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(&place.path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Hidden entries are what an installation was working on when it was cut off.
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let library = if place.origin == Origin::Executable {
            name.starts_with(&format!("{DLL_PREFIX}codex_plugin_")) && name.ends_with(DLL_SUFFIX)
        } else {
            name.ends_with(DLL_SUFFIX) || super::gates::is_component(&path)
        };
        let is_folder =
            !library && place.origin != Origin::Executable && path.join(MANIFEST).is_file();
        if is_folder || library && !path.is_dir() {
            found.push(Candidate {
                path,
                is_folder,
                origin: place.origin,
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    fn place(path: &Path, origin: Origin) -> Place {
        Place {
            path: path.to_owned(),
            origin,
        }
    }

    #[test]
    fn libraries_and_folders_with_a_manifest_are_candidates() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        touch(&at(&format!("b{DLL_SUFFIX}")));
        touch(&at("notes.txt"));
        touch(&at("shout/plugin.toml"));
        touch(&at("empty/readme.md"));
        touch(&at(".staging-1/plugin.toml"));
        let places = [
            place(root.path(), Origin::User),
            place(root.path(), Origin::System),
        ];
        let Found {
            candidates: found,
            refused,
            ..
        } = candidates(&places, None);
        let paths: Vec<_> = found
            .iter()
            .map(|candidate| candidate.path.clone())
            .collect();
        assert_eq!(paths, [at(&format!("b{DLL_SUFFIX}")), at("shout")]);
        assert!(refused.is_empty());
    }

    #[test]
    fn beside_the_executable_only_our_names_count() {
        let root = tempfile::tempdir().unwrap();
        let ours = root
            .path()
            .join(format!("{DLL_PREFIX}codex_plugin_metric_lm{DLL_SUFFIX}"));
        touch(&ours);
        touch(&root.path().join(format!("{DLL_PREFIX}other{DLL_SUFFIX}")));
        touch(&root.path().join("shout/plugin.toml"));
        let found = candidates(&[place(root.path(), Origin::Executable)], None);
        assert_eq!(
            found.candidates,
            [Candidate {
                path: ours,
                is_folder: false,
                origin: Origin::Executable
            }]
        );
    }

    #[test]
    fn absent_places_are_passed_over_and_named_ones_are_not() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("none");
        assert_eq!(
            candidates(&[place(&missing, Origin::User)], None),
            Found::default()
        );
        let error = places(&[missing], &Folders::default()).unwrap_err();
        assert!(error.message().ends_with("none is not a folder"), "{error}");
    }

    #[test]
    fn a_lock_names_candidates_and_what_is_missing_is_told() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        let digest = "ab".repeat(32);
        let entry = |name: &str| {
            format!(
                "[[plugin]]\nname = \"{name}\"\nversion = \"1.0.0\"\nregistry = \"r\"\nurl = \"u\"\nentry = \"{digest}\"\nkey = \"k\"\napi = \"^1\"\npermissions = \"{digest}\"\n[plugin.archive]\nsize = 1\nsha256 = \"{digest}\"\n[plugin.artifacts]\nwasm = \"{digest}\"\n"
            )
        };
        let lock = root.path().join("codex-plugins.lock");
        fs::write(
            &lock,
            format!("version = 1\n{}{}", entry("shout"), entry("words")),
        )
        .unwrap();
        let folder = root.path().join("store/shout/1.0.0-abababababababab");
        touch(&folder.join(MANIFEST));
        let places = [place(&lock, Origin::UserLock)];
        let found = candidates(&places, Some(&store));
        let (origin, locked) = &found.locked[&folder];
        assert_eq!(
            (*origin, locked.title()),
            (Origin::UserLock, "shout 1.0.0".into())
        );
        assert_eq!(found.locked.len(), 2, "also of what is not installed");
        assert_eq!(
            found.candidates,
            [Candidate {
                path: folder,
                is_folder: true,
                origin: Origin::UserLock
            }]
        );
        let refused = found.refused;
        assert_eq!(refused.len(), 1);
        assert!(
            refused[0]
                .reason
                .starts_with("words 1.0.0 is in the user's lock")
        );
        assert_eq!(refused[0].hint, "codex-ml plugin sync --user");
        fs::write(&lock, "version = 1\n[[plug").unwrap();
        let Found {
            candidates: found,
            refused,
            ..
        } = candidates(&places, Some(&store));
        assert!(
            found.is_empty() && refused[0].reason.contains("line 2"),
            "{refused:?}"
        );
        fs::remove_file(&lock).unwrap();
        assert_eq!(candidates(&places, Some(&store)), Found::default());
    }
}
