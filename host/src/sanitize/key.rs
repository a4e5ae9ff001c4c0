//! The user's key for naming findings: made at first need, kept in the data folder, never shown.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};
use codex_redaction::Key;

use crate::folders::Folders;

const FILE: &str = "sanitizer.key";
const BYTES: usize = 32;

/// The user's key, or one of this process alone where the system knows no data folder.
pub(super) fn of(folders: &Folders) -> Result<Key> {
    let Some(data) = &folders.data else {
        return passing();
    };
    let path = data.join(FILE);
    match fs::read(&path) {
        Ok(secret) => return read(&secret, &path),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", &path).because(&error)),
    }
    let secret = random()?;
    fs::create_dir_all(data).or_error(|| failed("write", &path))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(&path) {
        Ok(mut file) => {
            file.write_all(&secret)
                .and_then(|()| file.sync_all())
                .or_error(|| failed("write", &path))?;
            Key::new(&secret)
        }
        // Another process was quicker; its key is everybody's.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(&fs::read(&path).or_error(|| failed("read", &path))?, &path)
        }
        Err(error) => Err(failed("write", &path).because(&error)),
    }
}

/// A key of this process alone.
pub(super) fn passing() -> Result<Key> {
    Key::new(&random()?)
}

fn random() -> Result<[u8; BYTES]> {
    let mut secret = [0; BYTES];
    getrandom::fill(&mut secret)
        .map_err(|error| Error::failed(format!("the system gives no random bytes: {error}")))?;
    Ok(secret)
}

fn read(secret: &[u8], path: &Path) -> Result<Key> {
    if secret.len() != BYTES {
        return Err(Error::failed(format!(
            "{} has {} bytes, not {BYTES}",
            path.display(),
            secret.len()
        ))
        .hint("remove it: a new one is made; pseudonyms and baselines made with the old one are then strangers"));
    }
    Key::new(secret)
}

fn failed(what: &str, path: &Path) -> Error {
    Error::failed(format!("cannot {what} the key {}", path.display()))
        .hint("CODEX_ML_DATA_DIR names another data folder")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_a_damaged_one_is_named() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders {
            data: Some(root.path().join("data")),
            ..Folders::default()
        };
        let first = of(&folders).unwrap();
        assert_eq!(first.id(), of(&folders).unwrap().id());
        assert_ne!(first.id(), passing().unwrap().id());
        let path = root.path().join("data").join(FILE);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(&path, b"short").unwrap();
        let error = of(&folders).unwrap_err();
        assert!(error.message().contains("has 5 bytes, not 32"), "{error}");
    }
}
