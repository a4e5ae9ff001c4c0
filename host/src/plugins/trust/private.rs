//! A copy of a native library that nobody but this user can reach, made while its digest is taken: what was compared is
//! what is opened, whatever happens to the original meanwhile.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use codex_packages::digest::HashingReader;
use tempfile::TempDir;

use super::{Vouched, failed};
use crate::folders::Folders;
use crate::plugins::refusal::Refusal;

/// The folder below the cache in which copies lie while they are opened.
const FOLDER: &str = "loading";

/// The copy. It goes when it is dropped, which a loaded library outlives on Unix; elsewhere the next copy clears it away.
#[derive(Debug)]
pub(in crate::plugins) struct PrivateCopy {
    path: PathBuf,
    _folder: TempDir,
}

impl PrivateCopy {
    /// Copies the library and compares its digest.
    pub(in crate::plugins) fn of(
        library: &Path,
        vouched: &Vouched,
        folders: &Folders,
    ) -> Result<Self, Refusal> {
        let folder = make_folder(folders)
            .map_err(|error| failed(library, "no private folder can be made for it", &error))?;
        let path = folder.path().join(library.file_name().unwrap_or_default());
        let digest = copy(library, &path)
            .map_err(|error| failed(library, "it cannot be copied to be looked at", &error))?;
        vouched.compare(&digest, library)?;
        Ok(Self {
            path,
            _folder: folder,
        })
    }

    pub(in crate::plugins) fn path(&self) -> &Path {
        &self.path
    }
}

fn make_folder(folders: &Folders) -> std::io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("library-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let Some(cache) = &folders.cache else {
        return builder.tempdir();
    };
    let parent = cache.join(FOLDER);
    fs::create_dir_all(&parent)?;
    #[cfg(windows)]
    clear(&parent);
    builder.tempdir_in(parent)
}

/// Takes away what earlier processes left; what is still loaded cannot be deleted, which is as well.
#[cfg(windows)]
fn clear(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let _ = fs::remove_dir_all(entry.path());
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<String> {
    let mut source = HashingReader::new(File::open(from)?);
    io::copy(&mut source, &mut File::create_new(to)?)?;
    Ok(source.finish().sha256)
}
