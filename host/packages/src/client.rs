//! One registry as its user sees it: nothing is believed that the registry's pinned root key does not vouch for.
//!
//! The snapshot is fetched first, by ETag; it names the digest of every other file, so what lies in the cache with that
//! digest is not fetched again. Archives are cached by their digest. Whether the author's key is trusted is the affair
//! of [`crate::trust`].

mod cache;
mod known;
mod open;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use codex_plugin_api::{Error, Result};
use semver::Version;

use crate::archive::{Contents, Limits};
use crate::entry::FileDigest;
use crate::index::{Index, IndexEntry, MAX_INDEX};
use crate::keys::PublicKey;
use crate::registry::{self, Revoked, Yanked};
use crate::snapshot::Snapshot;
use crate::transport::{Address, Transport};
use crate::trust::{Published, Revocations};
use crate::{archive, keys, names};
use cache::Cache;
pub use known::Known;

/// A registry that the user or the project named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// What it is called here.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Its root key, where that is known; otherwise the first one seen is pinned.
    pub key: Option<String>,
}

/// Where a client keeps what it fetched and what it has seen.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cache folder; what is there can be fetched again.
    pub cache: PathBuf,
    /// The user's data folder; keeps root keys and the newest snapshot's number.
    pub data: PathBuf,
    /// Take what was fetched before, and connect to nothing.
    pub offline: bool,
    /// The time now.
    pub now: SystemTime,
}

/// A snapshot that was believed.
#[derive(Clone, Debug)]
pub struct Believed {
    /// What it says.
    pub snapshot: Snapshot,
    /// The registry's root key, that signed it.
    pub root: PublicKey,
    /// Whether this key was pinned just now; people should compare its id.
    pub first_use: bool,
    /// Whether it has expired; believed all the same because the user asked for what was fetched before.
    pub expired: bool,
    revoked: Revoked,
    yanked: Yanked,
    /// Its text and signature as they came.
    signed: (Vec<u8>, Vec<u8>),
}

/// What a registry says of one plugin.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its versions in the order in which they were published.
    pub entries: Vec<IndexEntry>,
    /// Keys, rotations and revocations, as trust needs them.
    pub published: Published,
    /// Lines that are not understood, with the reason.
    pub unreadable: Vec<String>,
}

/// A registry that is asked.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    options: Options,
    transport: Box<dyn Transport>,
    cache: Cache,
    believed: OnceLock<Believed>,
}

impl Client {
    /// A client that has asked nothing yet.
    pub fn new(connection: Connection, options: Options) -> Self {
        let transport = connection.address.transport();
        Self::with_transport(connection, options, transport)
    }

    /// A client with its own way to fetch.
    pub fn with_transport(
        connection: Connection,
        options: Options,
        transport: Box<dyn Transport>,
    ) -> Self {
        let cache = Cache::new(&options.cache, &connection.address);
        Self {
            connection,
            options,
            transport,
            cache,
            believed: OnceLock::new(),
        }
    }

    /// The registry.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The registry's address as it is recorded.
    pub fn url(&self) -> String {
        self.connection.address.url()
    }

    /// Whether nothing is fetched over the network. A folder is read all the same.
    fn is_offline(&self) -> bool {
        self.options.offline && matches!(self.connection.address, Address::Web(_))
    }

    /// The snapshot, fetched and checked on the first call.
    ///
    /// # Errors
    /// When it cannot be had, was not signed by the pinned key, is older than one seen before, or has expired; each names
    /// the registry.
    pub fn snapshot(&self) -> Result<&Believed> {
        if let Some(believed) = self.believed.get() {
            return Ok(believed);
        }
        let believed = self.believe().map_err(|error| self.named(error))?;
        Ok(self.believed.get_or_init(|| believed))
    }

    /// The names of all plugins, sorted.
    ///
    /// # Errors
    /// Like [`Self::snapshot`].
    pub fn names(&self) -> Result<Vec<String>> {
        let name = |path: &String| {
            let name = path.strip_prefix("index/")?.strip_suffix(".ndjson")?;
            Some(name.to_owned())
        };
        Ok(self
            .snapshot()?
            .snapshot
            .files
            .keys()
            .filter_map(name)
            .collect())
    }

    /// What the registry says of a plugin; none when it does not know the name.
    ///
    /// # Errors
    /// Like [`Self::snapshot`], and when the plugin's index is not what the snapshot says, or damaged.
    pub fn package(&self, name: &str) -> Result<Option<Package>> {
        names::check(name)?;
        let believed = self.snapshot()?;
        let path = registry::index_path(name);
        let Some(digest) = believed.snapshot.files.get(&path) else {
            return Ok(None);
        };
        let root = believed.root.text();
        let parsed = self
            .file(&path, digest, MAX_INDEX)
            .and_then(|bytes| Index::parse(name, &bytes, &root));
        let index = parsed.map_err(|error| self.named(error))?;
        let mut entries = index.entries;
        for entry in &mut entries {
            entry.yanked = believed
                .yanked
                .reason(&entry.entry.name, &entry.entry.version);
            entry.revoked = believed
                .revoked
                .reason(&entry.key_id, &entry.entry.archive.sha256);
        }
        let mut published = Published {
            root,
            rotations: index.rotations,
            revoked: believed.revoked.to_trust(),
            ..Published::default()
        };
        for entry in &entries {
            if !published.keys.contains(&entry.key) {
                published.keys.push(entry.key.clone());
            }
        }
        if let Some(owner) = index.owner.filter(|owner| !published.keys.contains(owner)) {
            published.keys.push(owner);
        }
        Ok(Some(Package {
            entries,
            published,
            unreadable: index.unreadable,
        }))
    }

    /// The versions of a plugin; none when the registry does not know the name.
    ///
    /// # Errors
    /// Like [`Self::package`].
    pub fn versions(&self, name: &str) -> Result<Vec<IndexEntry>> {
        Ok(self
            .package(name)?
            .map(|package| package.entries)
            .unwrap_or_default())
    }

    /// What the registry took back.
    ///
    /// # Errors
    /// Like [`Self::snapshot`].
    pub fn revocations(&self) -> Result<Revocations> {
        Ok(self.snapshot()?.revoked.to_trust())
    }

    /// The yanked versions with the reasons.
    ///
    /// # Errors
    /// Like [`Self::snapshot`].
    pub fn yanked(&self) -> Result<BTreeMap<(String, Version), String>> {
        Ok(self.snapshot()?.yanked.to_map())
    }

    /// The archive of a version as a file in the cache, with exactly this size and digest. What is in the cache is not
    /// fetched again, and needs no snapshot: what a lock names can be had offline.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when the registry has other bytes there,
    /// [`codex_plugin_api::ErrorKind::Failed`] when they cannot be had.
    pub fn fetch(&self, name: &str, version: &Version, digest: &FileDigest) -> Result<PathBuf> {
        self.check_declared(name, version, digest)?;
        match self.cache.archive(digest) {
            Some(path) => Ok(path),
            None => self.fetch_anew(name, version, digest),
        }
    }

    /// Unpacks the archive of a version into an empty folder. From a folder of this disk it is read where it lies, once:
    /// whoever reads it checks it, and a second copy beside the first would be of no use. What comes from elsewhere,
    /// another drive included, is kept in the cache.
    ///
    /// # Errors
    /// Those of [`Self::fetch`], and of [`archive::unpack`].
    pub fn unpack(
        &self,
        name: &str,
        version: &Version,
        digest: &FileDigest,
        into: &Path,
    ) -> Result<Contents> {
        self.check_declared(name, version, digest)?;
        let limits = Limits::default();
        let path = match (self.cache.archive(digest), &self.connection.address) {
            (Some(cached), _) => cached,
            (None, Address::Folder(root)) if self.cache.is_on_the_disk_of(root) => {
                let path = root.join(registry::archive_path(name, version));
                if path.is_file() {
                    return archive::unpack(&path, Some(digest), into, &limits)
                        .map_err(|error| self.named(error));
                }
                self.fetch_anew(name, version, digest)?
            }
            _ => self.fetch_anew(name, version, digest)?,
        };
        archive::unpack(&path, Some(digest), into, &limits)
    }

    fn check_declared(&self, name: &str, version: &Version, digest: &FileDigest) -> Result<()> {
        names::check(name)?;
        let limit = Limits::default().archive;
        if !digest.is_well_formed() || digest.size > limit {
            return Err(self.named(Error::data(format!(
                "{name} {version} declares an archive of {} bytes with SHA-256 {:?}, and {limit} bytes are allowed",
                digest.size, digest.sha256
            ))));
        }
        Ok(())
    }

    /// Fetches an archive that is not in the cache into it.
    fn fetch_anew(&self, name: &str, version: &Version, digest: &FileDigest) -> Result<PathBuf> {
        if self.is_offline() {
            return Err(self.named(
                Error::failed(format!(
                    "the archive of {name} {version} is not in the cache"
                ))
                .hint("leave --offline away to fetch it"),
            ));
        }
        let path = registry::archive_path(name, version);
        self.cache
            .fetch_archive(self.transport.as_ref(), &path, digest)
            .map_err(|error| self.named(error))
    }

    /// The snapshot's text and signature, as a copy of the registry needs them.
    pub(crate) fn signed_text(&self) -> Result<&(Vec<u8>, Vec<u8>)> {
        Ok(&self.snapshot()?.signed)
    }

    /// A file that the snapshot names, from the cache or the registry.
    pub(crate) fn file(&self, path: &str, digest: &FileDigest, limit: u64) -> Result<Vec<u8>> {
        if digest.size > limit {
            return Err(Error::data(format!(
                "{path} has {} bytes, and {limit} are allowed",
                digest.size
            )));
        }
        if let Some(bytes) = self.cache.file(path, digest) {
            return Ok(bytes);
        }
        if self.is_offline() {
            return Err(Error::failed(format!("{path} is not in the cache"))
                .hint("leave --offline away to fetch it"));
        }
        let bytes = open::fetch(self.transport.as_ref(), path, limit)?;
        if FileDigest::of(&bytes) != *digest {
            return Err(Error::data(format!("{path} is not the file that the registry's snapshot names"))
                .hint("it may be changing just now: try again; if that does not help, somebody changed it, or its owner must run codex-ml registry renew"));
        }
        if matches!(self.connection.address, Address::Web(_)) {
            self.cache.keep(path, &bytes)?;
        }
        Ok(bytes)
    }

    /// An error with the registry's name in front.
    fn named(&self, error: Error) -> Error {
        let message = format!("registry {}: {}", self.connection.name, error.message());
        error.with_message(message)
    }
}

impl Connection {
    /// A registry named in a file of `base`'s folder, or on the command line.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for an address or a key that is none.
    pub fn new(name: &str, address: &str, key: Option<&str>, base: &Path) -> Result<Self> {
        names::check(name)?;
        if let Some(key) = key {
            keys::key_id(key)?;
        }
        Ok(Self {
            name: name.to_owned(),
            address: Address::parse(address, base)?,
            key: key.map(ToOwned::to_owned),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
