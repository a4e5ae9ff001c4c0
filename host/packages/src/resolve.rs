//! Chooses one version of every plugin that is asked for or needed: PubGrub finds the answer, or why there is none. What
//! cannot run here (plugin API, target) or was yanked is left out before it is asked, so nothing is downloaded to find
//! that out.

mod candidates;
mod explain;
mod provider;
mod set;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use codex_plugin_api::Result;
use pubgrub::PubGrubError;
use semver::{Version, VersionReq};

use crate::source::{Available, Offer};
use provider::{Package, Provider};

/// The host for which versions are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The version of the plugin API that it offers.
    pub api: Version,
    /// Its target triple.
    pub target: String,
}

/// What a project or a user asks for by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The plugin's id.
    pub name: String,
    /// Which versions will do.
    pub versions: VersionReq,
    /// The registry that it must come from, where one is named.
    pub registry: Option<String>,
}

/// Everything that decides which versions are chosen.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Where it runs.
    pub host: &'a Host,
    /// Who asks for the first requirements, as messages name it (`codex-plugins.toml`).
    pub asker: &'a str,
    /// The first requirements.
    pub wanted: &'a [Requirement],
    /// The versions in use; each stays while it fits, and even where it was yanked.
    pub locked: &'a BTreeMap<String, Version>,
    /// Those of the versions in use that need not stay.
    pub forgotten: &'a BTreeSet<String>,
    /// Plugins that are held at a version, whoever asks for them.
    pub pins: &'a BTreeMap<String, Version>,
}

/// One version of each plugin that is needed.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    chosen: BTreeMap<String, (Arc<[Offer]>, usize)>,
}

impl Resolution {
    /// What was chosen, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.chosen.values().map(|(offers, at)| &offers[*at])
    }

    /// The version of a plugin.
    pub fn get(&self, name: &str) -> Option<&Offer> {
        self.chosen.get(name).map(|(offers, at)| &offers[*at])
    }
}

/// Chooses versions.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] where no versions fit together, with who asks for what; otherwise what
/// `available` said.
pub fn resolve(request: &Request<'_>, available: &dyn Available) -> Result<Resolution> {
    let provider = Provider::new(request, available);
    match pubgrub::resolve(&provider, Package::Root, 0_u32) {
        Ok(solution) => {
            let chosen = solution.iter().filter_map(|(package, place)| {
                let Package::Plugin(name) = package else {
                    return None;
                };
                let candidates = provider.known(name)?;
                Some((name.to_string(), candidates.pick(*place)))
            });
            Ok(Resolution {
                chosen: chosen.collect(),
            })
        }
        Err(PubGrubError::NoSolution(tree)) => Err(explain::no_solution(&tree, &provider)),
        Err(
            PubGrubError::ErrorRetrievingDependencies { source, .. }
            | PubGrubError::ErrorChoosingVersion { source, .. }
            | PubGrubError::ErrorInShouldCancel(source),
        ) => Err(source),
    }
}

#[cfg(test)]
mod tests;
