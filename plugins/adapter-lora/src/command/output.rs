//! A folder that is there whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, Result};

/// A folder in the making, beside its place. Dropped before [`Self::finish`], it is gone.
pub(super) struct Output {
    place: PathBuf,
    beside: PathBuf,
}

fn unwritten(path: &Path, cause: &std::io::Error) -> Error {
    Error::failed(format!("cannot write {}", path.display())).because(cause)
}

impl Output {
    /// Starts a folder that will be `place`, where nothing may be but an empty folder.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when something is there.
    pub(super) fn begin(place: &str) -> Result<Self> {
        let place = PathBuf::from(place);
        let taken = match fs::read_dir(&place) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => place.exists(),
        };
        if taken {
            return Err(
                Error::config(format!("{} is there already", place.display()))
                    .hint("give a folder that does not exist yet with --output"),
            );
        }
        let mut name = place
            .file_name()
            .ok_or_else(|| {
                Error::config(format!("{} is no folder to write", place.display()))
                    .hint("give a folder that does not exist yet with --output")
            })?
            .to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let beside = place.with_file_name(name);
        fs::create_dir_all(&beside).map_err(|cause| unwritten(&beside, &cause))?;
        Ok(Self { place, beside })
    }

    /// Where to write.
    pub(super) fn path(&self) -> &Path {
        &self.beside
    }

    /// The folder takes its place.
    pub(super) fn finish(self) -> Result<()> {
        if self.place.is_dir() {
            fs::remove_dir(&self.place).map_err(|cause| unwritten(&self.place, &cause))?;
        }
        fs::rename(&self.beside, &self.place).map_err(|cause| unwritten(&self.place, &cause))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // After finish there is nothing left to remove.
        let _ = fs::remove_dir_all(&self.beside);
    }
}
