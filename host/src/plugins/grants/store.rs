//! The file of decisions: read whole, checked, changed under a lock, written beside its place and renamed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use codex_packages::trust::log::Event;
use codex_packages::trust::note;
use codex_plugin_api::manifest::Limits;
use codex_plugin_api::{Context, Error, Result};
use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::{Granted, told};
use crate::plugins::trust::REGISTRY;

pub(super) const FILE: &str = "grants.json";
const LOCK: &str = "grants.lock";
const VERSION: u32 = 1;

/// What is recorded about a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decision: Option<Decision>,
    /// Those that the user set.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub(super) limits: Limits,
}

/// What the user decided, and about what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    /// Of what was asked, as [`Asked::digest`] makes it.
    pub(super) digest: String,
    /// Where the plugin came from. Another one of the same id inherits nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) origin: String,
    asked: Asked,
    pub(super) granted: Granted,
    /// When, in seconds since 1970.
    decided: u64,
}

impl Decision {
    pub(super) fn new(asked: Asked, granted: Granted, origin: String) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            digest: asked.digest(),
            origin,
            asked,
            granted,
            decided: now.unwrap_or_default().as_secs(),
        }
    }

    /// Whether it was made about a plugin from there. One from before origins were recorded was about a file of the
    /// user's.
    pub(super) fn is_about(&self, origin: &str) -> bool {
        self.origin == origin || self.origin.is_empty() && !origin.starts_with(REGISTRY)
    }

    /// Whether it was made about all that is asked now: the same, or more.
    pub(super) fn covers(&self, now: &Asked) -> bool {
        self.digest == now.digest() || self.asked.covers(now)
    }

    /// What it grants of what is asked now.
    pub(super) fn held(&self, now: &Asked) -> Granted {
        self.asked.carried(&self.granted, now)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    plugins: BTreeMap<String, Entry>,
}

/// The part that every version of the file has.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// Reads the decisions; none where there is no file.
///
/// # Errors
/// When the file is damaged, of another version, or in a place that everybody may write to.
pub(super) fn read(data: &Path) -> Result<BTreeMap<String, Entry>> {
    let path = data.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            let hint = format!("nothing is granted until {} can be read", path.display());
            return Err(Error::failed(format!("cannot read {}", path.display()))
                .because(&error)
                .hint(hint));
        }
    };
    check_private(data)?;
    check_private(&path)?;
    let damaged = || {
        Error::failed(format!(
            "{} is damaged, so it grants nothing",
            path.display()
        ))
        .hint("delete the file and decide again: codex-ml plugin grant ID")
    };
    let head: Head = serde_json::from_slice(&bytes).or_error(damaged)?;
    if head.version != VERSION {
        let message = format!(
            "{} has version {}, but this codex-ml knows version {VERSION}, so it grants nothing",
            path.display(),
            head.version
        );
        return Err(Error::failed(message)
            .hint("use the codex-ml that wrote it, or delete the file and decide again"));
    }
    let document: Document = serde_json::from_slice(&bytes).or_error(damaged)?;
    Ok(document.plugins)
}

/// Changes the decisions. Whoever comes second waits, and sees what the first wrote.
///
/// # Errors
/// Those of [`read`] and of `change`, and when the file cannot be written. The file is as it was then.
pub(super) fn update<T>(
    data: &Path,
    change: impl FnOnce(&mut BTreeMap<String, Entry>) -> Result<T>,
) -> Result<T> {
    let path = data.join(FILE);
    let failed = || {
        Error::failed(format!("cannot write {}", path.display())).hint(
            "mend the folder's rights, or set CODEX_ML_DATA_DIR to a folder that can be written",
        )
    };
    fs::create_dir_all(data).or_error(failed)?;
    check_private(data)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data.join(LOCK))
        .or_error(failed)?;
    match lock.lock() {
        // Some network file systems know no locks; then the last of two writers wins.
        Err(error) if error.kind() != ErrorKind::Unsupported => {
            return Err(failed().because(&error));
        }
        _ => {}
    }
    let before = read(data)?;
    let mut plugins = before.clone();
    let outcome = change(&mut plugins)?;
    plugins.retain(|_, entry| *entry != Entry::default());
    if plugins == before {
        return Ok(outcome);
    }
    let events = told::changes(&before, &plugins);
    // What is granted is written down before it is in force. What is taken back must not wait for a log that cannot be
    // written.
    if events
        .iter()
        .all(|(event, ..)| *event == Event::GrantRevoked)
    {
        write(data, plugins).or_error(failed)?;
        note(data, events)?;
    } else {
        note(data, events)?;
        write(data, plugins).or_error(failed)?;
    }
    Ok(outcome)
}

fn write(data: &Path, plugins: BTreeMap<String, Entry>) -> std::io::Result<()> {
    let document = Document {
        version: VERSION,
        plugins,
    };
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    let mut staged = tempfile::NamedTempFile::new_in(data)?;
    staged.write_all(&bytes)?;
    staged.as_file().sync_all()?;
    staged.persist(data.join(FILE))?;
    // The rename is on the disk once the folder is; Windows has no such call.
    #[cfg(unix)]
    File::open(data)?.sync_all()?;
    Ok(())
}

/// Refuses what every user of the system may change: whoever did would grant.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        fs::metadata(path).or_error(|| Error::failed(format!("cannot read {}", path.display())))?;
    if metadata.permissions().mode() & 0o002 == 0 {
        return Ok(());
    }
    let message = format!(
        "{} may be written by every user of this system, so it grants nothing",
        path.display()
    );
    Err(Error::failed(message).hint(format!(
        "look through it, then take that right away: chmod o-w {}",
        path.display()
    )))
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "as on Unix")]
fn check_private(_path: &Path) -> Result<()> {
    Ok(())
}
