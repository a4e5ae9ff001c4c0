//! What authors publish: versions, and names that are handed from key to key. Nothing is added that a reader would refuse.

use std::fs::{self, File};
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};

use super::{Added, Registry, persist};
use crate::archive::{self, Limits};
use crate::entry::{Entry, FileDigest, SignedEntry};
use crate::index::{Index, Line, precedence};
use crate::keys::PublicKey;
use crate::names;
use crate::registry::{archive_path, index_path};
use crate::trust::SignedRotation;

impl Registry {
    /// Adds a version: checks the package whole, the signature, that the name belongs to the key and that the version is
    /// new. Adding the very same again changes nothing. The caller renews the snapshot.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when package and entry do not fit, [`codex_plugin_api::ErrorKind::Denied`]
    /// for a wrong signature or a name that belongs to another key, [`codex_plugin_api::ErrorKind::Config`] for a version
    /// that is there with other content.
    pub fn add(&self, package: &Path, signed: &SignedEntry, key: &PublicKey) -> Result<Added> {
        let entry = self.check_package(package, signed, key)?;
        let bytes = self.index_bytes(&entry.name)?;
        let index = Index::parse(&entry.name, &bytes, &self.about.key)?;
        let mut versions = index.entries.iter();
        if let Some(there) =
            versions.find(|there| precedence(&there.entry.version) == precedence(&entry.version))
        {
            if there.entry != entry || there.key != key.text() {
                return Err(Error::config(format!(
                    "{} {} is in the registry already, with other content",
                    entry.name, entry.version
                ))
                .hint("a version never changes: give the plugin a new version"));
            }
            self.place_archive(package, &entry)?;
            return Ok(Added {
                entry,
                again: true,
                resembles: None,
            });
        }
        let line = Line {
            entry: Some(signed.entry.clone()),
            signature: signed.signature.clone(),
            key: Some(key.text()),
            rotation: None,
        };
        let bytes = appended(bytes, &line)?;
        // The same rules as every reader has: whose name it is, above all.
        Index::parse(&entry.name, &bytes, &self.about.key)
            .map_err(|error| error.with_kind(codex_plugin_api::ErrorKind::Denied))?;
        let known = if index.entries.is_empty() {
            self.names()?
        } else {
            Vec::new()
        };
        let resembles =
            names::resembles(&entry.name, known.iter().map(String::as_str)).map(ToOwned::to_owned);
        self.place_archive(package, &entry)?;
        self.write(&index_path(&entry.name), &bytes)?;
        Ok(Added {
            entry,
            again: false,
            resembles,
        })
    }

    fn check_package(
        &self,
        package: &Path,
        signed: &SignedEntry,
        key: &PublicKey,
    ) -> Result<Entry> {
        let entry: Entry = serde_json::from_str(&signed.entry)
            .or_error(|| Error::data("the signed entry is damaged"))?;
        key.verify(signed.entry.as_bytes(), &signed.signature)?;
        let contents = archive::inspect(package, Some(&entry.archive), &Limits::default())?;
        names::check(&entry.name)?;
        if contents.entry() != entry {
            return Err(Error::data(format!(
                "the signed entry is not that of package {}",
                package.display()
            ))
            .hint("sign the package again: codex-ml plugin sign"));
        }
        let revoked = self.revoked()?;
        if let Some(reason) = revoked.reason(&key.id(), &entry.archive.sha256) {
            return Err(Error::denied(format!(
                "{} {} cannot be added: {reason}",
                entry.name, entry.version
            )));
        }
        Ok(entry)
    }

    fn place_archive(&self, package: &Path, entry: &Entry) -> Result<()> {
        let path = archive_path(&entry.name, &entry.version);
        let place = self.root.join(&path);
        if place.exists() && FileDigest::of_file(&place)? == entry.archive {
            return Ok(());
        }
        let failed = || Error::failed(format!("cannot write {}", place.display()));
        let folder = place.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).or_error(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(folder).or_error(failed)?;
        let source = File::open(package)
            .or_error(|| Error::failed(format!("cannot read {}", package.display())))?;
        let mut source = crate::digest::HashingReader::new(source);
        std::io::copy(&mut source, &mut file).or_error(failed)?;
        if source.finish() != entry.archive {
            return Err(Error::failed(format!(
                "package {} changed while it was read",
                package.display()
            ))
            .hint("try again"));
        }
        persist(file, &place)
    }

    /// Hands a name to another key: `old` signs.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Denied`] when the name does not belong to the key that signed.
    pub fn rotate(&self, name: &str, signed: &SignedRotation) -> Result<()> {
        let line = Line {
            rotation: Some(signed.rotation.clone()),
            signature: signed.signature.clone(),
            ..Line::default()
        };
        let bytes = self.index_bytes(name)?;
        if bytes.is_empty() {
            return Err(self.unknown(name));
        }
        let bytes = appended(bytes, &line)?;
        Index::parse(name, &bytes, &self.about.key)
            .map_err(|error| error.with_kind(codex_plugin_api::ErrorKind::Denied))?;
        self.write(&index_path(name), &bytes)
    }
}

fn appended(mut bytes: Vec<u8>, line: &Line) -> Result<Vec<u8>> {
    let text = serde_json::to_string(line)
        .or_error(|| Error::failed("cannot write a line of an index"))?;
    if !bytes.is_empty() && bytes.last() != Some(&b'\n') {
        bytes.push(b'\n');
    }
    bytes.extend(text.bytes().chain([b'\n']));
    Ok(bytes)
}
