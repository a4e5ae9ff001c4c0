//! Changes to a registry's folder. One at a time, each finished by a new snapshot: what was not signed is not believed,
//! so a change that is cut off is finished by `renew` or by making it again. What authors publish is added in
//! [`published`], what is taken back in [`taken_back`].

mod published;
mod taken_back;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use codex_plugin_api::{Context, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::index_path;
use super::{ABOUT, About, MAX_ABOUT, MAX_LIST, REVOKED, Revoked, YANKED, Yanked};
use crate::entry::{Entry, FileDigest};
use crate::index::{Index, MAX_INDEX};
use crate::keys::{PublicKey, SecretKey};
use crate::names;
use crate::snapshot::{self, FORMAT, MAX_SNAPSHOT, Snapshot, later, timestamp};

/// The file that is locked while a registry is changed. It begins with a dot, so that web servers do not serve it.
const LOCK: &str = ".lock";

/// How long a snapshot is believed where nothing else was said.
pub const USUAL_SPAN: Duration = Duration::from_hours(90 * 24);

/// A registry's folder that is being changed; nobody else changes it meanwhile.
#[derive(Debug)]
pub struct Registry {
    root: PathBuf,
    about: About,
    /// Held until this is dropped.
    _lock: File,
}

/// A version that was added.
#[derive(Clone, Debug)]
pub struct Added {
    /// What it says.
    pub entry: Entry,
    /// Whether it was there before with exactly this content.
    pub again: bool,
    /// A name in the registry that could be mistaken for it, where its name is new.
    pub resembles: Option<String>,
}

impl Registry {
    /// Makes an empty registry in a folder, signed by its root key.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when the name is no name or a registry is there already.
    pub fn init(root: &Path, name: &str, key: &SecretKey, expires: SystemTime) -> Result<Self> {
        names::check(name).map_err(|error| {
            let message = error.message().replace("plugin name", "registry name");
            error.with_message(message)
        })?;
        if root.join(ABOUT).exists() {
            return Err(Error::config(format!(
                "there is a registry in {} already",
                root.display()
            )));
        }
        let failed = || Error::failed(format!("cannot create {}", root.display()));
        fs::create_dir_all(root.join("index")).or_error(failed)?;
        fs::create_dir_all(root.join("archives")).or_error(failed)?;
        let lock = lock(root)?;
        let about = About {
            format: FORMAT,
            name: name.to_owned(),
            key: key.public().text(),
        };
        let registry = Self {
            root: root.to_owned(),
            about,
            _lock: lock,
        };
        registry.write_json(YANKED, &Yanked::default())?;
        registry.write_json(REVOKED, &Revoked::default())?;
        registry.write_json(ABOUT, &registry.about)?;
        registry.renew(key, expires)?;
        Ok(registry)
    }

    /// Opens a registry's folder for a change; waits while somebody else changes it.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when there is none.
    pub fn open(root: &Path) -> Result<Self> {
        if !root.join(ABOUT).is_file() {
            return Err(
                Error::config(format!("there is no registry in {}", root.display()))
                    .hint("codex-ml registry init makes one"),
            );
        }
        let lock = lock(root)?;
        let about: About = parse(ABOUT, &read(&root.join(ABOUT), MAX_ABOUT)?)?;
        if about.format != FORMAT {
            return Err(Error::data(format!(
                "{ABOUT} has format {}, and this codex-ml writes {FORMAT}",
                about.format
            )));
        }
        Ok(Self {
            root: root.to_owned(),
            about,
            _lock: lock,
        })
    }

    /// What it calls itself, and its key.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its root key.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when `registry.json` holds none.
    pub fn root_key(&self) -> Result<PublicKey> {
        PublicKey::parse(&self.about.key)
    }

    /// Whether a key may sign snapshots.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when it may not, naming both keys.
    pub fn check_root(&self, key: &SecretKey) -> Result<()> {
        let root = self.root_key()?;
        if *key.public() == root {
            return Ok(());
        }
        Err(Error::config(format!(
            "key {} is not the root key of registry {}, which is {}",
            key.public().id(),
            self.about.name,
            root.id()
        ))
        .hint("only the root key can sign what the registry says: give it with --key"))
    }

    /// The index of a plugin; empty when there is none.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when it is damaged.
    pub fn index(&self, name: &str) -> Result<Index> {
        Index::parse(name, &self.index_bytes(name)?, &self.about.key)
    }

    fn index_bytes(&self, name: &str) -> Result<Vec<u8>> {
        names::check(name)?;
        let path = self.root.join(index_path(name));
        if path.exists() {
            read(&path, MAX_INDEX)
        } else {
            Ok(Vec::new())
        }
    }

    /// The names of all plugins, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let folder = self.root.join("index");
        let failed = || Error::failed(format!("cannot read {}", folder.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).or_error(failed)? {
            let name = entry.or_error(failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".ndjson"));
            names.extend(
                name.filter(|name| names::check(name).is_ok())
                    .map(ToOwned::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    fn unknown(&self, name: &str) -> Error {
        let error = Error::config(format!("the registry has no plugin {name}"));
        let known = self.names().unwrap_or_default();
        match names::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("codex-ml registry verify lists what it has"),
        }
    }

    fn yanked(&self) -> Result<Yanked> {
        parse(YANKED, &read(&self.root.join(YANKED), MAX_LIST)?)
    }

    fn revoked(&self) -> Result<Revoked> {
        parse(REVOKED, &read(&self.root.join(REVOKED), MAX_LIST)?)
    }

    /// Signs what is in the folder now: the last step of every change, and by itself the way to prolong a snapshot.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when the key is not the root key.
    pub fn renew(&self, key: &SecretKey, expires: SystemTime) -> Result<Snapshot> {
        self.check_root(key)?;
        let mut files = BTreeMap::new();
        for path in [ABOUT, YANKED, REVOKED].map(ToOwned::to_owned) {
            files.insert(path.clone(), FileDigest::of_file(&self.root.join(path))?);
        }
        for name in self.names()? {
            let path = index_path(&name);
            files.insert(path.clone(), FileDigest::of_file(&self.root.join(path))?);
        }
        let snapshot = Snapshot {
            format: FORMAT,
            registry: self.about.name.clone(),
            version: self.last_version()? + 1,
            created: timestamp(SystemTime::now()),
            expires: timestamp(later(expires, Duration::ZERO)),
            files,
        };
        let (text, signature) = snapshot.sign(key)?;
        self.write(snapshot::SIGNATURE, signature.as_bytes())?;
        self.write(snapshot::FILE, text.as_bytes())?;
        Ok(snapshot)
    }

    /// The number of the snapshot that is there. Its signature may be of the next one already, if that was cut off, so
    /// the number is taken unsigned: who can write here could do worse.
    fn last_version(&self) -> Result<u64> {
        let path = self.root.join(snapshot::FILE);
        if !path.exists() {
            return Ok(0);
        }
        let snapshot: Snapshot = parse(snapshot::FILE, &read(&path, MAX_SNAPSHOT)?)?;
        Ok(snapshot.version)
    }

    fn write_json(&self, path: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)
            .or_error(|| Error::failed(format!("cannot write {path}")))?;
        text.push('\n');
        self.write(path, text.as_bytes())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let place = self.root.join(path);
        let created = || {
            let folder = place.parent().unwrap_or(&self.root);
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            Ok::<_, std::io::Error>(file)
        };
        let file =
            created().or_error(|| Error::failed(format!("cannot write {}", place.display())))?;
        persist(file, &place)
    }
}

/// Gives a finished file its name; web servers run as another user, so everybody may read it.
pub(super) fn persist(file: tempfile::NamedTempFile, place: &Path) -> Result<()> {
    let failed = || Error::failed(format!("cannot write {}", place.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))
            .or_error(failed)?;
    }
    file.as_file().sync_all().or_error(failed)?;
    file.persist(place)
        .map_err(|error| error.error)
        .or_error(failed)?;
    Ok(())
}

fn lock(root: &Path) -> Result<File> {
    let path = root.join(LOCK);
    let locked = || {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    };
    locked().or_error(|| Error::failed(format!("cannot lock {}", path.display())))
}

pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let failed = || Error::failed(format!("cannot read {}", path.display()));
    let file = File::open(path).or_error(failed)?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .or_error(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Error::data(format!(
            "{} has more than {limit} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

pub(super) fn parse<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).or_error(|| Error::data(format!("{path} is damaged")))
}
