//! What PubGrub asks: which versions a plugin has, what each needs, and which to try first.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use codex_plugin_api::{Error, Result};
use pubgrub::{Dependencies, DependencyProvider, PackageResolutionStatistics};
use semver::VersionReq;

use super::Request;
use super::candidates::Candidates;
use super::set::Set;
use crate::source::Available;

/// What the solver chooses a version of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Package {
    /// The asker, with its one version 0.
    Root,
    /// A plugin by its id.
    Plugin(Arc<str>),
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Plugin(name) => name,
        })
    }
}

/// The plugins of one request, each asked for once.
pub(super) struct Provider<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) available: &'a dyn Available,
    plugins: RefCell<HashMap<Arc<str>, Rc<Candidates>>>,
}

impl<'a> Provider<'a> {
    pub(super) fn new(request: &'a Request<'a>, available: &'a dyn Available) -> Self {
        Self {
            request,
            available,
            plugins: RefCell::default(),
        }
    }

    /// A plugin that the solver has seen.
    pub(super) fn known(&self, name: &str) -> Option<Rc<Candidates>> {
        self.plugins.borrow().get(name).cloned()
    }

    fn candidates(&self, name: &Arc<str>) -> Result<Rc<Candidates>> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        let wanted = self.request.wanted.iter();
        let registry = wanted
            .filter(|wanted| *wanted.name == **name)
            .find_map(|wanted| wanted.registry.as_deref());
        let offers = self.available.offers(name, registry)?;
        let candidates = Candidates::new(name, offers, self.request);
        self.plugins
            .borrow_mut()
            .insert(Arc::clone(name), Rc::clone(&candidates));
        Ok(candidates)
    }

    /// What a version asks for; several requirements of the root for one plugin all hold.
    pub(super) fn needs(&self, package: &Package, place: u32) -> Vec<(String, VersionReq)> {
        match package {
            Package::Root => {
                let wanted = self.request.wanted.iter();
                wanted
                    .map(|wanted| (wanted.name.clone(), wanted.versions.clone()))
                    .collect()
            }
            Package::Plugin(name) => {
                let entry = |candidates: Rc<Candidates>| {
                    let needs = &candidates.offer(place).entry.dependencies;
                    needs.clone().into_iter().collect()
                };
                self.known(name).map(entry).unwrap_or_default()
            }
        }
    }
}

impl DependencyProvider for Provider<'_> {
    type P = Package;
    type V = u32;
    type VS = Set;
    type M = String;
    type Err = Error;
    /// Plugins that met trouble come first, then those with few versions left: both end wrong ways early. The name
    /// makes the order, and so the answer, the same in every run.
    type Priority = (u32, Reverse<u32>, Reverse<Package>);

    fn prioritize(
        &self,
        package: &Package,
        range: &Set,
        statistics: &PackageResolutionStatistics,
    ) -> Self::Priority {
        let left = match package {
            Package::Root => 0,
            Package::Plugin(name) => self
                .known(name)
                .map_or(0, |candidates| candidates.size(range)),
        };
        (
            statistics.conflict_count(),
            Reverse(left),
            Reverse(package.clone()),
        )
    }

    fn choose_version(&self, package: &Package, range: &Set) -> Result<Option<u32>> {
        match package {
            Package::Root => Ok(Some(0)),
            Package::Plugin(name) => Ok(self.candidates(name)?.choose(range)),
        }
    }

    fn get_dependencies(
        &self,
        package: &Package,
        place: &u32,
    ) -> Result<Dependencies<Package, Set, String>> {
        use pubgrub::VersionSet;
        let mut sets: BTreeMap<Package, Set> = BTreeMap::new();
        for (name, requirement) in self.needs(package, *place) {
            let name: Arc<str> = name.into();
            let set = self.candidates(&name)?.matching(&requirement);
            sets.entry(Package::Plugin(name))
                .and_modify(|other| *other = other.intersection(&set))
                .or_insert(set);
        }
        Ok(Dependencies::Available(sets.into_iter().collect()))
    }
}
