//! NF4: sixteen levels for a value, and scales in a byte each.

use std::sync::OnceLock;

/// Scales whose differences from the mean share a scale.
const GROUP: usize = 256;

/// Quantiles of the standard normal distribution, scaled to ±1, with a level at zero (Dettmers et al. 2023, appendix E).
const LEVELS: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// The code of the level nearest to `value`.
fn nearest(value: f32) -> u8 {
    let above = |pair: &&[f32]| value > f32::midpoint(pair[0], pair[1]);
    LEVELS.windows(2).filter(above).count() as u8
}

/// The codes of a block whose largest magnitude is `scale`, two a byte, the first in the high half.
pub(super) fn encode(block: &[f32], scale: f32, codes: &mut [u8]) {
    let factor = if scale > 0.0 { scale.recip() } else { 0.0 };
    // The reciprocal of a number near the smallest is infinite.
    let code = |value: f32| {
        nearest(if factor.is_finite() {
            value * factor
        } else {
            value / scale
        })
    };
    for (pair, values) in codes.iter_mut().zip(block.chunks(2)) {
        *pair = code(values[0]) << 4 | values.get(1).map_or(0, |value| code(*value));
    }
}

/// The values of a block.
pub(super) fn decode(codes: &[u8], scale: f32, out: &mut [f32]) {
    let levels = LEVELS.map(|level| level * scale);
    for (values, pair) in out.chunks_mut(2).zip(codes) {
        values[0] = levels[usize::from(pair >> 4)];
        if let Some(second) = values.get_mut(1) {
            *second = levels[usize::from(pair & 15)];
        }
    }
}

/// The scales of all blocks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scales {
    mean: f32,
    /// The largest difference from the mean, for each group.
    groups: Vec<f32>,
    codes: Vec<u8>,
}

impl Scales {
    pub(super) fn new(scales: &[f32]) -> Self {
        let sum: f64 = scales.iter().map(|scale| f64::from(*scale)).sum();
        let mean = (sum / scales.len().max(1) as f64) as f32;
        let mut codes = Vec::with_capacity(scales.len());
        let groups = scales.chunks(GROUP).map(|group| {
            let differences = group.iter().map(|scale| scale - mean);
            let largest = differences
                .clone()
                .fold(0.0, |largest: f32, one| largest.max(one.abs()));
            let divisor = if largest > 0.0 { largest } else { 1.0 };
            codes.extend(differences.map(|one| nearest_byte(one / divisor)));
            largest
        });
        Self {
            mean,
            groups: groups.collect(),
            codes,
        }
    }

    /// The scale of a block.
    pub(super) fn get(&self, block: usize) -> f32 {
        let number = numbers()[usize::from(self.codes[block])];
        number * self.groups[block / GROUP] + self.mean
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.mean) + size_of_val(self.groups.as_slice()) + self.codes.len()
    }
}

/// The numbers that bytes stand for, ascending: in each of seven decades, of which the largest ends at 1, twice as many
/// as in the one below, at the middles of equal steps from a tenth of its end to its end; with both signs, and 0 and 1.
fn numbers() -> &'static [f32; 256] {
    static NUMBERS: OnceLock<[f32; 256]> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        let mut numbers = [0.0; 256];
        numbers[255] = 1.0;
        let mut at = 0;
        for decade in 0..7 {
            let (count, end) = (1 << decade, 10f64.powi(decade - 6));
            for step in 0..count {
                let middle = 0.1 + 0.9 * (f64::from(step) + 0.5) / f64::from(count);
                numbers[at] = (end * middle) as f32;
                numbers[at + 1] = -numbers[at];
                at += 2;
            }
        }
        numbers.sort_by(f32::total_cmp);
        numbers
    })
}

/// The byte of the number nearest to `value`.
fn nearest_byte(value: f32) -> u8 {
    let numbers = numbers();
    let above = numbers.partition_point(|number| *number < value).min(255);
    let below = above.saturating_sub(1);
    let nearer = if value - numbers[below] < numbers[above] - value {
        below
    } else {
        above
    };
    nearer as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_a_byte_is_its_own_nearest() {
        let numbers = numbers();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((numbers[0], numbers[255]), (-0.992_968_74, 1.0));
        assert_eq!(numbers.iter().filter(|number| **number == 0.0).count(), 1);
        for (byte, number) in numbers.iter().enumerate() {
            assert_eq!(usize::from(nearest_byte(*number)), byte);
        }
        assert_eq!((nearest_byte(-2.0), nearest_byte(2.0)), (0, 255));
    }

    #[test]
    fn every_level_is_its_own_nearest() {
        for (code, level) in LEVELS.iter().enumerate() {
            assert_eq!(usize::from(nearest(*level)), code);
        }
    }
}
