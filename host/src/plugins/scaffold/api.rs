//! Where a native plugin's crate finds `codex-plugin-api`: in the repository that this host was built from, in the one that
//! the project lies in or beside, or where the author says.

use std::path::{Component, Path, PathBuf};

use codex_plugin_api::{API_VERSION, Error, Result};

/// The crate's folder within the repository.
const FOLDER: &str = "plugin-api";

/// The inner part of the dependency in `Cargo.toml` for a project in `folder`.
pub(super) fn dependency(given: Option<&str>, folder: &Path) -> Result<String> {
    if let Some(url) = given.filter(|given| given.contains("://")) {
        return Ok(format!("git = {}", quoted(url)));
    }
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let found = match given {
        Some(path) => {
            let path = Path::new(path);
            [path.to_owned(), path.join(FOLDER)]
                .into_iter()
                .find(|path| is_api(path))
                .ok_or_else(|| {
                    Error::config(format!("{} holds no crate codex-plugin-api", path.display()))
                        .hint("give a clone of codex-ml's repository, its folder plugin-api, or a git URL")
                })?
        }
        None => look(&folder).ok_or_else(|| {
            Error::config("the crate codex-plugin-api, which native plugins are built with, is not found")
                .hint("give a clone of codex-ml's repository or its git URL with --api, or make a plugin for the sandbox with --wasm")
        })?,
    };
    let found = found.canonicalize().unwrap_or(found);
    let path = relative(&folder, &found).unwrap_or(found);
    let text = path.to_string_lossy().replace('\\', "/");
    Ok(format!("path = {}", quoted(&text)))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Around the project, then around this executable.
fn look(folder: &Path) -> Option<PathBuf> {
    let executable = std::env::current_exe().and_then(std::fs::canonicalize).ok();
    let around = folder
        .ancestors()
        .skip(1)
        .flat_map(|folder| [folder.join("codex-ml"), folder.to_owned()]);
    let built = executable.iter().flat_map(|file| file.ancestors().skip(1));
    around
        .chain(built.map(Path::to_owned))
        .map(|folder| folder.join(FOLDER))
        .find(|folder| is_api(folder))
}

/// Whether a folder is the crate, in a version that this host opens.
fn is_api(folder: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(folder.join("Cargo.toml")) else {
        return false;
    };
    let Ok(manifest) = text.parse::<toml::Table>() else {
        return false;
    };
    let package = |key: &str| manifest.get("package")?.get(key)?.as_str();
    let version = package("version").and_then(|version| semver::Version::parse(version).ok());
    let ours = semver::Version::parse(API_VERSION).ok();
    package("name") == Some("codex-plugin-api")
        && version
            .zip(ours)
            .is_none_or(|(theirs, ours)| theirs.major == ours.major && theirs <= ours)
}

/// The way from a folder to another, where both lie near each other, so that the two can be moved together.
fn relative(from: &Path, to: &Path) -> Option<PathBuf> {
    let parent = from.parent()?;
    let from = parent.canonicalize().ok()?.join(from.file_name()?);
    let (from, to): (Vec<Component<'_>>, Vec<_>) =
        (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.len() - common;
    // A long way up is no neighbour, and the root is common to all.
    if up > 3 || common < 2 {
        return None;
    }
    let ups = std::iter::repeat_n(Component::ParentDir, up);
    Some(ups.chain(to[common..].iter().copied()).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_crate_is_found_beside_the_project_and_where_one_says() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("work/codex-ml/plugin-api")).unwrap();
        fs::create_dir_all(at("work/mine")).unwrap();
        let cargo =
            format!("[package]\nname = \"codex-plugin-api\"\nversion = \"{API_VERSION}\"\n");
        fs::write(at("work/codex-ml/plugin-api/Cargo.toml"), cargo).unwrap();
        let expected = "path = \"../../codex-ml/plugin-api\"";
        assert_eq!(dependency(None, &at("work/mine/rate")).unwrap(), expected);
        let clone = at("work/codex-ml");
        for given in [clone.clone(), clone.join("plugin-api")] {
            let found = dependency(Some(given.to_str().unwrap()), &at("work/mine/rate"));
            assert_eq!(found.unwrap(), expected);
        }
        let url = "https://example.org/codex-ml";
        assert_eq!(
            dependency(Some(url), Path::new("rate")).unwrap(),
            format!("git = \"{url}\"")
        );
        let error = dependency(Some(root.path().to_str().unwrap()), Path::new("rate"));
        assert!(error.unwrap_err().message().contains("holds no crate"));
    }

    #[test]
    fn a_newer_crate_is_not_taken() {
        let root = tempfile::tempdir().unwrap();
        let cargo = |version: &str| {
            let text = format!("[package]\nname = \"codex-plugin-api\"\nversion = \"{version}\"\n");
            fs::write(root.path().join("Cargo.toml"), text).unwrap();
            is_api(root.path())
        };
        assert!(cargo(API_VERSION));
        assert!(!cargo("1.999.0"));
        assert!(!cargo("2.0.0"));
    }
}
