//! An open file that can be read at any place from any thread, and that notices when it changes underneath.
//!
//! Positioned reads instead of a memory map: another process that truncates a mapped file would end this one with a
//! signal, and no check could prevent it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use codex_plugin_api::{Error, Result};

/// A file as it was when it was opened.
#[derive(Debug)]
pub struct Handle {
    file: File,
    path: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
}

impl Handle {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// Data: the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || -> io::Result<Self> {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            let modified = metadata.modified().ok();
            Ok(Self {
                file,
                path: path.to_owned(),
                size: metadata.len(),
                modified,
            })
        };
        open().map_err(|cause| unreadable(path, &cause))
    }

    /// The path, for messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// Data: the file changed since it was opened, or cannot be read.
    pub fn read_exact_at(&self, mut offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match read_at(&self.file, &mut buffer[filled..], offset) {
                Ok(0) => return Err(self.changed()),
                Ok(count) => {
                    filled += count;
                    offset += count as u64;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(unreadable(&self.path, &cause)),
            }
        }
        self.check()
    }

    /// The bytes `start .. end`.
    ///
    /// # Errors
    /// As [`Self::read_exact_at`].
    pub fn read_range(&self, start: u64, end: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (end - start) as usize];
        self.read_exact_at(start, &mut bytes)?;
        Ok(bytes)
    }

    /// Checks, after a read, that size and time are still those of the opening: then what was read is of that state too.
    fn check(&self) -> Result<()> {
        let now = self
            .file
            .metadata()
            .map_err(|cause| unreadable(&self.path, &cause))?;
        if now.len() == self.size && now.modified().ok() == self.modified {
            Ok(())
        } else {
            Err(self.changed())
        }
    }

    fn changed(&self) -> Error {
        Error::data(format!("{} changed while it was in use", self.name())).hint(
            "start again, and leave the file alone while a run reads it; a copy is the safest",
        )
    }
}

/// The error for a file that cannot be opened or read.
pub fn unreadable(path: &Path, cause: &io::Error) -> Error {
    let why = match cause.kind() {
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        _ => cause.to_string(),
    };
    let error = Error::data(format!("cannot read {}: {why}", path.display()));
    if cause.kind() == io::ErrorKind::PermissionDenied {
        error.hint("let this user read the file, or copy it to a place where that is so")
    } else {
        error
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
