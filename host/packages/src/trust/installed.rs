//! The judgement of a plugin that lies in the store, before it is run: its receipt, the pins and the policies. The digest
//! of the file is given to whoever loads it, since only the bytes that are loaded count.

use std::path::Path;

use codex_plugin_api::Result;

use super::decide::{AUTHORITY, refuse};
use super::pins::Pin;
use super::policy::{Subject, same_address};
use super::{Level, Receipt, Trust};
use crate::entry::{Entry, FileDigest};
use crate::keys;

/// A plugin of the store that may be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// Its entry.
    pub entry: Entry,
    /// Its receipt.
    pub receipt: Receipt,
    /// What its library must be.
    pub library: FileDigest,
}

impl Trust {
    /// Judges the plugin in a folder of the store, of which the file at `library` below it is to be loaded.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Plugin`] with why it may not be run, and the command that mends it.
    pub fn check_installed(&self, folder: &Path, library: &Path) -> Result<Installed> {
        let receipt = Receipt::read(folder)?;
        let entry = receipt.entry()?;
        let name = &entry.name;
        let mend = format!(
            "codex-ml plugin verify says what is wrong; codex-ml plugin sync puts {name} there again"
        );
        if keys::verify(
            &receipt.key,
            receipt.signed.entry.as_bytes(),
            &receipt.signed.signature,
        )
        .is_err()
        {
            return Err(refuse(
                format!("the entry in the receipt of {name} is not what its key signed"),
                mend,
            ));
        }
        // What has no such name is opened as a native library, whatever the entry calls its target.
        let native = library
            .extension()
            .is_none_or(|extension| extension != "wasm");
        self.check_against_pin(&entry, &receipt, native)?;
        let place = library
            .components()
            .map(|part| part.as_os_str().to_string_lossy())
            .collect::<Vec<_>>()
            .join("/");
        let Some(artifact) = entry
            .artifacts
            .values()
            .find(|artifact| artifact.path == place)
        else {
            return Err(refuse(
                format!(
                    "{name} {} was signed without the file {place}",
                    entry.version
                ),
                mend,
            ));
        };
        let library = artifact.digest.clone();
        Ok(Installed {
            entry,
            receipt,
            library,
        })
    }

    fn check_against_pin(&self, entry: &Entry, receipt: &Receipt, native: bool) -> Result<()> {
        let (name, version) = (&entry.name, &entry.version);
        let unknown = Pin::default();
        let pin = self.pins.plugins.get(name).unwrap_or(&unknown);
        if pin.distrusted {
            return Err(refuse(
                format!("you do not trust {name} any more"),
                format!(
                    "codex-ml plugin trust {name} takes that back; codex-ml plugin remove {name} removes it"
                ),
            ));
        }
        if let Some(what) = objection(pin, entry, receipt)? {
            return Err(refuse(
                what,
                format!(
                    "codex-ml plugin sync has it judged again; codex-ml plugin trust {name} shows what is pinned"
                ),
            ));
        }
        self.check_not_revoked(entry, receipt)?;
        if native && !pin.native {
            return Err(refuse(
                format!(
                    "{name} {version} is native code, which is not allowed for it: {AUTHORITY}"
                ),
                format!("if you trust it that far: codex-ml plugin trust {name} --native"),
            ));
        }
        self.policy.check(&Subject {
            name,
            level: if pin.by_registry {
                Level::RegistrySigned
            } else {
                Level::PinnedKey
            },
            native,
            permissions: &entry.permissions,
            origin: Some((&receipt.source, &receipt.key)),
        })
    }

    fn check_not_revoked(&self, entry: &Entry, receipt: &Receipt) -> Result<()> {
        let Some(revoked) = self.pins.revoked.get(&receipt.source.url) else {
            return Ok(());
        };
        let id = keys::key_id(&receipt.key)?;
        let reason = revoked
            .keys
            .get(&id)
            .or_else(|| revoked.archives.get(&entry.archive.sha256));
        reason.map_or(Ok(()), |reason| {
            Err(refuse(
                format!("{} {} is revoked by registry {}: {}", entry.name, entry.version, receipt.source.registry, reason.escape_debug()),
                format!("codex-ml plugin update {} takes a version that is not, codex-ml plugin remove {} does without", entry.name, entry.name),
            ))
        })
    }
}

/// Why the pin does not vouch for a version, where it does not.
fn objection(pin: &Pin, entry: &Entry, receipt: &Receipt) -> Result<Option<String>> {
    let (name, version) = (&entry.name, &entry.version);
    let Some(key) = &pin.key else {
        return Ok(Some(format!(
            "nothing was ever pinned for {name}, so nobody vouches for it"
        )));
    };
    if *key != receipt.key && !pin.former_keys.contains(&receipt.key) {
        let id = keys::key_id(&receipt.key)?;
        return Ok(Some(format!(
            "{name} {version} is signed with key {id}, which is not pinned to {name}"
        )));
    }
    let url = &receipt.source.url;
    let mut bound = pin.source.iter();
    if !bound.any(|bound| same_address(&bound.url, url)) {
        return Ok(Some(format!(
            "{name} {version} came from {url}, which {name} is not bound to"
        )));
    }
    let accepted = pin.accepted.get(version) == Some(&entry.archive.sha256);
    Ok((!accepted).then(|| format!("{name} {version} with this content was never accepted")))
}
