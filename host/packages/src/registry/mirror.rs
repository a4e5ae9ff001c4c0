//! A copy of a registry, byte for byte: what its root key signed holds for the copy as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};

use super::archive_path;
use super::folder::persist;
use crate::client::Client;
use crate::entry::FileDigest;
use crate::index::MAX_INDEX;
use crate::snapshot;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrored {
    /// The number of the snapshot.
    pub snapshot: u64,
    /// Plugins whose archives are in the copy.
    pub plugins: usize,
    /// Archives that were copied now.
    pub copied: usize,
    /// Archives that were there already.
    pub kept: usize,
    /// Bytes of the archives that were copied now.
    pub bytes: u64,
}

/// Copies the registry behind `client` into a folder, or brings an earlier copy up to date: every index, and the archives
/// of `only` these plugins where some are named. Everything is checked on the way; the snapshot comes last, so a copy that
/// is cut off is still the copy that it was.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] for a name that the registry does not know; otherwise as the client says.
pub fn mirror(client: &Client, to: &Path, only: &[String]) -> Result<Mirrored> {
    let believed = client.snapshot()?;
    let names = client.names()?;
    if let Some(unknown) = only.iter().find(|name| !names.contains(name)) {
        return Err(Error::config(format!(
            "registry {} has no plugin {unknown}",
            client.connection().name
        )));
    }
    let chosen: BTreeSet<&String> = names
        .iter()
        .filter(|name| only.is_empty() || only.contains(name))
        .collect();
    let mut mirrored = Mirrored {
        snapshot: believed.snapshot.version,
        plugins: chosen.len(),
        ..Mirrored::default()
    };
    for name in chosen {
        for entry in client.versions(name)? {
            entry.verify()?;
            let digest = &entry.entry.archive;
            let place = to.join(archive_path(name, &entry.entry.version));
            if place.exists() && FileDigest::of_file(&place)? == *digest {
                mirrored.kept += 1;
                continue;
            }
            let from = client.fetch(name, &entry.entry.version, digest)?;
            write(
                &place,
                &fs::read(&from)
                    .or_error(|| Error::failed(format!("cannot read {}", from.display())))?,
            )?;
            mirrored.copied += 1;
            mirrored.bytes += digest.size;
        }
    }
    for (path, digest) in &believed.snapshot.files {
        write(&to.join(path), &client.file(path, digest, MAX_INDEX)?)?;
    }
    let (text, signature) = client.signed_text()?;
    write(&to.join(snapshot::SIGNATURE), signature)?;
    write(&to.join(snapshot::FILE), text)?;
    Ok(mirrored)
}

fn write(place: &Path, bytes: &[u8]) -> Result<()> {
    let created = || {
        let folder = place.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        Ok::<_, std::io::Error>(file)
    };
    let file = created().or_error(|| Error::failed(format!("cannot write {}", place.display())))?;
    persist(file, place)
}
