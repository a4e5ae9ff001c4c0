//! What the user granted to sandboxed plugins, and the limits that the user set for them: `grants.json` in the user's
//! data folder. What a plugin asked for is recorded beside it with a digest, so that one that asks for more after an
//! update is stopped until the user decides again. [`request`] says what is asked, [`choice`] what a user picks of it,
//! [`limit`] which limits follow. Enforcing all this is the sandbox's affair.

mod asked;
pub mod choice;
pub mod limit;
pub mod request;
mod store;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use codex_plugin_api::manifest::Limits;
use codex_plugin_api::{Error, Kind, Manifest, Result};
use serde::{Deserialize, Serialize};

use asked::Asked;
pub use choice::Choice;
pub use request::{Permission, Request, command_line, requests};
use store::{Decision, Entry};

use super::discover::Plugin;

/// What a plugin may do beyond computing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Granted {
    /// The manifest's names of folders, and the folders they stand for.
    pub folders: BTreeMap<String, PathBuf>,
    /// Environment variables.
    pub environment: BTreeSet<String>,
    /// Hosts, as the manifest writes them.
    pub network: BTreeSet<String>,
    /// Kinds of components that it may create.
    pub components: BTreeSet<Kind>,
    /// The clock.
    pub clock: bool,
    /// Random numbers.
    pub random: bool,
    /// Output to the terminal.
    pub terminal: bool,
    /// The manifest's limits where they are beyond the default.
    pub limits: bool,
}

/// Where the user's decision about a plugin stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It asks for nothing, so there is nothing to decide.
    NothingAsked,
    /// The user decided; this much is granted, maybe nothing.
    Granted(Granted),
    /// The user has not been asked yet.
    Undecided,
    /// The user decided about an earlier version that asked for something else.
    AsksForOther,
}

impl Standing {
    /// Whether the user decided about what the plugin asks for, whatever the decision was.
    pub fn is_granted(&self) -> bool {
        matches!(self, Self::Granted(_))
    }

    /// Whether limits beyond the default that the manifest asks for are in force.
    pub fn grants_limits(&self) -> bool {
        matches!(self, Self::Granted(granted) if granted.limits)
    }

    /// The word for it in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NothingAsked => "nothing-asked",
            Self::Granted(_) => "granted",
            Self::Undecided => "undecided",
            Self::AsksForOther => "asks-for-other",
        }
    }
}

/// Who asks: a plugin of some place. A decision is bound to that place, so that another plugin of the same id does not
/// inherit it.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    manifest: &'a Manifest,
    path: Option<&'a Path>,
}

impl<'a> From<&'a Plugin> for Asker<'a> {
    fn from(plugin: &'a Plugin) -> Self {
        Self {
            manifest: &plugin.manifest,
            path: Some(&plugin.path),
        }
    }
}

/// Tests of what is asked need no place.
#[cfg(test)]
impl<'a> From<&'a Manifest> for Asker<'a> {
    fn from(manifest: &'a Manifest) -> Self {
        Self {
            manifest,
            path: None,
        }
    }
}

impl Asker<'_> {
    fn id(&self) -> &str {
        &self.manifest.plugin.id
    }

    fn origin(&self, data: Option<&Path>) -> String {
        self.path
            .map_or_else(String::new, |path| super::trust::origin(data, path))
    }
}

/// The user's decisions as they were when they were read.
#[derive(Debug, Default)]
pub struct Grants {
    data: Option<PathBuf>,
    plugins: BTreeMap<String, Entry>,
    problem: Option<Error>,
}

impl Grants {
    /// Reads the decisions in a data folder. A file that cannot be read or trusted grants nothing, and
    /// [`Self::problem`] says why.
    pub fn open(data: Option<&Path>) -> Self {
        match data.map_or_else(|| Ok(BTreeMap::new()), store::read) {
            Ok(plugins) => Self {
                data: data.map(Path::to_owned),
                plugins,
                problem: None,
            },
            Err(problem) => Self {
                data: data.map(Path::to_owned),
                plugins: BTreeMap::new(),
                problem: Some(problem),
            },
        }
    }

    /// Why the decisions could not be read, where they could not.
    pub fn problem(&self) -> Option<&Error> {
        self.problem.as_ref()
    }

    /// Where the decision about a plugin stands.
    pub fn standing<'a>(&self, asker: impl Into<Asker<'a>>) -> Standing {
        let asker = asker.into();
        let now = Asked::of(asker.manifest);
        if now.is_empty() {
            return Standing::NothingAsked;
        }
        match self.decision(&asker) {
            None => Standing::Undecided,
            Some(decision) if decision.covers(&now) => Standing::Granted(decision.held(&now)),
            Some(_) => Standing::AsksForOther,
        }
    }

    /// What earlier decisions granted of what the plugin asks for now, even where it has to be decided again.
    pub fn held<'a>(&self, asker: impl Into<Asker<'a>>) -> Granted {
        let asker = asker.into();
        self.decision(&asker)
            .map_or_else(Granted::default, |decision| {
                decision.held(&Asked::of(asker.manifest))
            })
    }

    /// The limits that the user set for a plugin.
    pub fn limits(&self, id: &str) -> Option<&Limits> {
        let limits = &self.plugins.get(id)?.limits;
        (!limits.is_empty()).then_some(limits)
    }

    /// Whether anything is recorded about a plugin, which need not be installed any more.
    pub fn knows(&self, id: &str) -> bool {
        self.plugins.contains_key(id)
    }

    /// What was granted and is not asked for now, in the words of errors. It is of no use to the plugin as it is.
    pub fn beyond<'a>(&self, asker: impl Into<Asker<'a>>) -> Vec<String> {
        let asker = asker.into();
        let Some(decision) = self.decision(&asker) else {
            return Vec::new();
        };
        let held = decision.held(&Asked::of(asker.manifest));
        let granted = decision.granted.permissions().into_iter();
        granted
            .filter(|permission| !permission.is_in(&held))
            .map(|permission| permission.noun())
            .collect()
    }

    fn decision(&self, asker: &Asker<'_>) -> Option<&Decision> {
        let decision = self.plugins.get(asker.id())?.decision.as_ref()?;
        decision
            .is_about(&asker.origin(self.data.as_deref()))
            .then_some(decision)
    }

    /// Records a decision about all that a plugin asks for. `change` makes it from what was granted before.
    ///
    /// # Errors
    /// Those of `change`; [`codex_plugin_api::ErrorKind::Failed`] when the file is damaged or cannot be written.
    /// Nothing is changed then.
    pub fn decide<'a>(
        data: &Path,
        asker: impl Into<Asker<'a>>,
        change: impl FnOnce(Granted) -> Result<Granted>,
    ) -> Result<()> {
        let asker = asker.into();
        let (asked, origin) = (Asked::of(asker.manifest), asker.origin(Some(data)));
        store::update(data, |plugins| {
            let entry = plugins.entry(asker.id().to_owned()).or_default();
            let before = entry.decision.as_ref();
            let before = before
                .filter(|old| old.is_about(&origin))
                .map(|old| old.held(&asked));
            let granted = change(before.unwrap_or_default())?;
            entry.decision = Some(Decision::new(asked, granted, origin));
            Ok(())
        })
    }

    /// Takes back some of what was granted. What was asked when it was granted stays recorded: taking back never lets a
    /// stopped plugin run.
    ///
    /// # Errors
    /// As [`Self::decide`], and [`codex_plugin_api::ErrorKind::Config`] when nothing was decided.
    pub fn take_back(
        data: &Path,
        id: &str,
        change: impl FnOnce(&mut Granted) -> Result<()>,
    ) -> Result<()> {
        store::update(data, |plugins| {
            let entry = plugins.get_mut(id);
            let Some(decision) = entry.and_then(|entry| entry.decision.as_mut()) else {
                return Err(Error::config(format!("nothing was granted to {id}"))
                    .hint(format!("codex-ml plugin grant {id} shows what it asks for")));
            };
            change(&mut decision.granted)
        })
    }

    /// Forgets the decision about a plugin, which is then undecided again, and with `limits` the limits that the user
    /// set too. Gives whether there was anything to forget.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when the file is damaged or cannot be written.
    pub fn forget(data: &Path, id: &str, limits: bool) -> Result<bool> {
        store::update(data, |plugins| {
            let Some(entry) = plugins.get_mut(id) else {
                return Ok(false);
            };
            let had_limits = limits && !entry.limits.is_empty();
            if limits {
                entry.limits = Limits::default();
            }
            Ok(entry.decision.take().is_some() || had_limits)
        })
    }

    /// Changes the limits that the user set for a plugin.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub fn set_limits(
        data: &Path,
        id: &str,
        change: impl FnOnce(&mut Limits) -> Result<()>,
    ) -> Result<()> {
        store::update(data, |plugins| {
            change(&mut plugins.entry(id.to_owned()).or_default().limits)
        })
    }
}

#[cfg(test)]
mod tests;
