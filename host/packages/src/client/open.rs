//! From an address to a snapshot that may be believed.

use codex_plugin_api::{Context, Error, Result};
use serde::de::DeserializeOwned;

use super::{Believed, Client, Known};
use crate::keys::PublicKey;
use crate::registry::{self, About, MAX_ABOUT, MAX_LIST, Revoked, Yanked};
use crate::snapshot::{self, MAX_SNAPSHOT, Snapshot, timestamp};
use crate::transport::{Address, Answer, Request, Transport};

/// Bytes of a signature file.
const MAX_SIGNATURE: u64 = 4096;

/// The file of the cache in which the snapshot's ETag stands.
const ETAG: &str = "snapshot.json.etag";

/// A snapshot's text and signature as they came.
struct Pair {
    text: Vec<u8>,
    signature: Vec<u8>,
    /// The server's name for this version, where it came from a server just now.
    etag: Option<String>,
    fresh: bool,
}

impl Client {
    pub(super) fn believe(&self) -> Result<Believed> {
        let address = &self.connection.address;
        let known = Known::read(&self.options.data, address)?;
        let root = self.root(known.as_ref())?;
        let (pair, snapshot) = self.signed_snapshot(&root)?;
        check_name(known.as_ref(), &snapshot)?;
        // Another key begins to count anew: its owner cannot know how far the other one got.
        let same_key = known.as_ref().filter(|known| known.key == root.text());
        if let Some(seen) = same_key
            && snapshot.version < seen.snapshot
        {
            return Err(Error::denied(format!(
                "its snapshot {} is older than snapshot {}, which was seen before",
                snapshot.version, seen.snapshot
            ))
            .hint("somebody serves an old state, which hides what was yanked, revoked and mended since; ask its owner"));
        }
        let expired = snapshot.is_expired(self.options.now);
        if expired && !self.is_offline() {
            return Err(Error::denied(format!("its snapshot expired at {}", snapshot.expires)).hint(
                "its owner must run codex-ml registry renew; if they did, somebody holds the new state back (or the clock of this machine is wrong)",
            ));
        }
        let (revoked, yanked): (Revoked, Yanked) = (
            self.listed(&snapshot, registry::REVOKED, MAX_LIST)?,
            self.listed(&snapshot, registry::YANKED, MAX_LIST)?,
        );
        let about: About = self.listed(&snapshot, registry::ABOUT, MAX_ABOUT)?;
        if about.key != root.text() {
            return Err(Error::denied(format!(
                "{} names another root key than the one that signs",
                registry::ABOUT
            )));
        }
        self.keep(&pair)?;
        self.remember(known.as_ref(), &root, &snapshot)?;
        let signed = (pair.text, pair.signature);
        Ok(Believed {
            first_use: known.is_none(),
            snapshot,
            root,
            expired,
            revoked,
            yanked,
            signed,
        })
    }

    /// The key that must have signed: the one that the user named, or that was pinned, or the first one seen.
    fn root(&self, known: Option<&Known>) -> Result<PublicKey> {
        let pinned = known
            .map(|known| PublicKey::parse(&known.key))
            .transpose()?;
        let named = self
            .connection
            .key
            .as_deref()
            .map(PublicKey::parse)
            .transpose()?;
        match (pinned, named) {
            (Some(pinned), Some(named)) if pinned != named => Err(Error::denied(format!(
                "its root key is pinned as {}, and the configuration names {}",
                pinned.id(),
                named.id()
            ))
            .hint(format!(
                "if its owner says that the key has changed: codex-ml registry connect {} {} --key {}",
                self.connection.name,
                self.url(),
                named.text()
            ))),
            (Some(key), _) | (None, Some(key)) => Ok(key),
            (None, None) => {
                let bytes = if self.is_offline() {
                    self.cache.any(registry::ABOUT, MAX_ABOUT).ok_or_else(nothing_cached)?
                } else {
                    fetch(self.transport.as_ref(), registry::ABOUT, MAX_ABOUT)?
                };
                let about: About = read(registry::ABOUT, &bytes)?;
                PublicKey::parse(&about.key)
            }
        }
    }

    fn signed_snapshot(&self, root: &PublicKey) -> Result<(Pair, Snapshot)> {
        let pair = self.pair(true)?;
        match Snapshot::verified(&pair.text, &pair.signature, root) {
            Ok(snapshot) => Ok((pair, snapshot)),
            Err(error) if self.is_offline() => Err(error),
            // Text and signature are two files, and may have been fetched while they were renewed; a cache may be
            // damaged. Both are cured by fetching both again; a wrong signature is not.
            Err(_) => {
                let pair = self.pair(false)?;
                let snapshot = Snapshot::verified(&pair.text, &pair.signature, root)?;
                Ok((pair, snapshot))
            }
        }
    }

    fn pair(&self, use_cache: bool) -> Result<Pair> {
        let cached = || {
            let text = self.cache.any(snapshot::FILE, MAX_SNAPSHOT)?;
            let signature = self.cache.any(snapshot::SIGNATURE, MAX_SIGNATURE)?;
            Some(Pair {
                text,
                signature,
                etag: None,
                fresh: false,
            })
        };
        if self.is_offline() {
            return cached().ok_or_else(nothing_cached);
        }
        let known = match &self.connection.address {
            Address::Web(_) if use_cache => cached(),
            _ => None,
        };
        let etag = known
            .as_ref()
            .and_then(|_| self.cache.any(ETAG, 256))
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let mut text = Vec::new();
        let request = Request {
            path: snapshot::FILE,
            etag: etag.as_deref(),
            limit: MAX_SNAPSHOT,
        };
        match (self.transport.get(request, &mut text)?, known) {
            (Answer::NotModified, Some(pair)) => Ok(pair),
            (Answer::Body { etag }, _) => {
                let signature = fetch(self.transport.as_ref(), snapshot::SIGNATURE, MAX_SIGNATURE)?;
                Ok(Pair {
                    text,
                    signature,
                    etag,
                    fresh: true,
                })
            }
            _ => Err(no_registry()),
        }
    }

    fn listed<T: DeserializeOwned>(
        &self,
        snapshot: &Snapshot,
        path: &str,
        limit: u64,
    ) -> Result<T> {
        read(path, &self.file(path, snapshot.file(path)?, limit)?)
    }

    /// Keeps what was believed; the ETag last, because it vouches for the other two.
    fn keep(&self, pair: &Pair) -> Result<()> {
        if !pair.fresh || !matches!(self.connection.address, Address::Web(_)) {
            return Ok(());
        }
        self.cache.keep(ETAG, b"")?;
        self.cache.keep(snapshot::FILE, &pair.text)?;
        self.cache.keep(snapshot::SIGNATURE, &pair.signature)?;
        match &pair.etag {
            Some(etag) => self.cache.keep(ETAG, etag.as_bytes()),
            None => Ok(()),
        }
    }

    fn remember(&self, known: Option<&Known>, root: &PublicKey, snapshot: &Snapshot) -> Result<()> {
        let now = Known {
            url: self.url(),
            registry: snapshot.registry.clone(),
            key: root.text(),
            snapshot: snapshot.version,
            pinned: known.map_or_else(|| timestamp(self.options.now), |known| known.pinned.clone()),
        };
        if known == Some(&now) {
            return Ok(());
        }
        now.write(&self.options.data, &self.connection.address)
    }
}

/// The name that a registry gives itself never changes, and is what its snapshots are made for.
fn check_name(known: Option<&Known>, snapshot: &Snapshot) -> Result<()> {
    match known {
        Some(known) if known.registry != snapshot.registry => Err(Error::denied(format!(
            "the snapshot is of registry {:?}, and this one calls itself {:?}",
            snapshot.registry, known.registry
        ))),
        _ => Ok(()),
    }
}

/// Fetches a small file into memory.
pub(super) fn fetch(transport: &dyn Transport, path: &str, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match transport.get(
        Request {
            path,
            etag: None,
            limit,
        },
        &mut bytes,
    )? {
        Answer::Body { .. } => Ok(bytes),
        _ if path == registry::ABOUT => Err(no_registry()),
        _ => Err(Error::data(format!("{path} is missing"))),
    }
}

fn read<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).or_error(|| Error::data(format!("{path} is damaged")))
}

fn nothing_cached() -> Error {
    Error::failed("nothing of it is in the cache").hint("run once without --offline")
}

fn no_registry() -> Error {
    Error::config("there is no registry at its address")
        .hint("the address must lead to the folder that holds registry.json and snapshot.json")
}
