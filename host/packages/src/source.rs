//! Where versions of plugins come from, as the resolver and the installer see it. Registries implement it; tests do so
//! without one.

use std::sync::Arc;

use codex_plugin_api::Result;
use semver::Version;

use crate::entry::{Entry, SignedEntry};
use crate::trust::Source;

/// One version that a registry offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// What it says of itself.
    pub entry: Entry,
    /// The same as it was signed. Nothing of it is installed before trust has judged this text.
    pub signed: Arc<SignedEntry>,
    /// The id of the key that signed it.
    pub key_id: String,
    /// Why its author took it back, where that was done: who uses it may go on.
    pub yanked: Option<String>,
    /// Why the registry revoked it or its key, where that was done: nobody may use it.
    pub revoked: Option<String>,
    /// The registry that offers it.
    pub source: Arc<Source>,
}

impl Offer {
    /// Name and version, as messages name it (`shout 1.2.0`).
    pub fn title(&self) -> String {
        format!("{} {}", self.entry.name, self.entry.version)
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.entry.version
    }
}

/// Versions of plugins by name.
pub trait Available {
    /// All versions of a plugin in any order; none where no registry knows the name. `registry` is the one that a
    /// project's file names for it.
    ///
    /// # Errors
    /// When a registry cannot be read or must not be believed.
    fn offers(&self, name: &str, registry: Option<&str>) -> Result<Arc<[Offer]>>;

    /// Names that exist, to suggest one for a name that does not.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
