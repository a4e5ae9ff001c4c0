//! The index of one plugin: one JSON object a line, only ever added to.
//!
//! A line is a version with its author's signature and public key, or the handing over of the name to another key. The
//! first key owns the name; what follows must be signed by the owner, or by the registry's root key.

use std::collections::BTreeSet;

use codex_plugin_api::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::entry::{Entry, SignedEntry};
use crate::keys::{self, PublicKey};
use crate::names;
use crate::trust::{Rotation, SignedRotation};

/// Bytes of one line.
pub const MAX_LINE: usize = 1 << 20;

/// Bytes of an index.
pub const MAX_INDEX: u64 = 64 << 20;

/// Lines of an index.
pub const MAX_LINES: usize = 100_000;

/// A line as it stands in the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Line {
    /// The JSON of an [`Entry`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The JSON of a [`Rotation`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
    /// The signature of the text above.
    pub signature: String,
    /// For an entry: the public key of the signature. Not signed itself: who trusts it decides so by other means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One version as an index offers it.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexEntry {
    /// What was signed, read.
    pub entry: Entry,
    /// What was signed, as it was signed.
    pub signed: SignedEntry,
    /// The public key that it says to be signed with.
    pub key: String,
    /// Its id.
    pub key_id: String,
    /// Why its author took it back, where that was done: who uses it may go on.
    pub yanked: Option<String>,
    /// Why the registry revoked it or its key, where that was done: nobody may use it.
    pub revoked: Option<String>,
}

impl IndexEntry {
    /// Checks the signature. Reading an index does not: there are thousands of versions, and one is chosen.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Denied`] when the text was not signed with the key.
    pub fn verify(&self) -> Result<()> {
        keys::verify(
            &self.key,
            self.signed.entry.as_bytes(),
            &self.signed.signature,
        )
        .map_err(|error| {
            let title = format!(
                "{} {}: {}",
                self.entry.name,
                self.entry.version,
                error.message()
            );
            error.with_message(title)
        })
    }
}

/// What an index says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    /// The versions in the order of the file.
    pub entries: Vec<IndexEntry>,
    /// The name handed from one key to another, oldest first.
    pub rotations: Vec<SignedRotation>,
    /// The public key that owns the name now; none while there is no version.
    pub owner: Option<String>,
    /// Lines that are not understood (a kind that a later codex-ml has, say), with what is wrong.
    pub unreadable: Vec<String>,
}

impl Index {
    /// Reads the index of `name` in a registry whose root key is `root`. Signatures of entries are not checked here,
    /// those of rotations are.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] naming the line: too long, not JSON, for another plugin, signed with a key
    /// that does not own the name, a version that is there already.
    pub fn parse(name: &str, bytes: &[u8], root: &str) -> Result<Self> {
        let bad = |why: String| Error::data(format!("index of {name}: {why}"));
        if bytes.len() as u64 > MAX_INDEX {
            return Err(bad(format!(
                "{} bytes, and {MAX_INDEX} are allowed",
                bytes.len()
            )));
        }
        let mut index = Self::default();
        let mut versions = BTreeSet::new();
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let number = number + 1;
            let at = |error: Error| {
                let message = format!("index of {name}, line {number}: {}", error.message());
                error.with_message(message)
            };
            if line.len() > MAX_LINE {
                return Err(at(Error::data(format!(
                    "{} bytes, and {MAX_LINE} are allowed",
                    line.len()
                ))));
            }
            if number > MAX_LINES {
                return Err(bad(format!("more than {MAX_LINES} lines")));
            }
            if !line.is_empty() {
                index
                    .add(name, line, root, &mut versions, number)
                    .map_err(at)?;
            }
        }
        Ok(index)
    }

    fn add(
        &mut self,
        name: &str,
        line: &[u8],
        root: &str,
        versions: &mut BTreeSet<String>,
        number: usize,
    ) -> Result<()> {
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| Error::data(format!("it is no JSON object of an index: {error}")))?;
        match (line.entry, line.rotation, line.key) {
            (Some(text), None, Some(key)) => self.add_entry(
                name,
                SignedEntry {
                    entry: text,
                    signature: line.signature,
                },
                key,
                root,
                versions,
                number,
            ),
            (None, Some(rotation), None) => self.rotate(
                name,
                SignedRotation {
                    rotation,
                    signature: line.signature,
                },
            ),
            _ => Err(Error::data(
                "it is neither a version with its key nor a rotation",
            )),
        }
    }

    fn add_entry(
        &mut self,
        name: &str,
        signed: SignedEntry,
        key: String,
        root: &str,
        versions: &mut BTreeSet<String>,
        number: usize,
    ) -> Result<()> {
        // What names the plugin and its version is read by itself first: the rest may be of a later time.
        let title: Title = serde_json::from_str(&signed.entry)
            .map_err(|error| Error::data(format!("the entry is damaged: {error}")))?;
        if title.name != name {
            let other: String = title.name.chars().take(names::MAX_NAME).collect();
            return Err(Error::data(format!("the entry is for {other:?}")));
        }
        if !versions.insert(precedence(&title.version)) {
            return Err(Error::data(format!(
                "version {} is there already",
                title.version
            )));
        }
        let key_id = PublicKey::parse(&key)?.id();
        match &self.owner {
            None => self.owner = Some(key.clone()),
            Some(owner) if *owner == key || key == root => {}
            Some(owner) => {
                return Err(Error::data(format!(
                    "version {} is signed with key {key_id}, and {name} belongs to key {}",
                    title.version,
                    keys::key_id(owner)?
                )));
            }
        }
        match serde_json::from_str::<Entry>(&signed.entry) {
            Ok(entry) => self.entries.push(IndexEntry {
                entry,
                signed,
                key,
                key_id,
                yanked: None,
                revoked: None,
            }),
            Err(error) => self
                .unreadable
                .push(format!("line {number}, version {}: {error}", title.version)),
        }
        Ok(())
    }

    fn rotate(&mut self, name: &str, signed: SignedRotation) -> Result<()> {
        let rotation: Rotation = serde_json::from_str(&signed.rotation)
            .map_err(|error| Error::data(format!("the rotation is damaged: {error}")))?;
        let Some(owner) = &self.owner else {
            return Err(Error::data("a rotation stands before any version"));
        };
        if rotation.name != name || rotation.old_key_id != keys::key_id(owner)? {
            return Err(Error::data(
                "the rotation is for another plugin or another key",
            ));
        }
        keys::verify(owner, signed.rotation.as_bytes(), &signed.signature)?;
        PublicKey::parse(&rotation.new_key)?;
        self.owner = Some(rotation.new_key);
        self.rotations.push(signed);
        Ok(())
    }
}

/// What every entry says, now and later.
#[derive(Deserialize)]
struct Title {
    name: String,
    version: semver::Version,
}

/// A version without what neither order nor a file system that ignores case tells apart.
pub(crate) fn precedence(version: &semver::Version) -> String {
    let bare = semver::Version {
        build: semver::BuildMetadata::EMPTY,
        ..version.clone()
    };
    bare.to_string().to_ascii_lowercase()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
