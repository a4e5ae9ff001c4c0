//! Whether a plugin may be installed and run: keys pinned to names, policies, and a log of every change.
//!
//! [`Trust::decide`] judges one version that a registry offers and changes nothing; [`Trust::record`] writes down what
//! was decided once it is installed. [`Trust::check_installed`] judges what lies in the store before it is run.
//!
//! What the pins know is what this user saw before: a key that came first is trusted, as nobody else vouches for it. A
//! policy that names keys takes the luck out of that.

mod changes;
mod decide;
mod installed;
pub mod level;
pub mod log;
mod manifest;
pub mod pins;
pub mod policy;
mod receipt;
mod record;
mod rotation;
pub mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codex_plugin_api::Result;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::source::Offer;
pub use changes::{Change, note};
pub use decide::AUTHORITY;
pub use installed::Installed;
pub use level::Level;
use log::Event;
pub use manifest::check_manifest;
use pins::Pins;
pub use policy::{Policy, policy_files};
pub use receipt::Receipt;
pub use rotation::{Rotation, SignedRotation};

/// Where a plugin comes from. A name is bound to the address; what the user calls the registry is shown only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What the user calls the registry.
    pub registry: String,
    /// Its address.
    pub url: String,
}

/// What a registry publishes about the keys of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The public keys of its author, in minisign's base64.
    pub keys: Vec<String>,
    /// The registry's own key, as it was pinned when the registry was connected.
    pub root: String,
    /// Its name handed from one key to another, oldest first.
    pub rotations: Vec<SignedRotation>,
    /// What the registry took back.
    pub revoked: Revocations,
}

/// What a registry took back, with the reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Revocations {
    /// Keys by id.
    pub keys: BTreeMap<String, String>,
    /// Archives by SHA-256.
    pub archives: BTreeMap<String, String>,
}

/// What the user says beyond the name.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The plugins whose native code is allowed (`--allow-native NAME`).
    pub allow_native: Vec<String>,
    /// An older version than was used before is meant: it was named, pinned, rolled back to, or stands in a lock.
    pub older: bool,
    /// The names that are installed or known, for the warning about look-alikes.
    pub known: Vec<String>,
}

/// What is to be done about an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The plugin.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Who vouches for it.
    pub level: Level,
    /// The public key with which its entry is signed.
    pub key: String,
    /// The key's short name.
    pub key_id: String,
    /// Where it comes from.
    pub source: Source,
    /// SHA-256 of the archive.
    pub archive: String,
    /// Whether its code has the user's authority.
    pub native: bool,
    /// What the user should read.
    pub warnings: Vec<String>,
    /// Whether no key was known for this name before.
    pub first_use: bool,
    /// The id of the key that handed the name over to this one since it was last used.
    pub rotated_from: Option<String>,
    /// Whether native code is allowed by this decision and was not before.
    pub allows_native: bool,
}

/// Pins and policies as they were when they were read.
#[derive(Debug)]
pub struct Trust {
    data: PathBuf,
    pins: Pins,
    policy: Policy,
}

impl Trust {
    /// Reads the pins in a data folder and the policies; a file that is not there says nothing.
    ///
    /// # Errors
    /// When one of the files cannot be read or is wrong: nothing can be judged then.
    pub fn open(data: &Path, policies: &[PathBuf]) -> Result<Self> {
        Ok(Self {
            data: data.to_owned(),
            pins: Pins::read(data)?,
            policy: Policy::read(policies)?,
        })
    }

    /// Whether the version may be installed under the name that was asked for. Changes nothing.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Plugin`] with why not and what would allow it.
    pub fn decide(
        &self,
        name: &str,
        offer: &Offer,
        published: &Published,
        wishes: &Wishes,
    ) -> Result<Decision> {
        decide::decide(self, name, offer, published, wishes)
    }

    /// Writes down what was decided: the key is pinned, and what changes is added to the log.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when a file cannot be written, [`codex_plugin_api::ErrorKind::Plugin`]
    /// when another process pinned the name otherwise in the meantime.
    pub fn record(&self, decision: &Decision) -> Result<()> {
        pins::update(&self.data, |pins| record::record(pins, decision)).map(drop)
    }

    /// The pins as they were read.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// What this machine accepts.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Reads the log and checks its chain.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Plugin`] naming the first line that is wrong.
    pub fn check_log(&self) -> Result<Vec<log::Line>> {
        log::check(&self.data, self.pins.log())
    }
}

/// What the log says of changes: what happened, to whom, and the details.
pub type Changes = Vec<(Event, String, String)>;

#[cfg(test)]
mod tests;
