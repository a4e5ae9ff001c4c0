//! Everything that was installed, looked at again: what locks name is in the store as it was signed, what was installed
//! from paths is as it was then, the log is whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Manifest, Result};
use serde::Serialize;

use super::{Receipt, Trust, check_manifest, log};
use crate::digest::sha256;
use crate::entry::{Entry, FileDigest};
use crate::keys;
use crate::lock::{Lock, Locked};
use crate::store::{self, Store};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The plugin, or the file.
    pub subject: String,
    /// Where.
    pub path: PathBuf,
    /// What is wrong, in one line.
    pub reason: String,
    /// What mends it.
    pub hint: String,
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Name and version of every plugin of the store, with its folder.
    pub plugins: BTreeMap<String, PathBuf>,
    /// How many lines the log has.
    pub log: usize,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl Trust {
    /// Looks at everything again. `locks` are the locks that count, by their paths.
    ///
    /// # Errors
    /// When a file that is there cannot be read; what is wrong is in the report.
    pub fn verify(&self, locks: &[(PathBuf, Lock)]) -> Result<Checked> {
        let mut checked = Checked::default();
        match self.check_log() {
            Ok(lines) => checked.log = lines.len(),
            Err(error) => checked
                .faults
                .push(fault("the log", &log::path(&self.data), &error)),
        }
        for (path, lock) in locks {
            for locked in lock.plugins.values() {
                self.verify_locked(locked, path, &mut checked)?;
            }
        }
        self.verify_local(&mut checked)?;
        Ok(checked)
    }

    fn verify_local(&self, checked: &mut Checked) -> Result<()> {
        for (place, file) in &self.pins.local {
            let path = Path::new(place);
            let found = digest_of(path)?;
            let reason = match found {
                None => "it was installed from a path and is not there any more".to_owned(),
                Some(found) if found.sha256 != file.sha256 => {
                    "its file changed after it was installed".to_owned()
                }
                Some(_) => continue,
            };
            checked.faults.push(Fault {
                subject: file.id.clone(),
                path: path.to_owned(),
                reason,
                hint: format!(
                    "if you changed it, install it again (codex-ml plugin install PATH); if not, remove it (codex-ml plugin remove {})",
                    file.id
                ),
            });
        }
        Ok(())
    }

    fn verify_locked(&self, locked: &Locked, lock: &Path, checked: &mut Checked) -> Result<()> {
        let folder =
            Store::new(&self.data).folder(&locked.name, &locked.version, &locked.archive.sha256);
        let mut blame = |path: &Path, error: &Error| {
            checked.faults.push(fault(&locked.title(), path, error));
        };
        if !folder.is_dir() {
            let missing = super::decide::refuse(
                format!(
                    "the store has no {} with the archive that the lock names",
                    locked.title()
                ),
                "codex-ml plugin sync fetches it, or says that the lock was changed",
            );
            blame(lock, &missing);
            return Ok(());
        }
        let receipt =
            match Receipt::read(&folder).and_then(|receipt| Ok((receipt.entry()?, receipt))) {
                Ok(pair) => pair,
                Err(error) => {
                    blame(&folder, &error);
                    return Ok(());
                }
            };
        let (entry, receipt) = receipt;
        if let Err(error) = compare(locked, &entry, &receipt) {
            blame(lock, &error);
        }
        // Pins, policies and signature are the same for every target; one stands for all.
        if let Some(artifact) = entry.artifacts.values().next()
            && let Err(error) = self.check_installed(&folder, Path::new(&artifact.path))
        {
            blame(&folder, &error);
        }
        if let Err(error) = manifest(&folder, &entry) {
            blame(&folder, &error);
        }
        let subject = locked.title();
        for reason in contents(&folder, &entry)? {
            checked.faults.push(Fault {
                subject: subject.clone(),
                path: folder.clone(),
                reason,
                hint: "codex-ml plugin sync puts what was signed there again".into(),
            });
        }
        checked.plugins.insert(subject, folder);
        Ok(())
    }
}

fn fault(subject: &str, path: &Path, error: &Error) -> Fault {
    Fault {
        subject: subject.to_owned(),
        path: path.to_owned(),
        reason: error.message().to_owned(),
        hint: error
            .hint_text()
            .unwrap_or("codex-ml plugin sync")
            .to_owned(),
    }
}

/// Whether a lock says of a version what its author signed.
fn compare(locked: &Locked, entry: &Entry, receipt: &Receipt) -> Result<()> {
    let artifacts: BTreeMap<String, String> = entry
        .artifacts
        .iter()
        .map(|(target, artifact)| (target.clone(), artifact.digest.sha256.clone()))
        .collect();
    let differs = if locked.entry != sha256(receipt.signed.entry.as_bytes()) {
        "another entry"
    } else if locked.archive != entry.archive {
        "another archive"
    } else if locked.artifacts != artifacts {
        "other files"
    } else if locked.key != keys::key_id(&receipt.key)? {
        "another key"
    } else if locked.permissions != crate::lock::permission_digest(&entry.permissions) {
        "other permissions"
    } else if locked.api != entry.api || locked.dependencies != entry.dependencies {
        "other requirements"
    } else {
        return Ok(());
    };
    Err(super::decide::refuse(
        format!(
            "the lock names {differs} than the author signed for {}",
            locked.title()
        ),
        "the lock was changed: take it from where it is kept, or codex-ml plugin update writes it anew",
    ))
}

fn manifest(folder: &Path, entry: &Entry) -> Result<()> {
    let path = folder.join(crate::archive::MANIFEST);
    let text = fs::read_to_string(&path)
        .or_error(|| Error::failed(format!("cannot read {}", path.display())))?;
    check_manifest(entry, &Manifest::parse(&text, crate::archive::MANIFEST)?)
}

/// What is not as it was. The package's own list of files is not signed, so the signed files are compared with the entry.
fn contents(folder: &Path, entry: &Entry) -> Result<Vec<String>> {
    let mut wrong = store::damages(folder).unwrap_or_else(|error| vec![error.message().to_owned()]);
    for artifact in entry.artifacts.values() {
        let place = &artifact.path;
        let named = wrong
            .iter()
            .any(|damage| damage.starts_with(place.as_str()));
        if digest_of(&folder.join(place))?.as_ref() != Some(&artifact.digest) && !named {
            wrong.push(format!("{place} is not the file that was signed"));
        }
    }
    Ok(wrong)
}

fn digest_of(path: &Path) -> Result<Option<FileDigest>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => FileDigest::of_file(path).map(Some),
    }
}
