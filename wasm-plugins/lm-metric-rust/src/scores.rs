//! The sums behind the scores, as the native metric `lm` keeps them.

use codex_guest::types::Error;
use codex_guest::{pack, unpack};

/// The configuration; the host checked it against the manifest's schema and filled in the default.
#[derive(serde::Deserialize)]
pub(crate) struct Config {
    /// A target counts for `top_<k>_accuracy` when it is among the model's first k choices.
    pub(crate) top_k: u32,
}

/// A sum of floats that keeps what rounding drops (Neumaier 1974), so that order and division hardly matter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let total = self.sum + value;
        // Infinity lacks nothing; the difference below would be NaN.
        if total.is_finite() {
            self.lost += if self.sum.abs() >= value.abs() {
                (self.sum - total) + value
            } else {
                (value - total) + self.sum
            };
        }
        self.sum = total;
    }
}

/// `nats` with those of more targets. Functions of their own for the loops, because in a large one the compiler that the
/// sandbox uses keeps the sums in memory.
#[inline(never)]
fn more_nats(nats: Sum, scores: impl Iterator<Item = f32>) -> Sum {
    scores.fold(nats, |mut nats, score| {
        nats.add(-f64::from(score));
        nats
    })
}

/// How many targets were the first choice, and how many among the first `top_k`.
#[inline(never)]
fn choices(ranks: impl Iterator<Item = u32>, top_k: u32) -> (u32, u32) {
    ranks.fold((0, 0), |(first, within_k), rank| {
        let within = u32::from(rank < top_k);
        (first + u32::from(rank == 0), within_k + within)
    })
}

/// What was seen so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scores {
    top_k: u32,
    nats: Sum,
    tokens: u64,
    bytes: u64,
    first: u64,
    within_k: u64,
}

impl Scores {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        if config.top_k == 0 {
            return Err(Error::config("top_k is 0").with_hint("set top_k to 1 or more"));
        }
        Ok(Self {
            top_k: config.top_k,
            nats: Sum::default(),
            tokens: 0,
            bytes: 0,
            first: 0,
            within_k: 0,
        })
    }

    /// Adds targets by their log-probabilities and ranks, and the texts that they stand for by their lengths.
    pub(crate) fn update(
        &mut self,
        scores: impl ExactSizeIterator<Item = f32> + Clone,
        ranks: impl ExactSizeIterator<Item = u32>,
        byte_lengths: impl Iterator<Item = u64>,
    ) -> Result<(), Error> {
        let count = scores.len();
        if count != ranks.len() {
            return Err(Error::data(format!(
                "{count} log-probabilities come with {} ranks",
                ranks.len()
            )));
        }
        // Apart from the sum, so that each loop is as short as it can be.
        let any_nan = scores
            .clone()
            .fold(false, |any, score| any | score.is_nan());
        if let Some(at) = any_nan
            .then(|| scores.clone().position(f32::is_nan))
            .flatten()
        {
            return Err(
                Error::data(format!("log-probability {at} of {count} is not a number")).with_hint(
                    "the model's weights may have diverged: lower training.learning_rate",
                ),
            );
        }
        self.nats = more_nats(self.nats, scores);
        let (first, within_k) = choices(ranks, self.top_k);
        self.tokens += count as u64;
        self.bytes += byte_lengths.sum::<u64>();
        self.first += u64::from(first);
        self.within_k += u64::from(within_k);
        Ok(())
    }

    pub(crate) fn state(&self) -> Vec<u8> {
        pack([
            u64::from(self.top_k),
            self.nats.sum.to_bits(),
            self.nats.lost.to_bits(),
            self.tokens,
            self.bytes,
            self.first,
            self.within_k,
        ])
    }

    pub(crate) fn merge(&mut self, state: &[u8]) -> Result<(), Error> {
        let numbers: Vec<u64> = unpack("a metric state", state)?.collect();
        let [top_k, sum, lost, tokens, bytes, first, within_k] = numbers[..] else {
            return Err(Error::data(format!(
                "a metric state of {} bytes where 56 are due",
                state.len()
            )));
        };
        if top_k != u64::from(self.top_k) {
            return Err(Error::data(format!(
                "a state of top_k {top_k} cannot be added to one of top_k {}",
                self.top_k
            )));
        }
        for part in [sum, lost] {
            self.nats.add(f64::from_bits(part));
        }
        self.tokens += tokens;
        self.bytes += bytes;
        self.first += first;
        self.within_k += within_k;
        Ok(())
    }

    /// Names and values. Without any target all are NaN; a target of probability zero makes the first three infinite.
    pub(crate) fn compute(&self) -> Vec<(String, f64)> {
        let (nats, tokens) = (self.nats.sum + self.nats.lost, self.tokens as f64);
        let loss = nats / tokens;
        let mut scores = vec![
            ("loss".to_owned(), loss),
            ("perplexity".to_owned(), loss.exp()),
        ];
        if self.tokens == 0 {
            scores.push(("bits_per_byte".to_owned(), f64::NAN));
        } else if self.bytes > 0 {
            let bits = nats / std::f64::consts::LN_2;
            scores.push(("bits_per_byte".to_owned(), bits / self.bytes as f64));
        }
        scores.push(("token_accuracy".to_owned(), self.first as f64 / tokens));
        let name = format!("top_{}_accuracy", self.top_k);
        scores.push((name, self.within_k as f64 / tokens));
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[(f32, u32)], bytes: &[u64]) -> Scores {
        let mut metric = Scores::new(&Config { top_k: 2 }).expect("valid");
        let (scores, ranks) = (samples.iter().map(|s| s.0), samples.iter().map(|s| s.1));
        metric
            .update(scores, ranks, bytes.iter().copied())
            .expect("good samples");
        metric
    }

    #[test]
    fn scores_have_the_native_names_and_values() {
        let found = of(&[(-0.5, 0), (-1.5, 1), (-4.0, 9), (-2.0, 0)], &[4, 4]).compute();
        let expected = [
            ("loss", 2.0),
            ("perplexity", 2.0_f64.exp()),
            ("bits_per_byte", 1.0 / std::f64::consts::LN_2),
            ("token_accuracy", 0.5),
            ("top_2_accuracy", 0.75),
        ];
        assert_eq!(found.len(), expected.len());
        for ((name, value), (due_name, due)) in found.iter().zip(expected) {
            assert_eq!(name, due_name);
            assert!((value - due).abs() < 1e-12, "{name} is {value}, not {due}");
        }
        assert!(
            of(&[], &[])
                .compute()
                .iter()
                .all(|(_, value)| value.is_nan())
        );
        let names: Vec<String> = of(&[(-1.0, 0)], &[])
            .compute()
            .into_iter()
            .map(|s| s.0)
            .collect();
        assert!(
            !names.contains(&"bits_per_byte".to_owned()),
            "there is nothing to divide by"
        );
    }

    #[test]
    fn states_merge_and_others_are_refused() {
        let (first, second) = (of(&[(-0.5, 0)], &[3]), of(&[(-4.0, 9)], &[5]));
        let mut merged = of(&[], &[]);
        merged.merge(&first.state()).expect("a state");
        merged.merge(&second.state()).expect("a state");
        assert_eq!(merged, of(&[(-0.5, 0), (-4.0, 9)], &[3, 5]));
        assert!(merged.merge(&first.state()[..48]).is_err());
        let other = Scores::new(&Config { top_k: 3 }).expect("valid").state();
        assert!(merged.merge(&other).is_err());
        assert!(Scores::new(&Config { top_k: 0 }).is_err());
    }

    #[test]
    fn samples_that_make_no_sense_are_refused() {
        let mut metric = of(&[], &[]);
        let before = metric;
        assert!(
            metric
                .update([-1.0].into_iter(), [].into_iter(), [].into_iter())
                .is_err()
        );
        assert!(
            metric
                .update([f32::NAN].into_iter(), [0].into_iter(), [].into_iter())
                .is_err()
        );
        assert_eq!(metric, before);
    }
}
