//! The run folder: its name, its lock, and the places of what is in it.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, Result};
use serde_json::Value;

use super::clock;
use super::durable::{Scratch, UNFINISHED, io_error, tidy};
use super::events::FILE as EVENTS;
use crate::app::App;
use crate::config::RunConfig;

/// Names inside a run folder.
pub(super) const CONFIG: &str = "config.yaml";
pub(super) const ENVIRONMENT: &str = "environment.json";
pub(super) const TOKENIZER: &str = "tokenizer";
pub(super) const CHECKPOINTS: &str = "checkpoints";
pub(super) const MODEL: &str = "model";
const LOCK: &str = ".lock";
/// What drafts are called before they have a name.
const DRAFT: &str = "run";

/// A run folder in the making; it gets its name when it holds everything that a run needs to be taken up again.
#[derive(Debug)]
pub(super) struct Draft {
    dir: PathBuf,
    name: Option<String>,
    label: String,
    scratch: Scratch,
    /// Held as long as this process is at work, so that others know the draft from one that was left behind.
    lock: File,
    /// Dropped last: by then the draft, where it was given up, is gone.
    _made: Made,
}

/// The folders that had to be made; those that are still empty go when this is dropped.
#[derive(Debug)]
struct Made(Vec<PathBuf>);

impl Made {
    fn folder(path: &Path) -> Result<Self> {
        let missing = path
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let made = Self(missing.map(Path::to_path_buf).collect());
        fs::create_dir_all(path).map_err(|error| io_error("create the folder", path, &error))?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // The innermost comes first; one that holds something stays, and so do those around it.
        for path in &self.0 {
            if fs::remove_dir(path).is_err() {
                break;
            }
        }
    }
}

impl Draft {
    /// Makes sure that the run can be written, before any work is done.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when a run of that name exists, `Failed` when nothing can be written.
    pub(super) fn new(config: &RunConfig) -> Result<Self> {
        let dir = config.run.dir.clone();
        if let Some(name) = &config.run.name
            && dir.join(name).exists()
        {
            return Err(exists(&dir, name));
        }
        let made = Made::folder(&dir)?;
        clear_left_behind(&dir);
        let scratch = Scratch::new(&dir, DRAFT)?;
        let lock = lock_file(&scratch.path().join(LOCK))?;
        for inner in [TOKENIZER, CHECKPOINTS] {
            let path = scratch.path().join(inner);
            fs::create_dir(&path).map_err(|error| io_error("create", &path, &error))?;
        }
        Ok(Self {
            dir,
            name: config.run.name.clone(),
            label: label(config),
            scratch,
            lock,
            _made: made,
        })
    }

    /// Where to write what the run begins with.
    pub(super) fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Gives the folder its name and locks it.
    pub(super) fn publish(self) -> Result<RunFolder> {
        let name = match self.name {
            Some(name) if self.dir.join(&name).exists() => return Err(exists(&self.dir, &name)),
            Some(name) => name,
            None => free_name(&self.dir, &format!("{}-{}", clock::stamp(), self.label)),
        };
        let path = self.dir.join(&name);
        // Some systems rename no folder in which a file is open.
        drop(self.lock);
        self.scratch.place(&path)?;
        RunFolder::lock(path)
    }
}

/// A run folder that this process alone writes to.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Opens a run that is to be continued, and clears away what a killed process left.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when it is no run folder or another process trains in it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !path.join(CONFIG).is_file() {
            return Err(Error::config(format!(
                "{} is not a run folder: it has no {CONFIG}",
                path.display()
            ))
            .hint("codex-ml runs list shows the runs"));
        }
        let folder = Self::lock(path.to_path_buf())?;
        tidy(path)?;
        let checkpoints = folder.checkpoints();
        fs::create_dir_all(&checkpoints)
            .map_err(|error| io_error("create", &checkpoints, &error))?;
        tidy(&checkpoints)?;
        Ok(folder)
    }

    fn lock(path: PathBuf) -> Result<Self> {
        let lock = lock_file(&path.join(LOCK))?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The run's name.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub(super) fn events(&self) -> PathBuf {
        self.path.join(EVENTS)
    }

    pub(super) fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    pub(super) fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }
}

/// Creates and locks a file; the lock goes with the process, however it ends.
fn lock_file(path: &Path) -> Result<File> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| io_error("write", path, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::config(format!(
            "another process is training in {}",
            path.parent().unwrap_or(path).display()
        ))
        .hint("wait for it, or end it first")),
        // Some network file systems know no locks; then nobody can hold one.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(lock),
        Err(TryLockError::Error(error)) => Err(io_error("lock", path, &error)),
    }
}

/// Removes drafts of processes that were killed. What cannot be removed is in nobody's way.
fn clear_left_behind(dir: &Path) {
    let prefix = format!("{UNFINISHED}{DRAFT}-");
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let draft = entry.path();
        let is_draft = entry.file_name().to_string_lossy().starts_with(&prefix);
        // A draft without a lock file was begun this very moment.
        if is_draft && draft.join(LOCK).is_file() && lock_file(&draft.join(LOCK)).is_ok() {
            let _ = fs::remove_dir_all(&draft);
        }
    }
}

/// Finds the run that `--resume` means: a path, a name below `dir`, or the unfinished run that was written to last.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] when there is no such run.
pub fn find(dir: &Path, run: Option<&str>, app: &App) -> Result<PathBuf> {
    let hint = "codex-ml runs list shows the runs; run.dir=FOLDER says where they are";
    let Some(run) = run else {
        let mut unfinished: Vec<_> = super::runs::list(dir, app)?
            .into_iter()
            .filter(|run| !run.is_finished())
            .collect();
        unfinished.sort_by_key(|run| run.modified);
        return unfinished.pop().map(|run| run.path).ok_or_else(|| {
            Error::config(format!("there is no unfinished run in {}", dir.display())).hint(hint)
        });
    };
    [dir.join(run), PathBuf::from(run)]
        .into_iter()
        .find(|path| path.join(CONFIG).is_file())
        .ok_or_else(|| {
            Error::config(format!("there is no run {run:?} in {}", dir.display())).hint(hint)
        })
}

fn exists(dir: &Path, name: &str) -> Error {
    Error::config(format!(
        "there is already a run {name:?} in {}",
        dir.display()
    ))
    .hint(format!(
        "continue it with codex-ml train --resume {name}, or choose another run.name"
    ))
}

fn free_name(dir: &Path, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    let mut number = 2;
    while dir.join(&name).exists() {
        name = format!("{wanted}-{number}");
        number += 1;
    }
    name
}

/// What a run's name says of its data: the file's stem, or the dataset's name.
fn label(config: &RunConfig) -> String {
    let path = config.data.plugin.get("path").and_then(Value::as_str);
    let stem = path.and_then(|path| Path::new(path).file_stem()?.to_str());
    let mut label: String = stem
        .unwrap_or(&config.data.name)
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(24)
        .collect();
    label = label.trim_matches('-').to_owned();
    if label.is_empty() {
        label.push_str("run");
    }
    label
}
