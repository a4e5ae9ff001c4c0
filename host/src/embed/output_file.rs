//! A file that is whole or not there: written beside its place and renamed when all rows are in it.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, Result};

/// An output in the making: gone when dropped, unless it was put in place.
#[derive(Debug)]
pub(super) struct OutputFile {
    file: BufWriter<File>,
    target: PathBuf,
    /// Where it is written; `None` for what is no file (`/dev/stdout`, a named pipe), which nothing can be renamed to.
    unfinished: Option<PathBuf>,
}

impl OutputFile {
    /// Begins an output.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] naming the path.
    pub(super) fn create(path: &Path) -> Result<Self> {
        // What stands behind a link is replaced, not the link.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (opened, unfinished) = match fs::metadata(&target) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Error::config(format!("{} is a folder", path.display()))
                    .hint("give a file: --output embeddings.ndjson"));
            }
            Ok(metadata) if !metadata.is_file() => {
                (File::options().write(true).open(&target), None)
            }
            _ => {
                let name = target.file_name().unwrap_or_default().to_string_lossy();
                let number = std::process::id();
                let unfinished = target.with_file_name(format!(".tmp-{number}-{name}"));
                (File::create(&unfinished), Some(unfinished))
            }
        };
        let file = opened.map_err(|error| write_error(path, &error))?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 18, file),
            target,
            unfinished,
        })
    }

    /// The path as the user knows it.
    pub(super) fn path(&self) -> &Path {
        &self.target
    }

    /// Flushes to the disk and gives the file its name.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] naming the path; then nothing is there.
    pub(super) fn place(mut self) -> Result<()> {
        let placed = self.file.flush().and_then(|()| match &self.unfinished {
            None => Ok(()),
            Some(unfinished) => {
                self.file.get_ref().sync_all()?;
                fs::rename(unfinished, &self.target)
            }
        });
        placed.map_err(|error| write_error(&self.target, &error))?;
        self.unfinished = None;
        Ok(())
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for OutputFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            // Nobody can be told, and its name says what it is.
            let _ = fs::remove_file(unfinished);
        }
    }
}

/// The error of an output that cannot be written.
pub(super) fn write_error(path: &Path, error: &io::Error) -> Error {
    let failed = Error::failed(format!("cannot write {}", path.display())).because(error);
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            failed.hint("free some space, or give --output on another disk")
        }
        ErrorKind::NotFound => failed.hint("the folder must exist"),
        _ => failed.hint("check the path and that it is writable"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert!(names(folder.path()).is_empty());

        fs::write(&path, "before").unwrap();
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        file.place().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(names(folder.path()), ["rows"]);
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::create(folder.path()).unwrap_err();
        assert!(error.message().ends_with("is a folder"), "{error}");
        let error = OutputFile::create(&folder.path().join("no/rows")).unwrap_err();
        assert!(error.message().ends_with("no/rows"), "{error}");
        assert_eq!(error.hint_text(), Some("the folder must exist"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_devices_are_not_replaced() {
        let mut full = OutputFile::create(Path::new("/dev/full")).unwrap();
        full.write_all(b"x").unwrap();
        let error = full.place().unwrap_err();
        assert!(error.hint_text().unwrap().contains("free some space"));
        let mut null = OutputFile::create(Path::new("/dev/null")).unwrap();
        null.write_all(b"x").unwrap();
        null.place().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
