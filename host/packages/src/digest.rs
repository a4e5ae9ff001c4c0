//! Sizes and SHA-256 digests of files, taken while they are read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};
use sha2::{Digest, Sha256};

use crate::entry::FileDigest;

/// The SHA-256 of bytes in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

impl FileDigest {
    /// Size and digest of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            size: bytes.len() as u64,
            sha256: sha256(bytes),
        }
    }

    /// Size and digest of a file.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when it cannot be read.
    pub fn of_file(path: &Path) -> Result<Self> {
        let hashed = || -> io::Result<Self> {
            let mut reader = HashingReader::new(File::open(path)?);
            io::copy(&mut reader, &mut io::sink())?;
            Ok(reader.finish())
        };
        hashed().or_error(|| Error::failed(format!("cannot read {}", path.display())))
    }

    /// Whether the digest is one at all: 64 digits in lower case.
    pub fn is_well_formed(&self) -> bool {
        self.sha256.len() == 64
            && self
                .sha256
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }
}

/// Hashes and counts what is read through it.
pub struct HashingReader<R> {
    inner: R,
    hash: Sha256,
    size: u64,
}

impl<R: Read> HashingReader<R> {
    /// A reader that has read nothing yet.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }

    /// Size and digest of what was read.
    pub fn finish(self) -> FileDigest {
        self.into_parts().0
    }

    /// Size and digest of what was read, and what it was read from.
    pub(crate) fn into_parts(self) -> (FileDigest, R) {
        let digest = FileDigest {
            size: self.size,
            sha256: hex(&self.hash.finalize()),
        };
        (digest, self.inner)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }
}

impl<R> std::fmt::Debug for HashingReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HashingReader({} bytes)", self.size)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_files_have_the_same_digest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        let digest = FileDigest::of_file(file.path()).unwrap();
        assert_eq!(digest, FileDigest::of(b"abc"));
        assert!(digest.sha256.starts_with("ba7816bf") && digest.is_well_formed());
        assert_eq!(digest.size, 3);
    }
}
