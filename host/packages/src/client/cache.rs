//! What was fetched before, kept by registry and by digest. Nothing here is believed: who takes a file out checks it.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};
use sha2::{Digest, Sha256};

use crate::digest::{hex, sha256};
use crate::entry::FileDigest;
use crate::transport::{Address, Answer, Request, Transport};

/// The folders of one registry and of all archives.
#[derive(Debug)]
pub(super) struct Cache {
    registry: PathBuf,
    archives: PathBuf,
}

impl Cache {
    pub(super) fn new(cache: &Path, address: &Address) -> Self {
        let root = cache.join("registries");
        Self {
            registry: root.join(folder_name(address)),
            archives: root.join("archives"),
        }
    }

    /// A file with exactly this content, if it is there.
    pub(super) fn file(&self, path: &str, digest: &FileDigest) -> Option<Vec<u8>> {
        let place = self.registry.join(path);
        // The size first: a damaged cache must not fill the memory.
        if fs::metadata(&place).ok()?.len() != digest.size {
            return None;
        }
        let bytes = fs::read(place).ok()?;
        (FileDigest::of(&bytes) == *digest).then_some(bytes)
    }

    /// A file whatever it holds, up to `limit` bytes.
    pub(super) fn any(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        let place = self.registry.join(path);
        (fs::metadata(&place).ok()?.len() <= limit).then(|| fs::read(place).ok())?
    }

    /// Keeps a file, in one step.
    pub(super) fn keep(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let place = self.registry.join(path);
        let kept = || {
            let folder = place.parent().unwrap_or(&self.registry);
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            file.persist(&place).map_err(|error| error.error).map(drop)
        };
        kept().or_error(|| cannot_write(&place))
    }

    /// Whether a folder is on the disk that holds this cache, as far as the system tells: what lies there is as near and
    /// stays as long.
    pub(super) fn is_on_the_disk_of(&self, folder: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let disk = |path: &Path| {
                let there = path.ancestors().find_map(|path| fs::metadata(path).ok());
                there.map(|metadata| metadata.dev())
            };
            disk(&self.archives).is_some_and(|own| Some(own) == disk(folder))
        }
        #[cfg(not(unix))]
        {
            let _ = folder;
            false
        }
    }

    /// Where an archive would be.
    fn place(&self, digest: &FileDigest) -> PathBuf {
        self.archives
            .join(format!("{}{}", digest.sha256, crate::archive::EXTENSION))
    }

    /// An archive with exactly this content, if it is there; a damaged one is removed.
    pub(super) fn archive(&self, digest: &FileDigest) -> Option<PathBuf> {
        let place = self.place(digest);
        let size = fs::metadata(&place).ok()?.len();
        if size == digest.size && FileDigest::of_file(&place).ok()? == *digest {
            return Some(place);
        }
        let _ = fs::remove_file(&place);
        None
    }

    /// Fetches an archive into the cache, hashing what comes.
    pub(super) fn fetch_archive(
        &self,
        transport: &dyn Transport,
        path: &str,
        digest: &FileDigest,
    ) -> Result<PathBuf> {
        let place = self.place(digest);
        let created = || {
            fs::create_dir_all(&self.archives)?;
            tempfile::NamedTempFile::new_in(&self.archives)
        };
        let mut file = created().or_error(|| cannot_write(&place))?;
        let request = Request {
            path,
            etag: None,
            limit: digest.size,
        };
        let Some(found) = download(transport, request, file.as_file_mut())? else {
            return Err(Error::data(format!("{path} is missing"))
                .hint("its index names the archive: tell the registry's owner, codex-ml registry verify finds it"));
        };
        if found != *digest {
            return Err(Error::data(format!(
                "{path} is not the archive that was signed: expected {} bytes with SHA-256 {}, found {} with {}",
                digest.size, digest.sha256, found.size, found.sha256
            ))
            .hint("it was damaged or replaced: try again, and tell the registry's owner if that does not help"));
        }
        file.persist(&place)
            .map_err(|error| error.error)
            .or_error(|| cannot_write(&place))?;
        Ok(place)
    }
}

/// Writes what comes into a file; none when there is nothing.
fn download(
    transport: &dyn Transport,
    request: Request<'_>,
    file: &mut fs::File,
) -> Result<Option<FileDigest>> {
    let mut hashed = Hashed {
        inner: BufWriter::with_capacity(1 << 18, file),
        hash: Sha256::new(),
        size: 0,
    };
    if !matches!(transport.get(request, &mut hashed)?, Answer::Body { .. }) {
        return Ok(None);
    }
    hashed
        .flush()
        .or_error(|| Error::failed("cannot write what is fetched"))?;
    Ok(Some(FileDigest {
        size: hashed.size,
        sha256: hex(&hashed.hash.finalize()),
    }))
}

struct Hashed<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn cannot_write(place: &Path) -> Error {
    Error::failed(format!("cannot write {}", place.display()))
        .hint("free some space there, or choose another place with CODEX_ML_CACHE_DIR")
}

/// A registry's folder name: recognisable for people, and different for every address.
pub(super) fn folder_name(address: &Address) -> String {
    let url = address.url();
    let host = url.split("://").nth(1).unwrap_or_default();
    let shown: String = host
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .take(32)
        .collect();
    format!(
        "{}-{}",
        shown.trim_matches(['-', '.']),
        &sha256(url.as_bytes())[..16]
    )
}
