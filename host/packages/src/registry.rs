//! A registry as a folder of files that any web server can serve, or none.
//!
//! | file | what |
//! |---|---|
//! | `registry.json` | its name and its root key |
//! | `index/<name>.ndjson` | one line a version, see [`crate::index`] |
//! | `archives/<name>/<name>-<version>.tar.zst` | the packages, never changed |
//! | `yanked.json`, `revoked.json` | what was taken back |
//! | `snapshot.json`, `snapshot.json.minisig` | the digests of all of it but the archives, signed by the root key |

mod folder;
mod mirror;
mod verify;

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::archive;
use crate::trust::Revocations;

pub use folder::{Added, Registry, USUAL_SPAN};
pub use mirror::{Mirrored, mirror};
pub use verify::{Finding, Report, verify};

/// The file that says what a registry is.
pub const ABOUT: &str = "registry.json";

/// The list of yanked versions.
pub const YANKED: &str = "yanked.json";

/// The list of revoked keys and archives.
pub const REVOKED: &str = "revoked.json";

/// Bytes of [`ABOUT`].
pub const MAX_ABOUT: u64 = 64 << 10;

/// Bytes of [`YANKED`] and [`REVOKED`].
pub const MAX_LIST: u64 = 16 << 20;

/// `registry.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// [`crate::snapshot::FORMAT`].
    pub format: u32,
    /// What it calls itself.
    pub name: String,
    /// Its root key.
    pub key: String,
}

/// `yanked.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Yanked {
    /// The versions.
    pub yanked: Vec<YankedVersion>,
}

/// A version that is not chosen any more, except by who uses it already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct YankedVersion {
    /// The plugin.
    pub name: String,
    /// The version.
    pub version: Version,
    /// Why.
    pub reason: String,
    /// When, in RFC 3339.
    pub time: String,
}

/// `revoked.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Keys by id.
    pub keys: BTreeMap<String, Revocation>,
    /// Archives by SHA-256.
    pub archives: BTreeMap<String, Revocation>,
}

/// Why something must not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Why.
    pub reason: String,
    /// When, in RFC 3339.
    pub time: String,
}

impl Yanked {
    /// Why a version was yanked.
    pub fn reason(&self, name: &str, version: &Version) -> Option<String> {
        let found = self
            .yanked
            .iter()
            .find(|yanked| yanked.name == name && yanked.version == *version);
        found.map(|yanked| yanked.reason.clone())
    }

    /// All of them.
    pub fn to_map(&self) -> BTreeMap<(String, Version), String> {
        let pair = |yanked: &YankedVersion| {
            (
                (yanked.name.clone(), yanked.version.clone()),
                yanked.reason.clone(),
            )
        };
        self.yanked.iter().map(pair).collect()
    }
}

impl Revoked {
    /// Why an archive signed with a key must not be used.
    pub fn reason(&self, key_id: &str, archive: &str) -> Option<String> {
        if let Some(revocation) = self.archives.get(archive) {
            return Some(format!("the archive was revoked: {}", revocation.reason));
        }
        let revocation = self.keys.get(key_id)?;
        Some(format!("key {key_id} was revoked: {}", revocation.reason))
    }

    /// As trust keeps it.
    pub fn to_trust(&self) -> Revocations {
        let reasons = |map: &BTreeMap<String, Revocation>| {
            map.iter()
                .map(|(what, revocation)| (what.clone(), revocation.reason.clone()))
                .collect()
        };
        Revocations {
            keys: reasons(&self.keys),
            archives: reasons(&self.archives),
        }
    }
}

/// Where the index of a plugin is in a registry.
pub fn index_path(name: &str) -> String {
    format!("index/{name}.ndjson")
}

/// Where the archive of a version is in a registry.
pub fn archive_path(name: &str, version: &Version) -> String {
    format!("archives/{name}/{}", archive::file_name(name, version))
}
