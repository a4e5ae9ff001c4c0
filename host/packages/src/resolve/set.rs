//! Sets of versions as the solver needs them. A version is its place in its plugin's sorted list, a set is a union of
//! half-open ranges of places: so versions beside each other become one range, and equal sets are written alike.

use std::fmt;
use std::ops::Bound;

use pubgrub::{Ranges, VersionSet};

/// Places in a plugin's list of versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Set(Ranges<u32>);

impl Set {
    /// The places for which `fits` says so, of `count`.
    pub(super) fn of(count: u32, fits: impl Fn(u32) -> bool) -> Self {
        let mut set = Ranges::empty();
        let mut start = None;
        for place in 0..=count {
            match (start, place < count && fits(place)) {
                (None, true) => start = Some(place),
                (Some(first), false) => {
                    set = set.union(&Ranges::between(first, place));
                    start = None;
                }
                _ => {}
            }
        }
        Self(set)
    }

    /// The ranges from the lowest, each with its first place and the one behind its last, of `count`.
    pub(super) fn ranges(&self, count: u32) -> impl Iterator<Item = (u32, u32)> {
        let first = |bound: Bound<&u32>| match bound {
            Bound::Included(&place) => place,
            Bound::Excluded(&place) => place + 1,
            Bound::Unbounded => 0,
        };
        let end = move |bound: Bound<&u32>| match bound {
            Bound::Included(&place) => place + 1,
            Bound::Excluded(&place) => place.min(count),
            Bound::Unbounded => count,
        };
        self.0
            .iter()
            .map(move |(low, high)| (first(low.as_ref()), end(high.as_ref())))
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl VersionSet for Set {
    type V = u32;

    fn empty() -> Self {
        Self(Ranges::empty())
    }
    fn singleton(place: u32) -> Self {
        Self(Ranges::between(place, place + 1))
    }
    fn complement(&self) -> Self {
        Self(self.0.complement())
    }
    fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0))
    }
    fn contains(&self, place: &u32) -> bool {
        self.0.contains(place)
    }
    fn full() -> Self {
        Self(Ranges::full())
    }
    fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0))
    }
    fn is_disjoint(&self, other: &Self) -> bool {
        self.0.is_disjoint(&other.0)
    }
    fn subset_of(&self, other: &Self) -> bool {
        self.0.subset_of(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_range_and_nothing_is_left_between_them() {
        let set = Set::of(10, |place| matches!(place, 2..=4 | 7));
        assert_eq!(set.ranges(10).collect::<Vec<_>>(), [(2, 5), (7, 8)]);
        let joined = Set::singleton(3).union(&Set::singleton(4));
        assert_eq!(joined, Set::of(10, |place| matches!(place, 3 | 4)));
        let rest = set
            .intersection(&joined.complement())
            .intersection(&Set::singleton(2).complement());
        assert_eq!(rest, Set::singleton(7));
        assert_eq!(Set::full().ranges(3).collect::<Vec<_>>(), [(0, 3)]);
    }
}
