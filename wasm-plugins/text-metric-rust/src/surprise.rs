//! The arithmetic of `surprise`, the same in C and Python: all sums in `f64`, in the order of the targets, so that every
//! language gives the same bits.

/// Bytes of a state: two counters and two sums, each 8 bytes, little-endian.
pub(crate) const STATE_BYTES: usize = 32;

/// A target with a greater log-probability was expected: more likely than all others together.
const EXPECTED: f64 = -std::f64::consts::LN_2;

/// What was seen so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Surprise {
    targets: u64,
    confident: u64,
    sum: f64,
    max: f64,
}

impl Default for Surprise {
    fn default() -> Self {
        Self {
            targets: 0,
            confident: 0,
            sum: 0.0,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Surprise {
    /// Adds targets by their natural-log probabilities.
    ///
    /// # Errors
    /// The place of one that is not a number; then nothing was added.
    pub(crate) fn update(&mut self, scores: impl Iterator<Item = f32>) -> Result<(), usize> {
        let mut next = *self;
        for (at, score) in scores.enumerate() {
            if score.is_nan() {
                return Err(at);
            }
            let score = f64::from(score);
            next.targets += 1;
            next.confident += u64::from(score > EXPECTED);
            next.sum += -score;
            if -score > next.max {
                next.max = -score;
            }
        }
        *self = next;
        Ok(())
    }

    /// Mean and greatest surprise in nats, and the share of expected targets; NaN without any target.
    pub(crate) fn scores(&self) -> [f64; 3] {
        if self.targets == 0 {
            return [f64::NAN; 3];
        }
        let targets = self.targets as f64;
        [
            self.sum / targets,
            self.max,
            self.confident as f64 / targets,
        ]
    }

    /// Everything that was seen, as bytes.
    pub(crate) fn state(&self) -> [u8; STATE_BYTES] {
        let numbers = [
            self.targets,
            self.confident,
            self.sum.to_bits(),
            self.max.to_bits(),
        ];
        let mut state = [0; STATE_BYTES];
        for (to, number) in state.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        state
    }

    /// What [`Self::state`] wrote; `None` for bytes of another length.
    pub(crate) fn from_state(state: &[u8]) -> Option<Self> {
        let state: &[u8; STATE_BYTES] = state.try_into().ok()?;
        let number = |index: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&state[8 * index..8 * index + 8]);
            u64::from_le_bytes(bytes)
        };
        Some(Self {
            targets: number(0),
            confident: number(1),
            sum: f64::from_bits(number(2)),
            max: f64::from_bits(number(3)),
        })
    }

    /// Adds what another instance saw.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.targets += other.targets;
        self.confident += other.confident;
        self.sum += other.sum;
        if other.max > self.max {
            self.max = other.max;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn of(scores: &[f32]) -> Surprise {
        let mut metric = Surprise::default();
        metric.update(scores.iter().copied()).expect("numbers");
        metric
    }

    #[test]
    fn scores_are_mean_greatest_and_share() {
        assert_eq!(of(&[-0.5, -1.5, -4.0, -2.0]).scores(), [2.0, 4.0, 0.25]);
        assert!(of(&[]).scores().iter().all(|score| score.is_nan()));
        assert_eq!(of(&[f32::NEG_INFINITY]).scores()[0], f64::INFINITY);
    }

    #[test]
    fn what_is_no_number_changes_nothing() {
        let mut metric = of(&[-1.0]);
        let before = metric;
        assert_eq!(metric.update([-2.0, f32::NAN].into_iter()), Err(1));
        assert_eq!(metric, before);
    }

    #[test]
    fn states_merge() {
        let (first, second) = (of(&[-0.5, -1.5]), of(&[-4.0, -2.0]));
        let mut merged = Surprise::from_state(&first.state()).expect("a state");
        merged.merge(&Surprise::from_state(&second.state()).expect("a state"));
        assert_eq!(merged, of(&[-0.5, -1.5, -4.0, -2.0]));
        assert_eq!(Surprise::from_state(&first.state()[1..]), None);
        let mut with_nothing = of(&[-3.0]);
        with_nothing.merge(&Surprise::default());
        assert_eq!(with_nothing, of(&[-3.0]));
    }

    /// The state after these targets, the same in `tests/test_python.py` for Python and C.
    const EXPECTED_STATE: &str = "e80300000000000046000000000000000098ce9d0f8fb340000000c076fe2340";

    #[test]
    fn the_state_is_that_of_the_other_languages() {
        let scores = (0..1000_u32).map(|at| (-f64::from(at * 7919 % 10007) / 1000.0) as f32);
        let mut metric = Surprise::default();
        metric.update(scores).expect("numbers");
        let state = metric.state().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        assert_eq!(state, EXPECTED_STATE);
    }
}
