//! Counter-based randomness: a number is a function of a seed, a purpose and counters, so any of them can be had in any
//! order, and a run that is taken up again draws what it would have drawn. Not for cryptography.

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): every input bit reaches every output bit.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// 64 random bits for a seed, a purpose (`"batch order"`) and counters.
pub(crate) fn bits(seed: u64, purpose: &str, counters: &[u64]) -> u64 {
    let purpose = purpose
        .bytes()
        .fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    counters
        .iter()
        .fold(mix(mix(seed) ^ purpose), |hash, &counter| {
            mix(hash ^ mix(counter))
        })
}

/// A number in `[0, 1)` for a seed, a purpose and counters.
pub(crate) fn unit(seed: u64, purpose: &str, counters: &[u64]) -> f64 {
    (bits(seed, purpose, counters) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_key_matters() {
        let first = bits(1, "a", &[0, 0]);
        for (seed, purpose, counters) in [
            (2, "a", [0, 0]),
            (1, "b", [0, 0]),
            (1, "a", [1, 0]),
            (1, "a", [0, 1]),
        ] {
            assert_ne!(first, bits(seed, purpose, &counters));
        }
        assert_eq!(first, bits(1, "a", &[0, 0]));
    }

    #[test]
    fn units_are_spread_evenly() {
        let mut tenths = [0u32; 10];
        for counter in 0..100_000 {
            tenths[(unit(7, "test", &[counter]) * 10.0) as usize] += 1;
        }
        // Each expects 10,000 with a standard deviation of 95.
        assert!(
            tenths.iter().all(|&n| n.abs_diff(10_000) < 500),
            "{tenths:?}"
        );
    }
}
