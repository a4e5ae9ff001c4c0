//! `receipt.json` beside an unpacked archive: what was signed, by whom, and who offered it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};
use serde::{Deserialize, Serialize};

use super::{Decision, Level, Source};
use crate::entry::{Entry, SignedEntry};
use crate::source::Offer;

const FILE: &str = "receipt.json";

/// An entry is an index line at most.
const MOST: u64 = 2 << 20;

/// What is known of a plugin in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Its entry as it was signed.
    pub signed: SignedEntry,
    /// Who offered it.
    pub source: Source,
    /// The public key with which the entry was checked.
    pub key: String,
    /// Who vouched for it when it was installed.
    pub level: Level,
}

impl Receipt {
    /// The receipt for an offer that was decided.
    pub fn new(offer: &Offer, decision: &Decision) -> Self {
        Self {
            signed: (*offer.signed).clone(),
            source: decision.source.clone(),
            key: decision.key.clone(),
            level: decision.level,
        }
    }

    /// Reads the receipt of a folder.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Plugin`] when there is none or it is damaged.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let bad = |what: &str| {
            Error::new(
                codex_plugin_api::ErrorKind::Plugin,
                format!("its receipt {} {what}", path.display()),
            )
            .hint("codex-ml plugin sync puts a whole one there")
        };
        let size = fs::metadata(&path)
            .or_error(|| bad("cannot be read"))?
            .len();
        if size > MOST {
            return Err(bad(&format!("has {size} bytes, more than {MOST}")));
        }
        let bytes = fs::read(&path).or_error(|| bad("cannot be read"))?;
        serde_json::from_slice(&bytes).or_error(|| bad("is damaged"))
    }

    /// Writes the receipt into a folder that nobody reads yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()
        };
        write().or_error(|| Error::failed(format!("cannot write {}", path.display())))
    }

    /// What the entry says. The signature is not looked at.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Plugin`] when the text is no entry.
    pub fn entry(&self) -> Result<Entry> {
        serde_json::from_str(&self.signed.entry).or_error(|| {
            Error::new(
                codex_plugin_api::ErrorKind::Plugin,
                "its receipt holds no entry",
            )
        })
    }
}
