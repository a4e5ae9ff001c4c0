//! Finds group files (`model/minilm-small.yaml`) and ready-made runs (`grammar.yaml`): beside the run file, in `configs/`
//! of the working directory, and among those built into the binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};

use super::embedded;
use crate::plugins::nearest::nearest;

/// The groups: each is a key of the configuration whose value can be picked by the name of a file.
pub(super) const GROUPS: [&str; 5] = ["data", "model", "tokenizer", "training", "trackers"];

/// A configuration file's text and what to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigText {
    /// How origins and errors call it: a path, or `built-in model/minilm-small.yaml`.
    pub(super) label: String,
    /// The text.
    pub(super) text: String,
}

/// What `config list` shows of a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The group, or `None` for a ready-made run.
    pub group: Option<String>,
    /// What it is picked by.
    pub name: String,
    /// Its first comment.
    pub description: String,
    /// The file, or `None` for one that is built in.
    pub path: Option<PathBuf>,
}

/// Where configuration files are looked for, first match first.
#[derive(Clone, Debug, Default)]
pub(super) struct Library {
    folders: Vec<PathBuf>,
}

impl Library {
    /// The folders that count when `file` is the run file.
    pub(super) fn new(file: Option<&Path>) -> Self {
        let mut folders = Vec::new();
        if let Some(parent) = file.and_then(Path::parent) {
            folders.push(parent.to_path_buf());
            folders.push(parent.join("configs"));
        }
        folders.push(PathBuf::from("configs"));
        Self { folders }
    }

    /// A file of a group.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] with the nearest name when there is none.
    pub(super) fn group(&self, group: &str, name: &str) -> Result<ConfigText> {
        if !is_name(name) {
            return Err(
                Error::config(format!("{name:?} is not a name of a {group} group file"))
                    .hint("a name has letters, digits, `-`, `_` and `.`"),
            );
        }
        match self.read(&format!("{group}/{name}.yaml"))? {
            Some(text) => Ok(text),
            None => Err(self.missing(Some(group), name)),
        }
    }

    /// A ready-made run by its name.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] with the nearest name when there is none.
    pub(super) fn run(&self, name: &str) -> Result<ConfigText> {
        let found = if is_name(name) {
            self.read(&format!("{name}.yaml"))?
        } else {
            None
        };
        found.ok_or_else(|| self.missing(None, name))
    }

    /// Every file that could be picked; what hides another of the same name stands for it.
    pub(super) fn list(&self) -> Vec<Listed> {
        let mut found = BTreeMap::new();
        let groups = || GROUPS.iter().map(|group| Some(*group)).chain([None]);
        for (path, text) in embedded::FILES {
            let (group, name) = split(path);
            found.insert(
                (group.map(str::to_owned), name.to_owned()),
                (first_comment(text), None),
            );
        }
        for folder in self.folders.iter().rev() {
            for group in groups() {
                let inside = group.map_or_else(|| folder.clone(), |group| folder.join(group));
                for (path, name, text) in yaml_files(&inside, group.is_some()) {
                    found.insert(
                        (group.map(str::to_owned), name),
                        (first_comment(&text), Some(path)),
                    );
                }
            }
        }
        found
            .into_iter()
            .map(|((group, name), (description, path))| Listed {
                group,
                name,
                description,
                path,
            })
            .collect()
    }

    fn read(&self, relative: &str) -> Result<Option<ConfigText>> {
        for folder in &self.folders {
            let path = folder.join(relative);
            if path.is_file() {
                return read_file(&path).map(Some);
            }
        }
        let built_in = embedded::FILES.iter().find(|(path, _)| *path == relative);
        Ok(built_in.map(|(path, text)| ConfigText {
            label: format!("built-in {path}"),
            text: (*text).to_owned(),
        }))
    }

    fn missing(&self, group: Option<&str>, name: &str) -> Error {
        let all = self.list();
        let names: Vec<&str> = all
            .iter()
            .filter(|listed| listed.group.as_deref() == group)
            .map(|listed| listed.name.as_str())
            .collect();
        let what = group.map_or_else(|| "run".to_owned(), |group| format!("{group} group"));
        let error = Error::config(format!("there is no {what} file called {name:?}"));
        match nearest(name, names.iter().copied()) {
            Some(near) => error.hint(format!(
                "did you mean {near}? `codex-ml config list` shows all"
            )),
            None => error.hint(format!("there are {}", names.join(", "))),
        }
    }
}

/// Reads a configuration file.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] naming the file.
pub(super) fn read_file(path: &Path) -> Result<ConfigText> {
    let text = std::fs::read_to_string(path).or_error(|| {
        Error::config(format!("cannot read the config {}", path.display()))
            .hint("it must be a readable file of YAML in UTF-8")
    })?;
    Ok(ConfigText {
        label: path.display().to_string(),
        text,
    })
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn split(path: &str) -> (Option<&str>, &str) {
    let stem = path.strip_suffix(".yaml").unwrap_or(path);
    match stem.split_once('/') {
        Some((group, name)) => (Some(group), name),
        None => (None, stem),
    }
}

/// YAML files of a folder; one that cannot be read is not listed. A folder beside a run file may hold anything, so only
/// files of group folders and those that look like runs count.
fn yaml_files(folder: &Path, is_group: bool) -> Vec<(PathBuf, String, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path
                .file_name()?
                .to_str()?
                .strip_suffix(".yaml")?
                .to_owned();
            let text = std::fs::read_to_string(&path).ok()?;
            (is_name(&name) && (is_group || text.contains("defaults:")))
                .then_some((path, name, text))
        })
        .collect();
    files.sort();
    files
}

fn first_comment(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix('#'))
        .map(str::trim)
        .collect();
    lines.join(" ")
}
