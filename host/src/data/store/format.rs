//! The layout of a token store's file, little-endian throughout:
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `codextok` |
//! | 8–11, 12–15 | version, length of this header (160) |
//! | 16–47 | the key: SHA-256 of everything that changes the content |
//! | 48–79 | tokens, documents, bytes of text, empty documents (`u64` each) |
//! | 80–83, 84–87 | largest id, zero |
//! | 88–119 | SHA-256 of all that follows the header |
//! | 120–127 | zero |
//! | 128–159 | SHA-256 of bytes 0–127 |
//! | 160– | the ids (`u32`), zeros up to a multiple of 8, where each document begins (`u64`) |

use std::ops::Range;

use sha2::{Digest, Sha256};

/// Changes with every change of the layout or of how documents become ids.
pub(super) const VERSION: u32 = 1;

/// Length of the header in bytes.
pub(super) const HEADER: usize = 160;

const MAGIC: &[u8; 8] = b"codextok";

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) key: [u8; 32],
    pub(super) tokens: u64,
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) empty_documents: u64,
    pub(super) largest_id: u32,
    pub(super) content: [u8; 32],
}

impl Header {
    /// The header as it stands in the file.
    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(HEADER as u32).to_le_bytes());
        bytes[16..48].copy_from_slice(&self.key);
        let counts = [
            self.tokens,
            self.documents,
            self.bytes,
            self.empty_documents,
        ];
        for (at, count) in (48..).step_by(8).zip(counts) {
            bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
        }
        bytes[80..84].copy_from_slice(&self.largest_id.to_le_bytes());
        bytes[88..120].copy_from_slice(&self.content);
        let digest = Sha256::digest(&bytes[..128]);
        bytes[128..].copy_from_slice(&digest);
        bytes
    }

    /// Reads the header of a whole file and compares the file's size with what it promises. The error says what is
    /// wrong, to be read after the file's name.
    pub(super) fn parse(file: &[u8]) -> Result<Self, String> {
        let Some(bytes) = file.first_chunk::<HEADER>() else {
            return Err(format!("is truncated ({} bytes)", file.len()));
        };
        if &bytes[..8] != MAGIC {
            return Err("is not a token store".into());
        }
        let version = u32::from_le_bytes(array(bytes, 8));
        if version != VERSION {
            return Err(format!(
                "has format {version}, this program reads {VERSION}"
            ));
        }
        if bytes[128..] != Sha256::digest(&bytes[..128])[..] {
            return Err("has a damaged header".into());
        }
        let count = |at| u64::from_le_bytes(array(bytes, at));
        let header = Self {
            key: array(bytes, 16),
            tokens: count(48),
            documents: count(56),
            bytes: count(64),
            empty_documents: count(72),
            largest_id: u32::from_le_bytes(array(bytes, 80)),
            content: array(bytes, 88),
        };
        let due = header.starts().end as u64;
        if file.len() as u64 != due {
            return Err(format!("has {} bytes where {due} are due", file.len()));
        }
        Ok(header)
    }

    /// Where in the file the ids of a range of the stream stand.
    pub(super) fn ids(&self, range: &Range<u64>) -> Range<usize> {
        debug_assert!(range.end <= self.tokens);
        HEADER + 4 * range.start as usize..HEADER + 4 * range.end as usize
    }

    /// Where in the file the beginnings of documents stand.
    pub(super) fn starts(&self) -> Range<usize> {
        let start = (HEADER + 4 * self.tokens as usize).next_multiple_of(8);
        start..start + 8 * self.documents as usize
    }
}

fn array<const N: usize>(bytes: &[u8; HEADER], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
