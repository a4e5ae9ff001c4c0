//! `trust.json`: which key and registry a name is bound to, what was accepted from them, what came from no registry.
//! Read whole, changed under a lock, written beside its place and renamed, always after the log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind as Io, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use codex_plugin_api::{Context, Error, Result};
use semver::Version;
use serde::{Deserialize, Serialize};

use super::log::{self, Head};
use super::{Changes, Revocations, Source};

const FILE: &str = "trust.json";
const LOCK: &str = "trust.lock";
const VERSION: u32 = 1;

/// What a user trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    version: u32,
    log: Head,
    /// By the plugin's name.
    #[serde(default)]
    pub plugins: BTreeMap<String, Pin>,
    /// What `plugin install PATH` installed, by the path of its library.
    #[serde(default)]
    pub local: BTreeMap<String, LocalFile>,
    /// What registries took back, by their addresses. It stays, whatever they say later.
    #[serde(default)]
    pub revoked: BTreeMap<String, Revocations>,
}

/// What is known of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pin {
    /// The registry that the name is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The public key that signs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Keys that handed the name on: what was accepted from them stays accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub former_keys: Vec<String>,
    /// Whether the key was the registry's own when it was pinned.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_registry: bool,
    /// Whether its native code may run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub native: bool,
    /// Whether the user trusts it no longer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub distrusted: bool,
    /// The SHA-256 of the archive of every version that was accepted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accepted: BTreeMap<Version, String>,
}

/// A plugin that was installed from a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalFile {
    /// Its id.
    pub id: String,
    /// The SHA-256 of its library.
    pub sha256: String,
}

impl Default for Pins {
    fn default() -> Self {
        Self {
            version: VERSION,
            log: Head::default(),
            plugins: BTreeMap::new(),
            local: BTreeMap::new(),
            revoked: BTreeMap::new(),
        }
    }
}

/// The part that every version of the file has.
#[derive(Deserialize)]
struct Opening {
    version: u32,
}

impl Pins {
    /// Reads the pins in a data folder; none where there is no file.
    ///
    /// # Errors
    /// When the file is damaged, of another version, or may be written by everybody.
    pub fn read(data: &Path) -> Result<Self> {
        let path = data.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == Io::NotFound => return Ok(Self::default()),
            Err(error) => {
                let message = format!("cannot read {}", path.display());
                return Err(Error::failed(message).because(&error).hint(
                    "no plugin of a registry is run before it can be read: mend the file's rights",
                ));
            }
        };
        check_private(data)?;
        check_private(&path)?;
        let damaged = || {
            Error::failed(format!("{} is damaged, so nothing is trusted", path.display())).hint(
                "put a backup there, or delete trust.json and trust.log and have your plugins judged anew: codex-ml plugin sync",
            )
        };
        let opening: Opening = serde_json::from_slice(&bytes).or_error(damaged)?;
        if opening.version != VERSION {
            let message = format!(
                "{} has version {}, but this codex-ml knows version {VERSION}",
                path.display(),
                opening.version
            );
            return Err(Error::failed(message).hint("use the codex-ml that wrote it"));
        }
        serde_json::from_slice(&bytes).or_error(damaged)
    }

    /// How far the log went when the pins were written.
    pub fn log(&self) -> &Head {
        &self.log
    }
}

/// Changes the pins under a lock, and adds to the log what the change says of itself. Gives the pins as they are then.
///
/// # Errors
/// Those of `change`; when the files cannot be read or written, or the log is not whole. Nothing is changed then, but
/// for lines of the log that nothing came of.
pub(super) fn update(
    data: &Path,
    change: impl FnOnce(&mut Pins) -> Result<Changes>,
) -> Result<Pins> {
    let path = data.join(FILE);
    let failed = || {
        Error::failed(format!("cannot write {}", path.display())).hint(
            "mend the folder's rights, or set CODEX_ML_DATA_DIR to a folder that can be written",
        )
    };
    fs::create_dir_all(data).or_error(failed)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data.join(LOCK))
        .or_error(failed)?;
    match lock.lock() {
        // Some network file systems know no locks; then the last of two writers wins.
        Err(error) if error.kind() != Io::Unsupported => return Err(failed().because(&error)),
        _ => {}
    }
    let before = Pins::read(data)?;
    let mut pins = before.clone();
    let events = change(&mut pins)?;
    if pins == before && events.is_empty() {
        return Ok(pins);
    }
    log::check(data, &before.log)?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    pins.log = log::append(data, time.unwrap_or_default().as_secs(), &events)?;
    write(data, &pins).or_error(failed)?;
    Ok(pins)
}

fn write(data: &Path, pins: &Pins) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(pins)?;
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

/// Refuses what every user of the system may change: whoever did would decide what is trusted.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        fs::metadata(path).or_error(|| Error::failed(format!("cannot read {}", path.display())))?;
    if metadata.permissions().mode() & 0o002 == 0 {
        return Ok(());
    }
    let message = format!(
        "{} may be written by every user of this system, so nothing is trusted",
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
