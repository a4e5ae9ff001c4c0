//! The metric `lm-wasm`: what the native metric `lm` computes, with the same scores under the same names and states that
//! either reads of the other.
//!
//! It shows what a metric costs in the sandbox. Its sums are the native one's bit by bit; only `perplexity` may differ in
//! the last bit, because e^x is the sandbox's own. What crosses the border is here, the sums are in `scores.rs`.

mod scores;

use codex_guest::types::{Direction, Error, MetricNeeds, Samples, Score};
use codex_guest::{Component, unpack};

use exports::codex::plugin::metric::Guest;
use scores::{Config, Scores};

wit_bindgen::generate!({
    path: "../../plugin-api/wit/v1",
    world: "metric-plugin",
    with: { "codex:plugin/types@1.0.0": codex_guest::types },
});

static METRIC: Component<Scores> = Component::new();

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn create(name: String, config: String) -> Result<(), Error> {
        let config: Config = serde_json::from_str(&config)
            .map_err(|why| Error::config(format!("configuration of {name} is wrong: {why}")))?;
        METRIC.set(Scores::new(&config)?);
        Ok(())
    }

    fn needs() -> MetricNeeds {
        MetricNeeds::LOG_PROBABILITIES | MetricNeeds::RANKS
    }

    fn update(samples: Samples) -> Result<(), Error> {
        METRIC.with(|metric| {
            let byte_lengths = unpack::<u64>("byte lengths", &samples.byte_lengths)?;
            if byte_lengths.len() != 0 && byte_lengths.len() as u64 != samples.count {
                return Err(Error::data(format!(
                    "{} samples come with {} byte lengths",
                    samples.count,
                    byte_lengths.len()
                )));
            }
            metric.update(
                unpack("log-probabilities", &samples.log_probabilities)?,
                unpack("ranks", &samples.ranks)?,
                byte_lengths,
            )
        })
    }

    fn state() -> Result<Vec<u8>, Error> {
        METRIC.with(|metric| Ok(metric.state()))
    }

    fn merge(state: Vec<u8>) -> Result<(), Error> {
        METRIC.with(|metric| metric.merge(&state))
    }

    fn compute() -> Result<Vec<Score>, Error> {
        METRIC.with(|metric| {
            let score = |(name, value): (String, f64)| Score {
                direction: if name.ends_with("accuracy") {
                    Direction::Higher
                } else {
                    Direction::Lower
                },
                name,
                value,
            };
            Ok(metric.compute().into_iter().map(score).collect())
        })
    }
}
