//! A hidden folder in which an installation is prepared. Dropped, it takes everything with it, the parents that it had to
//! create included; moved, it becomes the target in one step.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use codex_plugin_api::{Context, Error, Result};

/// A folder that is not there yet, as far as the search is concerned.
#[derive(Debug)]
pub(super) struct Staged {
    path: PathBuf,
    /// The folders above that did not exist, the lowest first.
    created: Vec<PathBuf>,
}

impl Staged {
    /// An empty folder in `root`, which is created where it is missing.
    pub(super) fn new(root: &Path) -> Result<Self> {
        let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let created = root
            .ancestors()
            .take_while(missing)
            .map(Path::to_owned)
            .collect();
        let staged = Self {
            path: hidden(root, "staging"),
            created,
        };
        fs::create_dir_all(&staged.path).or_error(|| {
            Error::failed(format!("cannot create a folder in {}", root.display())).hint(
                "CODEX_ML_DATA_DIR chooses another place, --project installs into the project",
            )
        })?;
        Ok(staged)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Copies a file to a place within the folder.
    pub(super) fn copy(&self, from: &Path, name: &Path) -> Result<()> {
        let mut source = File::open(from)
            .or_error(|| Error::failed(format!("cannot read {}", from.display())))?;
        self.create(name, |file| io::copy(&mut source, file).map(drop))
    }

    /// Writes a file at a place within the folder.
    pub(super) fn write(&self, name: &Path, content: &[u8]) -> Result<()> {
        self.create(name, |file| file.write_all(content))
    }

    fn create(&self, name: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
        let path = self.path.join(name);
        let created = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            let mut file = File::create_new(&path)?;
            fill(&mut file)?;
            file.sync_all()
        };
        created().or_error(|| {
            let root = self.path.parent().unwrap_or(&self.path);
            Error::failed(format!(
                "cannot write {} into {}",
                name.display(),
                root.display()
            ))
            .hint("free some space there, or choose another place with CODEX_ML_DATA_DIR")
        })
    }

    /// Becomes `target`, in place of what is there; if that fails, what is there stays.
    pub(super) fn move_to(mut self, target: &Path) -> Result<()> {
        let root = target.parent().unwrap_or(target);
        let old = hidden(root, "old");
        let replaces = target.exists();
        let moved = || {
            if replaces {
                fs::rename(target, &old)?;
            }
            fs::rename(&self.path, target).inspect_err(|_| {
                if replaces {
                    // The first error is the one to tell; the old version stays hidden if even this fails.
                    let _ = fs::rename(&old, target);
                }
            })
        };
        moved().or_error(|| {
            Error::failed(format!("cannot move the plugin to {}", target.display()))
        })?;
        self.created.clear();
        sync(root);
        if replaces {
            // Hidden from the search already; what cannot be deleted now (a loaded library on Windows) may stay.
            let _ = fs::remove_dir_all(&old);
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        // Only empty folders go, so this takes away nothing that somebody else put there meanwhile.
        for folder in &self.created {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Removes a folder as the search sees it in one step, then its content.
pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    let root = folder.parent().unwrap_or(folder);
    let gone = hidden(root, "removed");
    fs::rename(folder, &gone)?;
    sync(root);
    // What is left is hidden from the search.
    let _ = fs::remove_dir_all(&gone);
    Ok(())
}

/// A name that the search passes over and nobody else uses.
fn hidden(root: &Path, what: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    root.join(format!(".{what}-{}-{count}", std::process::id()))
}

/// Asks the system to keep the rename; not every system can.
fn sync(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
