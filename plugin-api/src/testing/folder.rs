//! A folder that is gone when the check is over.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Context, Error, Result};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A new, empty folder.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new() -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("codex-plugin-check-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)
            .or_error(|| Error::failed(format!("cannot create {}", path.display())))?;
        Ok(Self { path })
    }

    /// Its path as plugins get it.
    pub(super) fn path(&self) -> Result<&str> {
        self.path
            .to_str()
            .ok_or_else(|| Error::failed(format!("{} is not UTF-8", self.path.display())))
    }

    /// How many files are in it.
    pub(super) fn files(&self) -> Result<usize> {
        let entries = std::fs::read_dir(&self.path)
            .or_error(|| Error::failed(format!("cannot read {}", self.path.display())))?;
        Ok(entries.count())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the system's folder for it.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
