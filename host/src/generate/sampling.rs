//! Choosing a token from logits: repetition penalty, then temperature, top-k, top-p and min-p, as Transformers orders
//! them; the draw is a function of seed, text and position, so that prompts do not change each other's texts.

use std::collections::BTreeSet;

use codex_plugin_api::{Error, ErrorKind, Result};

use crate::random;

/// How a token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the likeliest token.
    pub temperature: f64,
    /// Only the so many likeliest tokens; 0 for all.
    pub top_k: usize,
    /// Only the likeliest tokens that together have this probability; 1 for all.
    pub top_p: f64,
    /// Only tokens with at least this share of the likeliest one's probability (Nguyen et al. 2024); 0 for all.
    pub min_p: f64,
    /// Tokens that the text holds become less likely above 1, likelier below.
    pub repetition_penalty: f64,
    /// Another seed, another text.
    pub seed: u64,
}

/// So many tokens are first tried to be enough for top-p.
const FIRST_LOOK: usize = 256;

impl Sampling {
    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the one that does not.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(Error::config(format!(
                "--temperature is {}, it must be 0 or more",
                self.temperature
            ))
            .hint("0 takes the likeliest token, 1 draws as the model says"));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::config(format!(
                "--top-p is {}, it must be above 0 and at most 1",
                self.top_p
            ))
            .hint("1 leaves every token in, 0.9 leaves the unlikeliest tenth out"));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(Error::config(format!(
                "--min-p is {}, it must be from 0 to 1",
                self.min_p
            ))
            .hint("0 leaves every token in, 0.1 those with a tenth of the likeliest one's probability"));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return Err(Error::config(format!(
                "--repetition-penalty is {}, it must be above 0",
                self.repetition_penalty
            ))
            .hint("1 changes nothing, 1.2 makes repetitions less likely"));
        }
        Ok(())
    }

    /// Chooses one of the tokens; of equally likely ones the lower id counts as the likelier. `text` is what makes
    /// draws differ from text to text, `position` what makes them differ within one.
    ///
    /// # Errors
    /// [`ErrorKind::Plugin`] when a logit is NaN or infinite (minus infinity forbids a token and is fine).
    pub fn choose(&self, logits: &[f32], text: &[u64], position: u64) -> Result<u32> {
        let (best, highest) = likeliest(logits)?;
        if self.temperature == 0.0 || self.top_k == 1 {
            return Ok(best);
        }
        let candidates = self.candidates(logits, highest);
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let counters = [text, &[position]].concat();
        let mut left = random::unit(self.seed, "sampling", &counters) * total;
        let drawn = candidates.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        // Rounding may leave nothing; then it was the last one.
        let drawn = drawn.or(candidates.last());
        Ok(drawn.map_or(best, |&(id, _)| id))
    }

    /// The tokens that can be drawn, in a fixed order, with weights in proportion to their probabilities. What a
    /// vocabulary of many thousand tokens costs is one look at each; only those that may stay are ever put in order.
    fn candidates(&self, logits: &[f32], highest: f32) -> Vec<(u32, f64)> {
        let highest = f64::from(highest);
        let weight = |logit: f32| ((f64::from(logit) - highest) / self.temperature).exp();
        // The likeliest token's weight is 1, so this is its share.
        let least = self.min_p.max(f64::MIN_POSITIVE);
        let mut candidates: Vec<(u32, f64)>;
        if self.top_k > 0 && self.top_k < logits.len() {
            let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
            let by_logit = |a: &u32, b: &u32| {
                let order = logits[*b as usize].total_cmp(&logits[*a as usize]);
                order.then_with(|| a.cmp(b))
            };
            ids.select_nth_unstable_by(self.top_k - 1, by_logit);
            ids.truncate(self.top_k);
            ids.sort_unstable();
            let weighed = ids.into_iter().map(|id| (id, weight(logits[id as usize])));
            candidates = weighed.collect();
        } else {
            let weighed = (0..).zip(logits).map(|(id, &logit)| (id, weight(logit)));
            candidates = weighed.collect();
        }
        if self.top_p < 1.0 {
            self.keep_nucleus(&mut candidates);
        }
        candidates.retain(|&(_, weight)| weight >= least);
        candidates
    }

    /// Keeps the fewest likeliest tokens that together have the share `top_p`.
    fn keep_nucleus(&self, candidates: &mut Vec<(u32, f64)>) {
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let enough = self.top_p * total;
        // All tokens below this together are less than what may be left out, so none of them is needed.
        let needless = (total - enough) / candidates.len() as f64;
        candidates.retain(|&(_, weight)| weight >= needless);
        let by_likelihood =
            |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0));
        // In most texts a handful of tokens is enough; the rest is not worth putting in order.
        let mut sorted = FIRST_LOOK;
        while sorted < candidates.len() {
            candidates.select_nth_unstable_by(sorted, by_likelihood);
            if candidates[..sorted]
                .iter()
                .map(|(_, weight)| weight)
                .sum::<f64>()
                >= enough
            {
                candidates.truncate(sorted);
                break;
            }
            sorted *= 8;
        }
        candidates.sort_unstable_by(by_likelihood);
        let mut sum = 0.0;
        let last = candidates.iter().position(|(_, weight)| {
            sum += weight;
            sum >= enough
        });
        candidates.truncate(last.map_or(candidates.len(), |last| last + 1));
    }
}

/// Makes tokens that the text holds less likely: a positive logit is divided by the penalty, a negative one multiplied,
/// once a token however often it stands there (Keskar et al. 2019, as Transformers applies it).
pub(super) fn penalise(logits: &mut [f32], seen: &BTreeSet<u32>, penalty: f64) {
    if penalty == 1.0 {
        return;
    }
    for &id in seen {
        if let Some(logit) = logits.get_mut(id as usize) {
            let value = f64::from(*logit);
            *logit = if value < 0.0 {
                value * penalty
            } else {
                value / penalty
            } as f32;
        }
    }
}

/// The first of the likeliest tokens, and its logit.
fn likeliest(logits: &[f32]) -> Result<(u32, f32)> {
    // In lanes, because a compiler may not put the comparisons of one long chain side by side.
    let mut lanes = [f32::NEG_INFINITY; 16];
    let mut broken_lanes = [false; 16];
    let chunks = logits.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks.chain([rest]) {
        for ((lane, bad), &logit) in lanes.iter_mut().zip(&mut broken_lanes).zip(chunk) {
            *lane = if logit > *lane { logit } else { *lane };
            // True for infinity and NaN.
            *bad |= logit.is_nan() || logit == f32::INFINITY;
        }
    }
    if broken_lanes.contains(&true)
        && let Some((id, logit)) = (0..)
            .zip(logits)
            .find(|(_, logit)| logit.is_nan() || **logit == f32::INFINITY)
    {
        return Err(broken(format!(
            "the model gave the logit {logit} for token {id}"
        )));
    }
    let highest = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let best = logits.iter().position(|&logit| logit == highest);
    match best {
        Some(best) if highest > f32::NEG_INFINITY => Ok((best as u32, highest)),
        _ => Err(broken("the model forbids every token".to_owned())),
    }
}

fn broken(what: String) -> Error {
    Error::new(ErrorKind::Plugin, what).hint(
        "the weights are damaged or training diverged: `codex-ml evaluate` shows the model's loss",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::Value;

    use super::*;

    const PLAIN: Sampling = Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        seed: 11,
    };

    fn counts(sampling: Sampling, logits: &[f32], draws: u64) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        for position in 0..draws {
            counts[sampling.choose(logits, &[0], position).unwrap() as usize] += 1.0;
        }
        counts
    }

    /// Pearson's statistic against the probabilities; tokens of probability 0 must not come at all.
    fn check(sampling: Sampling, logits: &[f32], expected: &[f64]) {
        const DRAWS: u64 = 20_000;
        let counts = counts(sampling, logits, DRAWS);
        let mut chi_square = 0.0;
        for (&count, &probability) in counts.iter().zip(expected) {
            if probability == 0.0 {
                assert_eq!(count, 0.0, "{counts:?}");
            } else {
                let due = probability * DRAWS as f64;
                chi_square += (count - due) * (count - due) / due;
            }
        }
        // Beyond 22 lies one case in a thousand for 6 degrees of freedom, and fewer for fewer.
        assert!(chi_square < 22.0, "{chi_square} {counts:?}");
    }

    fn softmax(logits: &[f32], temperature: f64, kept: &[usize]) -> Vec<f64> {
        let weight = |id: usize| (f64::from(logits[id]) / temperature).exp();
        let total: f64 = kept.iter().map(|&id| weight(id)).sum();
        let share = |id| {
            if kept.contains(&id) {
                weight(id) / total
            } else {
                0.0
            }
        };
        (0..logits.len()).map(share).collect()
    }

    #[test]
    fn draws_follow_the_distribution() {
        let logits = [0.5, -1.0, 2.0, 0.0, 1.0, f32::NEG_INFINITY, 1.5];
        let all = [0, 1, 2, 3, 4, 6];
        for temperature in [0.5, 1.0, 3.0] {
            let sampling = Sampling {
                temperature,
                ..PLAIN
            };
            check(sampling, &logits, &softmax(&logits, temperature, &all));
        }
        check(
            Sampling { top_k: 3, ..PLAIN },
            &logits,
            &softmax(&logits, 1.0, &[2, 6, 4]),
        );
        check(
            Sampling { top_k: 99, ..PLAIN },
            &logits,
            &softmax(&logits, 1.0, &all),
        );
        // The likeliest three have 0.44, 0.27 and 0.16: two have less than 0.75, three more.
        check(
            Sampling {
                top_p: 0.75,
                ..PLAIN
            },
            &logits,
            &softmax(&logits, 1.0, &[2, 6, 4]),
        );
        // Top-k first: of three with 0.51, 0.31 and 0.19 the first two have 0.75 and more.
        let both = Sampling {
            top_k: 3,
            top_p: 0.75,
            ..PLAIN
        };
        check(both, &logits, &softmax(&logits, 1.0, &[2, 6]));
    }

    #[test]
    fn probabilities_are_those_of_transformers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/sampling.json");
        let cases: Vec<Value> =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(cases.len() > 40);
        for case in &cases {
            let number = |name: &str| case[name].as_f64().unwrap();
            let numbers = |name: &str| -> Vec<f64> {
                let values = case[name].as_array().unwrap();
                values.iter().map(|value| value.as_f64().unwrap()).collect()
            };
            let sampling = Sampling {
                temperature: number("temperature"),
                top_k: number("top_k") as usize,
                top_p: number("top_p"),
                min_p: number("min_p"),
                repetition_penalty: number("repetition_penalty"),
                seed: 0,
            };
            let mut logits: Vec<f32> = numbers("logits").iter().map(|&l| l as f32).collect();
            let seen = numbers("ids").iter().map(|&id| id as u32).collect();
            penalise(&mut logits, &seen, sampling.repetition_penalty);
            let (_, highest) = likeliest(&logits).unwrap();
            let candidates = sampling.candidates(&logits, highest);
            let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
            let mut found = vec![0.0; logits.len()];
            for (id, weight) in candidates {
                found[id as usize] = weight / total;
            }
            for (id, (found, expected)) in found.iter().zip(numbers("probabilities")).enumerate() {
                assert!(
                    (*found == 0.0) == (expected == 0.0) && (found - expected).abs() < 1e-5,
                    "token {id}: {found} where Transformers has {expected} in {sampling:?}"
                );
            }
        }
    }

    #[test]
    fn a_large_vocabulary_keeps_what_sorting_all_of_it_would_keep() {
        for spread in [0.0, 0.01, 1.0, 8.0] {
            let logits: Vec<f32> = (0..50_257)
                .map(|id| (spread * random::unit(3, "logits", &[id])) as f32)
                .collect();
            let (_, highest) = likeliest(&logits).unwrap();
            let weight = |id: usize| (f64::from(logits[id]) - f64::from(highest)).exp();
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
            let total: f64 = order.iter().map(|&id| weight(id)).sum();
            for top_p in [0.01, 0.5, 0.95] {
                let mut sum = 0.0;
                let kept = order.iter().take_while(|&&id| {
                    let before = sum;
                    sum += weight(id);
                    before < top_p * total
                });
                let kept = kept.count();
                let found = Sampling { top_p, ..PLAIN }.candidates(&logits, highest);
                // Sums in another order differ in the last digits, which may cost or give one token.
                assert!(found.len().abs_diff(kept) <= 1, "{} {kept}", found.len());
                let found: Vec<usize> = found.iter().map(|&(id, _)| id as usize).collect();
                let same = found.len().min(kept);
                assert!(
                    found[..same] == order[..same],
                    "spread {spread}, top-p {top_p}"
                );
            }
        }
    }

    #[test]
    fn a_penalty_counts_each_token_once_and_knows_signs() {
        let mut logits = [2.0, -2.0, 0.0, 4.0];
        penalise(&mut logits, &[0, 1, 2, 99].into(), 2.0);
        assert_eq!(logits, [1.0, -4.0, 0.0, 4.0]);
    }

    #[test]
    fn the_edges_are_greedy_or_everything() {
        let logits = [1.0, 3.0, 3.0, -2.0];
        for sampling in [
            Sampling {
                temperature: 0.0,
                ..PLAIN
            },
            Sampling {
                temperature: 1e-300,
                top_k: 1,
                ..PLAIN
            },
            Sampling { top_k: 1, ..PLAIN },
            Sampling {
                top_p: 1e-9,
                ..PLAIN
            },
            Sampling {
                top_p: 1e-9,
                min_p: 1.0,
                ..PLAIN
            },
        ] {
            assert_eq!(counts(sampling, &logits, 50), [0.0, 50.0, 0.0, 0.0]);
        }
        // A tiny temperature divides a tie, and nothing overflows.
        let cold = counts(
            Sampling {
                temperature: 1e-300,
                ..PLAIN
            },
            &logits,
            1000,
        );
        assert!(cold[1] > 400.0 && cold[2] > 400.0, "{cold:?}");
        assert!(
            counts(
                Sampling {
                    temperature: 1e300,
                    ..PLAIN
                },
                &logits,
                1000
            )[3] > 150.0
        );
        assert_eq!(PLAIN.choose(&[7.0], &[0], 0).unwrap(), 0);
    }

    #[test]
    fn a_draw_depends_on_seed_prompt_and_position_alone() {
        let logits = [0.0; 100];
        let draws = |sampling: Sampling, prompt| -> Vec<u32> {
            (0..50)
                .map(|position| sampling.choose(&logits, &[prompt], position).unwrap())
                .collect()
        };
        assert_eq!(draws(PLAIN, 0), draws(PLAIN, 0));
        assert_ne!(draws(PLAIN, 0), draws(PLAIN, 1));
        assert_ne!(draws(PLAIN, 0), draws(Sampling { seed: 12, ..PLAIN }, 0));
    }

    #[test]
    fn logits_that_are_no_numbers_are_an_error() {
        for logits in [
            [0.0, f32::NAN],
            [f32::INFINITY, 0.0],
            [f32::NEG_INFINITY; 2],
        ] {
            for temperature in [0.0, 1.0] {
                let error = Sampling {
                    temperature,
                    ..PLAIN
                }
                .choose(&logits, &[0], 0)
                .unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Plugin);
            }
        }
        assert!(PLAIN.choose(&[], &[0], 0).is_err());
    }

    #[test]
    fn settings_out_of_range_are_named() {
        for (sampling, word) in [
            (
                Sampling {
                    temperature: -0.1,
                    ..PLAIN
                },
                "--temperature is -0.1",
            ),
            (
                Sampling {
                    temperature: f64::NAN,
                    ..PLAIN
                },
                "--temperature is NaN",
            ),
            (
                Sampling {
                    top_p: 0.0,
                    ..PLAIN
                },
                "--top-p is 0",
            ),
            (
                Sampling {
                    top_p: 1.5,
                    ..PLAIN
                },
                "--top-p is 1.5",
            ),
            (
                Sampling {
                    min_p: 1.1,
                    ..PLAIN
                },
                "--min-p is 1.1",
            ),
            (
                Sampling {
                    repetition_penalty: 0.0,
                    ..PLAIN
                },
                "--repetition-penalty is 0",
            ),
        ] {
            assert!(sampling.check().unwrap_err().message().contains(word));
        }
    }
}
