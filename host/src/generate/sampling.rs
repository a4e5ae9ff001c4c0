//! Choosing a token from logits: temperature, then top-k, then top-p, as Transformers orders them; the draw is a function
//! of seed, prompt and position, so that prompts do not change each other's texts.

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
    /// Another seed, another text.
    pub seed: u64,
}

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
        Ok(())
    }

    /// Chooses one of the tokens; of equally likely ones the lower id counts as the likelier.
    ///
    /// # Errors
    /// [`ErrorKind::Plugin`] when a logit is NaN or infinite (minus infinity forbids a token and is fine).
    pub fn choose(&self, logits: &[f32], prompt: u64, position: u64) -> Result<u32> {
        let mut best = 0;
        for (id, &logit) in logits.iter().enumerate() {
            if logit.is_nan() || logit == f32::INFINITY {
                return Err(broken(format!(
                    "the model gave the logit {logit} for token {id}"
                )));
            }
            if logit > logits[best] {
                best = id;
            }
        }
        let Some(&highest) = logits.get(best).filter(|&&logit| logit > f32::NEG_INFINITY) else {
            return Err(broken("the model forbids every token".to_owned()));
        };
        if self.temperature == 0.0 || self.top_k == 1 {
            return Ok(best as u32);
        }
        let weight = |logit: f32| (f64::from(logit - highest) / self.temperature).exp();
        let mut candidates: Vec<(u32, f64)> = logits
            .iter()
            .enumerate()
            .map(|(id, &logit)| (id as u32, weight(logit)))
            .filter(|&(_, weight)| weight > 0.0)
            .collect();
        let by_likelihood =
            |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0));
        if self.top_k > 0 && self.top_k < candidates.len() {
            candidates.select_nth_unstable_by(self.top_k - 1, by_likelihood);
            candidates.truncate(self.top_k);
        }
        if self.top_p < 1.0 {
            candidates.sort_unstable_by(by_likelihood);
            let enough = self.top_p * candidates.iter().map(|(_, weight)| weight).sum::<f64>();
            let mut sum = 0.0;
            let kept = candidates.iter().position(|(_, weight)| {
                sum += weight;
                sum >= enough
            });
            candidates.truncate(kept.map_or(candidates.len(), |last| last + 1));
        } else {
            candidates.sort_unstable_by_key(|&(id, _)| id);
        }
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let mut left = random::unit(self.seed, "sampling", &[prompt, position]) * total;
        let drawn = candidates.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        // Rounding may leave nothing; then it was the last one.
        let drawn = drawn.or(candidates.last());
        Ok(drawn.map_or(best as u32, |&(id, _)| id))
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
    use super::*;

    const PLAIN: Sampling = Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        seed: 11,
    };

    fn counts(sampling: Sampling, logits: &[f32], draws: u64) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        for position in 0..draws {
            counts[sampling.choose(logits, 0, position).unwrap() as usize] += 1.0;
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
        assert_eq!(PLAIN.choose(&[7.0], 0, 0).unwrap(), 0);
    }

    #[test]
    fn a_draw_depends_on_seed_prompt_and_position_alone() {
        let logits = [0.0; 100];
        let draws = |sampling: Sampling, prompt| -> Vec<u32> {
            (0..50)
                .map(|position| sampling.choose(&logits, prompt, position).unwrap())
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
                .choose(&logits, 0, 0)
                .unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Plugin);
            }
        }
        assert!(PLAIN.choose(&[], 0, 0).is_err());
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
        ] {
            assert!(sampling.check().unwrap_err().message().contains(word));
        }
    }
}
