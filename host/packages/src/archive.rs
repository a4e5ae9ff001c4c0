//! Packages: one archive with a plugin's manifest, its artifacts and what belongs to them.
//!
//! A package is a tar archive compressed with zstd, the same bytes for the same input: members are sorted, without
//! times, owners and modes. Its first member, `package.json`, lists the others with size and SHA-256, so a reader knows
//! what comes before it comes. Reading trusts nothing: every limit is checked before the bytes are taken.

mod contents;
mod pack;
mod unpack;

use std::path::PathBuf;

pub use contents::{Contents, file_name};
pub use pack::{Packed, pack};
pub use unpack::{inspect, unpack};

/// The name of the list, and of the first member.
pub const LIST: &str = "package.json";

/// The manifest's name in a package.
pub const MANIFEST: &str = "plugin.toml";

/// The extension of a package's file name.
pub const EXTENSION: &str = ".tar.zst";

/// The version of the format of packages.
pub const FORMAT: u32 = 1;

/// What a reader takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive.
    pub archive: u64,
    /// Bytes of all files together.
    pub unpacked: u64,
    /// Bytes of the list, `package.json`.
    pub list: u64,
    /// Number of files.
    pub files: usize,
    /// Bytes that one byte of the archive may become, once that is more than [`Limits::RATIO_FROM`].
    pub ratio: u64,
    /// Bytes of a path.
    pub path: usize,
}

impl Limits {
    /// The ratio is not asked for below this many bytes: small files of nothing but zeros harm nobody.
    pub const RATIO_FROM: u64 = 4 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive: 1 << 30,
            unpacked: 4 << 30,
            list: 1 << 20,
            files: 1000,
            ratio: 100,
            path: 200,
        }
    }
}

/// Where a file of a package comes from.
#[derive(Clone, Debug)]
pub enum Content {
    /// From a file.
    File(PathBuf),
    /// From memory.
    Bytes(Vec<u8>),
}

/// One file to pack.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its path in the package, with `/`.
    pub path: String,
    /// What it holds.
    pub content: Content,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
