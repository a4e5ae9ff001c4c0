//! What a user has seen of a registry: its root key and the number of its newest snapshot. Kept by address in the data
//! folder; it is what makes another key or an older state recognisable.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};
use serde::{Deserialize, Serialize};

use super::cache::folder_name;
use crate::transport::Address;

/// What is known of one registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its address.
    pub url: String,
    /// The name that it gives itself, which its snapshots must carry.
    pub registry: String,
    /// Its root key.
    pub key: String,
    /// The newest snapshot that was believed.
    pub snapshot: u64,
    /// When its key was pinned, in RFC 3339.
    pub pinned: String,
}

impl Known {
    fn path(data: &Path, address: &Address) -> PathBuf {
        data.join("registries")
            .join(format!("{}.json", folder_name(address)))
    }

    /// What is known of the registry at an address.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when the record is damaged: without it, another key would pass for the first.
    pub fn read(data: &Path, address: &Address) -> Result<Option<Self>> {
        let path = Self::path(data, address);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(
                    Error::failed(format!("cannot read {}", path.display())).because(&error)
                );
            }
        };
        let known = serde_json::from_str(&text).or_error(|| {
            Error::data(format!("{} is damaged", path.display()))
                .hint("it holds the registry's pinned key: delete it only to pin the key anew, with codex-ml registry connect --key")
        })?;
        Ok(Some(known))
    }

    /// Records it.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when it cannot be written.
    pub fn write(&self, data: &Path, address: &Address) -> Result<()> {
        let path = Self::path(data, address);
        let failed = || Error::failed(format!("cannot write {}", path.display()));
        let text = serde_json::to_string_pretty(self).or_error(failed)?;
        let written = || {
            let folder = path.parent().unwrap_or(data);
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error).map(drop)
        };
        written().or_error(failed)
    }

    /// Forgets a registry, so that its key is pinned anew; whether there was something to forget.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when the record cannot be removed.
    pub fn forget(data: &Path, address: &Address) -> Result<bool> {
        let path = Self::path(data, address);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => {
                Err(Error::failed(format!("cannot remove {}", path.display())).because(&error))
            }
        }
    }
}
