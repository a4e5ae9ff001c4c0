//! The versions of one plugin: those that can be chosen here, and the others with the reason.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use semver::{Version, VersionReq};

use super::set::Set;
use super::{Host, Request};
use crate::source::Offer;

/// Why a version cannot be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It works with other versions of the plugin API.
    Api(VersionReq),
    /// It has files for these targets alone.
    Target(Vec<String>),
    /// Its author took it back.
    Yanked(String),
    /// The registry took it back.
    Revoked(String),
    /// The plugin is pinned to another version.
    Pinned(Version),
}

/// All versions of a plugin, as they stand here.
#[derive(Debug)]
pub(super) struct Candidates {
    offers: Arc<[Offer]>,
    /// Places of those that can be chosen, from the lowest version.
    usable: Vec<usize>,
    /// The others, from the lowest version.
    unusable: Vec<(usize, Unusable)>,
    /// The place that is locked, among the usable ones.
    locked: Option<u32>,
    sets: RefCell<HashMap<VersionReq, Set>>,
}

impl Candidates {
    pub(super) fn new(name: &str, offers: Arc<[Offer]>, request: &Request<'_>) -> Rc<Self> {
        let locked = request.locked.get(name);
        let pinned = request.pins.get(name);
        let mut order: Vec<usize> = (0..offers.len()).collect();
        order.sort_by(|&a, &b| offers[a].version().cmp(offers[b].version()));
        let (mut usable, mut unusable) = (Vec::new(), Vec::new());
        for at in order {
            let offer = &offers[at];
            match obstacle(offer, request.host, locked, pinned) {
                None => usable.push(at),
                Some(reason) => unusable.push((at, reason)),
            }
        }
        let locked = locked.filter(|_| !request.forgotten.contains(name));
        let locked = locked.and_then(|locked| {
            usable
                .binary_search_by(|&at| offers[at].version().cmp(locked))
                .ok()
                .map(|place| place as u32)
        });
        Rc::new(Self {
            offers,
            usable,
            unusable,
            locked,
            sets: RefCell::default(),
        })
    }

    /// How many can be chosen.
    pub(super) fn count(&self) -> u32 {
        self.usable.len() as u32
    }

    /// Whether the name is known at all.
    pub(super) fn is_known(&self) -> bool {
        !self.offers.is_empty()
    }

    /// The offer at a place.
    pub(super) fn offer(&self, place: u32) -> &Offer {
        &self.offers[self.usable[place as usize]]
    }

    /// The place of an offer among all that the source gave.
    pub(super) fn pick(&self, place: u32) -> (Arc<[Offer]>, usize) {
        (Arc::clone(&self.offers), self.usable[place as usize])
    }

    /// The places that fit a requirement.
    pub(super) fn matching(&self, requirement: &VersionReq) -> Set {
        if let Some(set) = self.sets.borrow().get(requirement) {
            return set.clone();
        }
        let set = Set::of(self.count(), |place| {
            requirement.matches(self.offer(place).version())
        });
        self.sets
            .borrow_mut()
            .insert(requirement.clone(), set.clone());
        set
    }

    /// The one to take of a set: the locked one, otherwise the highest.
    pub(super) fn choose(&self, set: &Set) -> Option<u32> {
        use pubgrub::VersionSet;
        self.locked
            .filter(|place| set.contains(place))
            .or_else(|| set.ranges(self.count()).last().map(|(_, end)| end - 1))
    }

    /// How many of a set can be chosen.
    pub(super) fn size(&self, set: &Set) -> u32 {
        set.ranges(self.count())
            .map(|(first, end)| end - first)
            .sum()
    }

    /// Those that fit a requirement and cannot be chosen, the highest first.
    pub(super) fn obstacles(
        &self,
        requirement: &VersionReq,
    ) -> impl Iterator<Item = (&Version, &Unusable)> {
        self.unusable
            .iter()
            .rev()
            .map(|(at, why)| (self.offers[*at].version(), why))
            .filter(|(version, _)| requirement.matches(version))
    }

    /// The highest version that can be chosen, releases before pre-releases.
    pub(super) fn best(&self) -> Option<&Version> {
        let mut versions = self
            .usable
            .iter()
            .rev()
            .map(|&at| self.offers[at].version());
        let newest = versions.clone().next();
        versions.find(|version| version.pre.is_empty()).or(newest)
    }

    /// The highest version of all with what stands against it.
    pub(super) fn highest_unusable(&self) -> Option<(&Version, &Unusable)> {
        self.unusable
            .last()
            .map(|(at, why)| (self.offers[*at].version(), why))
    }
}

fn obstacle(
    offer: &Offer,
    host: &Host,
    locked: Option<&Version>,
    pinned: Option<&Version>,
) -> Option<Unusable> {
    let entry = &offer.entry;
    if let Some(pinned) = pinned.filter(|pinned| **pinned != entry.version) {
        return Some(Unusable::Pinned(pinned.clone()));
    }
    if !entry.api.matches(&host.api) {
        return Some(Unusable::Api(entry.api.clone()));
    }
    if !entry.runs_on(&host.target) {
        return Some(Unusable::Target(entry.artifacts.keys().cloned().collect()));
    }
    if let Some(reason) = &offer.revoked {
        return Some(Unusable::Revoked(reason.clone()));
    }
    // Whoever has it already keeps it, so that a lock works for as long as its archives are there.
    match &offer.yanked {
        Some(reason) if locked != Some(&entry.version) => Some(Unusable::Yanked(reason.clone())),
        _ => None,
    }
}
