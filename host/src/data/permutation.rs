//! A shuffled order that needs no memory: a keyed Feistel network over the next power of four, with cycle walking
//! (Black, Rogaway 2002) for the numbers that fall outside.

use crate::random;

const ROUNDS: usize = 6;

/// A permutation of `0 .. length`; position `i` is found in constant time.
#[derive(Clone, Debug)]
pub(crate) struct Permutation {
    length: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// The order for a seed, a purpose and a counter (an epoch).
    pub(crate) fn new(length: u64, seed: u64, purpose: &str, counter: u64) -> Self {
        let bits = u64::BITS - length.saturating_sub(1).leading_zeros();
        let mut keys = [0; ROUNDS];
        for (round, key) in keys.iter_mut().enumerate() {
            *key = random::bits(seed, purpose, &[counter, round as u64]);
        }
        Self {
            length,
            half_bits: bits.div_ceil(2).max(1),
            keys,
        }
    }

    /// What stands at `position`, which must be below the length.
    pub(crate) fn at(&self, position: u64) -> u64 {
        debug_assert!(position < self.length);
        let mut value = self.scramble(position);
        // The walk ends: it follows a cycle that began inside. It takes fewer than four steps on average.
        while value >= self.length {
            value = self.scramble(value);
        }
        value
    }

    fn scramble(&self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (random::mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_once() {
        for length in [1, 2, 3, 4, 5, 16, 17, 1000, 4097] {
            let order = Permutation::new(length, 42, "test", 0);
            let mut seen: Vec<u64> = (0..length).map(|at| order.at(at)).collect();
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..length), "length {length}");
        }
    }

    #[test]
    fn epochs_and_seeds_give_other_orders() {
        let order = |seed, epoch| {
            let permutation = Permutation::new(100, seed, "test", epoch);
            (0..100).map(|at| permutation.at(at)).collect::<Vec<_>>()
        };
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
    }

    #[test]
    fn the_order_looks_shuffled() {
        // Of a random permutation the mean |p(i) − i| is n/3; the identity has 0.
        let order = Permutation::new(10_000, 3, "test", 0);
        let mean = (0..10_000).map(|at| order.at(at).abs_diff(at)).sum::<u64>() / 10_000;
        assert!((3_100..3_600).contains(&mean), "{mean}");
    }

    #[test]
    fn very_long_orders_work() {
        let order = Permutation::new(u64::MAX / 2, 1, "test", 0);
        assert!((0..1000).all(|at| order.at(at) < u64::MAX / 2));
    }
}
