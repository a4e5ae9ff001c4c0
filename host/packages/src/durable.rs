//! Writes that are whole or not there: made beside their place, flushed to the disk, renamed. And the lock that lets one
//! process at a time change what is installed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use codex_plugin_api::{Error, Result};

/// The error for a file operation: what was tried, on what, and what the user can do.
pub(crate) fn io_error(action: &str, path: &Path, error: &io::Error) -> Error {
    let failed = Error::failed(format!("cannot {action} {}", path.display())).because(error);
    failed.hint(match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free some space (codex-ml plugin clean removes versions that nothing uses) and do it again: nothing was changed"
        }
        _ => "mend the folder's rights, or set CODEX_ML_DATA_DIR to a folder that can be written",
    })
}

/// Writes a file as a whole: whoever reads it at any moment finds the old content or the new one.
///
/// # Errors
/// When it cannot be written; the old content stays then.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |error: &io::Error| io_error("write", path, error);
    // A bare name has the empty path as its folder.
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    step("create", path).map_err(|error| failed(&error))?;
    // Dropped, it is removed again.
    let mut staged = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(folder)
        .map_err(|error| failed(&error))?;
    keep_rights(path, staged.as_file());
    step("write", path)
        .and_then(|()| staged.write_all(content))
        .and_then(|()| step("flush", path))
        .and_then(|()| staged.as_file().sync_all())
        .and_then(|()| step("rename", path))
        .map_err(|error| failed(&error))?;
    staged.persist(path).map_err(|error| failed(&error.error))?;
    flush_folder(folder).map_err(|error| failed(&error))
}

/// What begins the name of a file or folder that is not finished; searches pass it over.
pub(crate) const UNFINISHED: &str = ".staging-";

/// A temporary file is its owner's alone; a file that others of a project share has the rights that it had, or the usual.
#[cfg(unix)]
fn keep_rights(path: &Path, file: &File) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_or(0o644, |old| old.permissions().mode() & 0o777);
    // Where rights cannot be set, the file is its owner's alone, which harms nobody.
    let _ = file.set_permissions(fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn keep_rights(_path: &Path, _file: &File) {}

/// Makes the names in a folder durable. Only Unix has a call for that; elsewhere the file system's journal does it.
pub(crate) fn flush_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        step("flush", folder)?;
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Stands before every operation on the disk that can fail, so that tests can let each fail in turn.
#[cfg_attr(
    not(test),
    allow(clippy::unnecessary_wraps, reason = "tests let it fail")
)]
pub(crate) fn step(action: &'static str, path: &Path) -> io::Result<()> {
    #[cfg(test)]
    return faults::reached(action, path);
    #[cfg(not(test))]
    {
        let _ = (action, path);
        Ok(())
    }
}

/// One process's turn to change what is installed; the turn ends when it is dropped, or with the process.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

impl Turn {
    /// Waits for the turn. `waiting` is called where somebody else has it.
    ///
    /// # Errors
    /// When the lock's file cannot be made.
    pub fn take(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        let failed = |error: &io::Error| io_error("lock", path, error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|error| failed(&error))?;
        let locked = match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                waiting();
                file.lock()
            }
            Err(fs::TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        match locked {
            // Some network file systems know no locks; then the last of two writers wins, each with whole files.
            Err(error) if error.kind() != ErrorKind::Unsupported => Err(failed(&error)),
            _ => Ok(Self { _file: file }),
        }
    }
}

/// Failures on purpose, one operation after another.
#[cfg(test)]
pub(crate) mod faults {
    use std::cell::RefCell;
    use std::io;
    use std::path::Path;

    /// What happens at the chosen operation.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// The operation fails; the program goes on and cleans up.
        Fails,
        /// Nothing after it happens either, as if the process had been killed there.
        Dies,
    }

    #[derive(Default)]
    struct Plan {
        left: Option<usize>,
        fault: Option<Fault>,
        dead: bool,
        seen: Vec<String>,
    }

    thread_local! {
        static PLAN: RefCell<Plan> = RefCell::default();
    }

    pub(super) fn reached(action: &str, path: &Path) -> io::Result<()> {
        PLAN.with_borrow_mut(|plan| {
            if plan.dead {
                return Err(io::Error::other("the process is dead"));
            }
            plan.seen.push(format!("{action} {}", path.display()));
            match &mut plan.left {
                Some(0) => {
                    plan.left = None;
                    plan.dead = plan.fault == Some(Fault::Dies);
                    Err(io::Error::from(io::ErrorKind::StorageFull))
                }
                Some(left) => {
                    *left -= 1;
                    Ok(())
                }
                None => Ok(()),
            }
        })
    }

    /// Whether cleaning up may do anything: a killed process cannot.
    pub(crate) fn is_dead() -> bool {
        PLAN.with_borrow(|plan| plan.dead)
    }

    /// Runs `work` with a fault at operation `at` (from 0); gives what it gave, and whether the fault was reached.
    pub(crate) fn with_fault<T>(at: usize, fault: Fault, work: impl FnOnce() -> T) -> (T, bool) {
        PLAN.set(Plan {
            left: Some(at),
            fault: Some(fault),
            ..Plan::default()
        });
        let outcome = work();
        let plan = PLAN.take();
        (outcome, plan.left.is_none())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::faults::{Fault, with_fault};
    use super::*;

    #[test]
    fn a_file_is_old_or_new_whatever_fails() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sub/file");
        write_file(&path, b"old").unwrap();
        let mut failures = 0;
        for at in 0.. {
            let (outcome, reached) = with_fault(at, Fault::Fails, || write_file(&path, b"new"));
            let now = fs::read(&path).unwrap();
            if !reached {
                outcome.unwrap();
                assert_eq!(now, b"new");
                break;
            }
            failures += 1;
            let error = outcome.unwrap_err();
            assert!(error.hint_text().unwrap().contains("free some space"));
            assert!(now == b"old" || now == b"new");
            assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
            fs::write(&path, "old").unwrap();
        }
        assert!(failures >= 4, "{failures}");
    }

    #[test]
    fn turns_do_not_overlap() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("store/.lock");
        let first = Turn::take(&path, || panic!("nobody has it")).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = std::thread::spawn({
            let path = path.clone();
            move || {
                let turn = Turn::take(&path, || sender.send(()).unwrap()).unwrap();
                drop(turn);
            }
        });
        receiver.recv().unwrap();
        assert!(!other.is_finished());
        drop(first);
        other.join().unwrap();
    }
}
