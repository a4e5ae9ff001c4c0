//! What is taken back: yanked for those who do not use it yet, or revoked for everybody. Archives stay where they are.

use std::time::SystemTime;

use codex_plugin_api::{Error, Result};
use semver::Version;

use super::Registry;
use crate::index::IndexEntry;
use crate::registry::{REVOKED, Revocation, YANKED, YankedVersion};
use crate::snapshot::timestamp;

impl Registry {
    /// Takes a version back for those who do not use it yet. The archive stays.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when there is no such version.
    pub fn yank(&self, name: &str, version: &Version, reason: &str, now: SystemTime) -> Result<()> {
        self.version(name, version)?;
        let mut list = self.yanked()?;
        list.yanked
            .retain(|yanked| yanked.name != name || yanked.version != *version);
        list.yanked.push(YankedVersion {
            name: name.to_owned(),
            version: version.clone(),
            reason: reason.to_owned(),
            time: timestamp(now),
        });
        list.yanked
            .sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        self.write_json(YANKED, &list)
    }

    /// Gives a yanked version back; whether it was yanked.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when there is no such version.
    pub fn unyank(&self, name: &str, version: &Version) -> Result<bool> {
        self.version(name, version)?;
        let mut list = self.yanked()?;
        let before = list.yanked.len();
        list.yanked
            .retain(|yanked| yanked.name != name || yanked.version != *version);
        self.write_json(YANKED, &list)?;
        Ok(list.yanked.len() < before)
    }

    /// Forbids every version signed with a key. There is no way back: who lost a key once cannot unlose it.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for what is no key id, and for the root key.
    pub fn revoke_key(&self, id: &str, reason: &str, now: SystemTime) -> Result<()> {
        let id = id.to_ascii_uppercase();
        if id.len() != 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::config(format!("{id:?} is not a key id"))
                .hint("a key id is 16 hexadecimal digits, as codex-ml plugin key show prints it"));
        }
        if id == self.root_key()?.id() {
            return Err(Error::config(format!(
                "key {id} is the registry's root key, which cannot revoke itself"
            ))
            .hint("make a new registry with another key and tell its users its id"));
        }
        let mut revoked = self.revoked()?;
        revoked.keys.insert(
            id,
            Revocation {
                reason: reason.to_owned(),
                time: timestamp(now),
            },
        );
        self.write_json(REVOKED, &revoked)
    }

    /// Forbids a version by its archive.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when there is no such version.
    pub fn revoke_version(
        &self,
        name: &str,
        version: &Version,
        reason: &str,
        now: SystemTime,
    ) -> Result<()> {
        let archive = self.version(name, version)?.entry.archive.sha256;
        let mut revoked = self.revoked()?;
        revoked.archives.insert(
            archive,
            Revocation {
                reason: reason.to_owned(),
                time: timestamp(now),
            },
        );
        self.write_json(REVOKED, &revoked)
    }

    fn version(&self, name: &str, version: &Version) -> Result<IndexEntry> {
        let index = self.index(name)?;
        if index.entries.is_empty() {
            return Err(self.unknown(name));
        }
        let there: Vec<String> = index
            .entries
            .iter()
            .map(|entry| entry.entry.version.to_string())
            .collect();
        let found = index
            .entries
            .into_iter()
            .find(|entry| entry.entry.version == *version);
        found.ok_or_else(|| {
            Error::config(format!("the registry has no {name} {version}"))
                .hint(format!("it has {}", there.join(", ")))
        })
    }
}
