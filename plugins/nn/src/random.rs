//! Counter-based random numbers: each is a function of a key and a counter, so any thread can make any of them in any
//! order, and a resumed run makes the same ones. Which key belongs to what is left to the model.

/// Names a stream of random numbers. Derive one for each purpose with [`Key::with`]:
/// `Key::new(seed).with(purpose).with(step).with(layer)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

/// Steele, Lea and Flood's SplitMix64 finaliser ("Fast splittable pseudorandom number generators", 2014).
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Key {
    /// The root key of a run.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    }

    /// The key of one part of this stream.
    #[must_use]
    pub fn with(self, part: u64) -> Self {
        let step = mix(part
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(0x632b_e59b_d9b4_e019));
        Self(mix(self.0.rotate_left(23) ^ step))
    }

    /// 64 random bits at `counter`.
    pub fn bits(self, counter: u64) -> u64 {
        mix(self
            .0
            .wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number in [0, 1) at `counter`.
    pub fn uniform(self, counter: u64) -> f64 {
        (self.bits(counter) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A standard normal number at `counter` (Box and Muller).
    pub fn normal(self, counter: u64) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform(2 * counter)).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.uniform(2 * counter + 1);
        (radius * angle.cos()) as f32
    }

    /// The key as two halves, for kernels that work in 32 bits.
    pub(crate) fn halves(self) -> (u32, u32) {
        (self.0 as u32, (self.0 >> 32) as u32)
    }
}

/// 32 random bits at `counter` of a row's key: two rounds of Wellons' `lowbias32`. Without branches and 64-bit
/// products, so that loops over columns vectorise.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
pub(crate) fn column_bits((low, high): (u32, u32), counter: u32) -> u32 {
    let mut value = counter ^ low;
    for key in [high, 0] {
        value ^= value >> 16;
        value = value.wrapping_mul(0x7feb_352d);
        value ^= value >> 15;
        value = value.wrapping_mul(0x846c_a68b);
        value ^= value >> 16;
        value = value.wrapping_add(key);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_distinct_and_well_spread() {
        let key = Key::new(7).with(1).with(2);
        assert_eq!(key, Key::new(7).with(1).with(2));
        assert_ne!(key.bits(0), Key::new(7).with(2).with(1).bits(0));
        let count = 200_000u64;
        let mean = (0..count).map(|i| f64::from(key.normal(i))).sum::<f64>() / count as f64;
        let square = (0..count)
            .map(|i| f64::from(key.normal(i)).powi(2))
            .sum::<f64>()
            / count as f64;
        assert!(
            mean.abs() < 0.01 && (square - 1.0).abs() < 0.02,
            "{mean} {square}"
        );
        let halves = key.halves();
        let high = (0..100_000)
            .filter(|&i| column_bits(halves, i) < u32::MAX / 10)
            .count();
        assert!(
            (9_700..10_300).contains(&high),
            "{high} of 100000 below a tenth"
        );
    }
}
