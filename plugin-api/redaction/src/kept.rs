//! What belongs to the user and is kept in the data folder: the key for naming findings, made at first need and never
//! shown, and a policy. The host and a command that a plugin brings find the same ones here.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};
use tempfile::NamedTempFile;

use crate::{Key, Policy};

/// The environment variable that names a policy's file, where the user's own is not what is wanted. Callers read it.
pub const POLICY_VARIABLE: &str = "CODEX_ML_SANITIZE_POLICY";

/// The user's policy. A project has none: whoever gives away a project would otherwise decide what passes on other
/// people's machines.
const POLICY: &str = "sanitizer-policy.yaml";
const KEY: &str = "sanitizer.key";
const BYTES: usize = 32;

impl Policy {
    /// The policy in the file `given`, or the user's below the data folder where there is one, or the built-in one.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when the file cannot be read or is wrong.
    pub fn of_user(given: Option<&Path>, data: Option<&Path>) -> Result<Self> {
        let path = match given {
            Some(given) => PathBuf::from(given),
            None => match data.map(|data| data.join(POLICY)) {
                Some(path) if path.is_file() => path,
                _ => return Self::standard(),
            },
        };
        let text = fs::read_to_string(&path).or_error(|| {
            Error::config(format!("cannot read the policy {}", path.display())).hint(format!(
                "a policy is a YAML file; without one, and with {POLICY_VARIABLE} unset, the built-in policy holds"
            ))
        })?;
        Self::from_yaml(&text, &path.display().to_string())
    }
}

impl Key {
    /// The user's key below the data folder, made at first need; one of this process alone where there is no folder, or
    /// none that can be written: then pseudonyms differ from run to run, and nothing else does.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] naming the file, when there is one that cannot be read or is damaged.
    pub fn kept_in(data: Option<&Path>) -> Result<Self> {
        let Some(data) = data else {
            return Self::passing();
        };
        let path = data.join(KEY);
        match fs::read(&path) {
            Ok(secret) => return read(&secret, &path),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path).because(&error)),
        }
        let secret = random()?;
        match write(&secret, data, &path) {
            // Another process was quicker; its key is everybody's.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let theirs = fs::read(&path).or_error(|| failed(&path))?;
                read(&theirs, &path)
            }
            Ok(()) | Err(_) => Self::new(&secret),
        }
    }

    /// A key of this process alone.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when the system gives no random bytes.
    pub fn passing() -> Result<Self> {
        Self::new(&random()?)
    }
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
        .hint("remove it: a new one is made; pseudonyms and reports made with the old one are then strangers"));
    }
    Key::new(secret)
}

/// Writes a file that appears as a whole, readable by its user alone, and replaces none.
fn write(secret: &[u8], data: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(data)?;
    let mut file = NamedTempFile::new_in(data)?;
    file.write_all(secret)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    Ok(())
}

fn failed(path: &Path) -> Error {
    Error::failed(format!("cannot read the key {}", path.display()))
        .hint("CODEX_ML_DATA_DIR names another data folder")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_a_damaged_one_is_named() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        let first = Key::kept_in(Some(&data)).unwrap();
        assert_eq!(first.id(), Key::kept_in(Some(&data)).unwrap().id());
        assert_ne!(first.id(), Key::passing().unwrap().id());
        assert_ne!(first.id(), Key::kept_in(None).unwrap().id());
        let path = data.join(KEY);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(&path, b"short").unwrap();
        let error = Key::kept_in(Some(&data)).unwrap_err();
        assert!(error.message().contains("has 5 bytes, not 32"), "{error}");
    }

    #[test]
    fn processes_that_begin_together_have_one_key_and_one_that_cannot_write_has_its_own() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        let made = || Key::kept_in(Some(&data)).unwrap().id();
        let ids: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(made)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(ids.len(), 1);
        let left = fs::read_dir(&data).unwrap().count();
        assert_eq!(left, 1, "nothing but the key stays");
        // Nobody makes folders there.
        #[cfg(target_os = "linux")]
        Key::kept_in(Some(Path::new("/proc/none"))).unwrap();
    }

    #[test]
    fn the_policy_is_the_one_given_or_the_users_or_the_standard() {
        let root = tempfile::tempdir().unwrap();
        let standard = Policy::standard().unwrap();
        for data in [None, Some(root.path())] {
            let policy = Policy::of_user(None, data).unwrap();
            assert_eq!(policy.digest(), standard.digest());
        }
        fs::write(root.path().join(POLICY), "version: 1\nmode: mask\n").unwrap();
        let own = Policy::of_user(None, Some(root.path())).unwrap();
        assert_ne!(own.digest(), standard.digest());
        let given = root.path().join("given.yaml");
        let error = Policy::of_user(Some(&given), Some(root.path())).unwrap_err();
        assert!(error.message().contains("given.yaml"), "{error}");
        fs::write(&given, "version: 1\nmode: remove\n").unwrap();
        let given = Policy::of_user(Some(&given), Some(root.path())).unwrap();
        assert!(![own.digest(), standard.digest()].contains(&given.digest()));
    }
}
