//! The memory mapping of a token store: the one place where the host maps a file.
#![allow(
    unsafe_code,
    reason = "a mapping is sound only as long as nobody writes to the file, which the language cannot check"
)]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// A file's bytes, paged in when touched.
#[derive(Debug)]
pub(super) struct Mapped(Mmap);

impl Mapped {
    /// Maps a whole file for reading.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the bytes are only read, as plain integers of any value. A store's file is written under another
        // name, synced, and renamed into place (`build`); nothing in this program opens it for writing afterwards, and
        // replacing it by another rename leaves the mapped file as it is.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self(map))
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
