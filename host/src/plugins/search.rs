//! Where plugins are looked for, in which order, and which files there are candidates. Nothing is opened here.

use std::collections::HashSet;
use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
    /// The user's data folder.
    User,
    /// Beside the executable; only files that are named like the project's own plugins.
    Executable,
    /// `../lib/codex-ml/plugins` from the executable.
    System,
}

/// A folder of the search path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The folder; it need not exist.
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
    if let Some(data) = &folders.data {
        places.push(place(plugins_of(data), Origin::User));
    }
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

/// The candidates of all places in order, each once, and the places that exist and cannot be read.
pub fn candidates(places: &[Place]) -> (Vec<Candidate>, Vec<Refusal>) {
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for place in places {
        let real = match fs::canonicalize(&place.path) {
            Ok(real) => real,
            Err(error) if absent(&error) => continue,
            Err(error) => {
                refused.push(unreadable(&place.path, &error));
                continue;
            }
        };
        // The executable's folder takes only some files, so it does not stand for the same folder named in full.
        if !seen.insert((real.clone(), place.origin == Origin::Executable)) {
            continue;
        }
        match list(place) {
            Ok(mut entries) => found.append(&mut entries),
            Err(error) if absent(&error) => {}
            Err(error) => refused.push(unreadable(&place.path, &error)),
        }
    }
    let mut seen = HashSet::new();
    found.retain(|candidate| seen.insert(candidate.path.clone()));
    (found, refused)
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
        let (found, refused) = candidates(&[
            place(root.path(), Origin::User),
            place(root.path(), Origin::System),
        ]);
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
        let (found, _) = candidates(&[place(root.path(), Origin::Executable)]);
        assert_eq!(
            found,
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
            candidates(&[place(&missing, Origin::User)]),
            (Vec::new(), Vec::new())
        );
        let error = places(&[missing], &Folders::default()).unwrap_err();
        assert!(error.message().ends_with("none is not a folder"), "{error}");
    }
}
