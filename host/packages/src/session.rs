//! Changing what is installed in a scope: edit what is asked for, choose versions, put them in the store, write the
//! project file and last the lock. The lock decides what is active, so a process that dies on the way has changed nothing
//! that runs; the next one goes on.

mod apply;
mod plan;

use std::path::Path;

use codex_plugin_api::{Error, Result};
use semver::{Version, VersionReq};

use crate::history::{History, Parent, State};
use crate::lock::{Change, Lock};
use crate::project::ProjectFile;
use crate::resolve::Host;
use crate::scope::Scope;
use crate::source::{Available, Offer};
use crate::store::Store;
use crate::trust::Decision;
pub use apply::Applied;

/// Registries and trust, as an installation needs them; tests give one without either.
pub trait Supply: Available {
    /// Whether a version may be installed; nothing of it has been fetched yet. `older` says that a version older than
    /// what was used before is meant.
    ///
    /// # Errors
    /// With why not.
    fn judge(&self, offer: &Offer, older: bool) -> Result<Decision>;

    /// Fetches a version and unpacks it into an empty folder, with its receipt; what is unpacked is what was signed.
    ///
    /// # Errors
    /// When it cannot be had or is something else.
    fn unpack(&self, offer: &Offer, decision: &Decision, into: &Path) -> Result<()>;

    /// Writes down that a version was accepted.
    ///
    /// # Errors
    /// When that cannot be written.
    fn record(&self, decision: &Decision) -> Result<()>;

    /// SHA-256 of the signed entry of an unpacked version that was accepted and may be used as it is.
    fn accepted(&self, folder: &Path) -> Option<String>;

    /// A registry's address as the project file writes it.
    fn written(&self, registry: &str) -> Option<String>;
}

/// One change of what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Ask for a plugin. Without a requirement: for the newest version that fits, and what is compatible with it; a
    /// plugin that is asked for already stays as it is.
    Want {
        /// Its id.
        name: String,
        /// Which versions will do.
        versions: Option<VersionReq>,
        /// The registry that it must come from.
        registry: Option<String>,
    },
    /// Ask for it no longer.
    Unwant(String),
    /// Hold it at a version: the one in use, or another.
    Pin(String, Option<Version>),
    /// Hold it no longer.
    Unpin(String),
}

/// Which of the versions in use may be replaced by newer ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Renew {
    /// None that fits.
    #[default]
    None,
    /// These, and they alone.
    Named(Vec<String>),
    /// All.
    All,
}

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Goal {
    /// In a few words, for the history (`add shout`).
    pub what: String,
    /// Changes of what is asked for.
    pub edits: Vec<Edit>,
    /// What may become newer.
    pub renew: Renew,
    /// Fail rather than change the lock.
    pub locked: bool,
    /// Compare every installed file with its digest, not only those that are new.
    pub thorough: bool,
}

/// What is to be done, before anything was.
#[derive(Debug)]
pub struct Plan {
    what: String,
    before: State,
    parent: Parent,
    project: ProjectFile,
    lock: Lock,
    older: bool,
    named: Vec<String>,
    thorough: bool,
    /// The versions that come, go and change.
    pub changes: Vec<Change>,
    /// Remarks for the user: plugins that ask for more than before.
    pub remarks: Vec<String>,
}

impl Plan {
    /// What will be in use.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// What will be asked for.
    pub fn project(&self) -> &ProjectFile {
        &self.project
    }
}

/// A scope, and all that is needed to change it.
pub struct Session<'a> {
    /// Whose plugins.
    pub scope: &'a Scope,
    /// Where versions lie.
    pub store: &'a Store,
    /// For which host.
    pub host: &'a Host,
    /// Where versions come from.
    pub supply: &'a dyn Supply,
}

impl Session<'_> {
    /// The history of the scope.
    pub fn history(&self) -> History {
        History::new(self.scope.history())
    }

    /// The scope's files as they are.
    fn state(&self) -> Result<State> {
        Ok(State {
            project: read(&self.scope.project_file())?,
            lock: read(&self.scope.lock_file())?,
        })
    }
}

/// A file's text; none where there is no file.
fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::config(format!("cannot read {}", path.display())).because(&error)),
    }
}

#[cfg(test)]
mod tests;
