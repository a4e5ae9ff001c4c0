//! Writes that are whole or not there: everything is made beside its place, flushed to the disk and renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use codex_plugin_api::{Error, Result};

/// What begins the name of a file or folder that is not finished.
pub(super) const UNFINISHED: &str = ".tmp-";

/// What begins the name of a folder that is being replaced.
pub(super) const REPLACED: &str = ".old-";

/// The error for a file operation: what was tried, on what, and what the user can do.
pub(super) fn io_error(action: &str, path: &Path, error: &io::Error) -> Error {
    let failed = Error::failed(format!("cannot {action} {}: {error}", path.display()));
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            failed.hint("free some space, then continue with codex-ml train --resume")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            failed.hint("the folder must be writable; run.dir=FOLDER chooses another one")
        }
        _ => {
            failed.hint("check the path and the free space; run.dir=FOLDER chooses another folder")
        }
    }
}

/// What a component answered that was told to write files. That it could not is the disk's failure, not the plugin's.
pub(super) fn written(answer: Result<()>) -> Result<()> {
    answer.map_err(|error| match error.kind() {
        codex_plugin_api::ErrorKind::Plugin => error.with_kind(codex_plugin_api::ErrorKind::Failed),
        _ => error,
    })
}

/// A folder in the making: gone when dropped, unless it was put in place.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    placed: bool,
}

impl Scratch {
    /// An empty folder in `parent`, which must exist.
    pub(super) fn new(parent: &Path, name: &str) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!(
            "{UNFINISHED}{name}-{}-{number}",
            std::process::id()
        ));
        // A killed process of the same number may have left one.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).map_err(|error| io_error("create", &path, &error))?;
        probe();
        Ok(Self {
            path,
            placed: false,
        })
    }

    /// Where to write.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes the whole folder to the disk and gives it its name; what stood there is removed afterwards.
    pub(super) fn place(mut self, target: &Path) -> Result<()> {
        flush_tree(&self.path)?;
        probe();
        let replaced = beside(target, REPLACED);
        if target.exists() {
            remove_folder(&replaced)?;
            rename(target, &replaced)?;
        }
        rename(&self.path, target)?;
        self.placed = true;
        remove_folder(&replaced)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.placed {
            // What stays behind is recognised by its name and removed by the next run.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes a file as a whole.
pub(super) fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    let unfinished = beside(path, UNFINISHED);
    let written = File::create(&unfinished).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    probe();
    if let Err(error) = written {
        let _ = fs::remove_file(&unfinished);
        return Err(io_error("write", path, &error));
    }
    rename(&unfinished, path)
}

/// Removes a folder so that a half-removed one is never taken for a whole one.
pub(super) fn remove_folder(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let doomed = beside(path, UNFINISHED);
    let removed = fs::remove_dir_all(&doomed)
        .or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
        .and_then(|()| fs::rename(path, &doomed));
    probe();
    removed
        .and_then(|()| fs::remove_dir_all(&doomed))
        .map_err(|error| io_error("remove", path, &error))?;
    probe();
    Ok(())
}

/// Clears away what a killed process left in a folder: unfinished things go, and what was moved aside to be replaced
/// comes back where the new one did not arrive.
pub(super) fn tidy(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|error| io_error("read", folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| io_error("read", folder, &error))?;
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str() else { continue };
        if name.starts_with(UNFINISHED) {
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(|error| io_error("remove", &path, &error))?;
        } else if let Some(original) = name.strip_prefix(REPLACED) {
            let original = folder.join(original);
            if original.exists() {
                remove_folder(&path)?;
            } else {
                rename(&path, &original)?;
            }
        }
    }
    Ok(())
}

/// Flushes every file and folder below `folder` to the disk.
fn flush_tree(folder: &Path) -> Result<()> {
    let failed = |path: &Path, error: &io::Error| io_error("write", path, error);
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let path = entry.map_err(|error| failed(folder, &error))?.path();
        if path.is_dir() {
            flush_tree(&path)?;
        } else {
            let file = OpenOptions::new().write(true).open(&path);
            file.and_then(|file| file.sync_all())
                .map_err(|error| failed(&path, &error))?;
        }
    }
    flush_folder(folder).map_err(|error| failed(folder, &error))
}

/// Makes names in a folder durable. Only Unix has a call for that; elsewhere the file system's journal does it.
fn flush_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)
        .and_then(|()| to.parent().map_or(Ok(()), flush_folder))
        .map_err(|error| io_error("write", to, &error))?;
    probe();
    Ok(())
}

fn beside(path: &Path, prefix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{prefix}{name}"))
}

/// A point at which a kill must do no harm; tests look at the disk here.
pub(super) fn probe() {
    #[cfg(test)]
    tests::reached();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(super) mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static AT_EVERY_POINT: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
    }

    /// Calls `look` at every probe of this thread while `work` runs.
    pub(in crate::train) fn watching<T>(
        look: impl FnMut() + 'static,
        work: impl FnOnce() -> T,
    ) -> T {
        AT_EVERY_POINT.set(Some(Box::new(look)));
        let result = work();
        AT_EVERY_POINT.set(None);
        result
    }

    pub(super) fn reached() {
        if let Some(mut look) = AT_EVERY_POINT.take() {
            look();
            AT_EVERY_POINT.set(Some(look));
        }
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("model");
        let scratch = Scratch::new(root.path(), "model").unwrap();
        fs::write(scratch.path().join("a"), "1").unwrap();
        drop(scratch);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        for content in ["1", "2"] {
            let scratch = Scratch::new(root.path(), "model").unwrap();
            fs::create_dir(scratch.path().join("inner")).unwrap();
            fs::write(scratch.path().join("inner/a"), content).unwrap();
            scratch.place(&target).unwrap();
            assert_eq!(fs::read_to_string(target.join("inner/a")).unwrap(), content);
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn leftovers_are_cleared_and_what_was_replaced_comes_back() {
        let root = tempfile::tempdir().unwrap();
        for name in [".tmp-x-1-0", ".old-a", ".old-b", "b", "c"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join(".tmp-last"), "").unwrap();
        tidy(root.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn errors_name_the_path_and_the_mend() {
        let missing = Path::new("no/such/folder/file");
        assert!(
            write_file(missing, b"")
                .unwrap_err()
                .message()
                .starts_with("cannot write no/such/folder/file: ")
        );
        let full = io::Error::from(ErrorKind::StorageFull);
        assert!(
            io_error("write", missing, &full)
                .hint_text()
                .unwrap()
                .contains("free some space")
        );
    }
}
