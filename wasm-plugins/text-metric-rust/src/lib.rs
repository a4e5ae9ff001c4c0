//! The metric `surprise`: how surprised a model is by what it reads.
//!
//! The same metric is written in C (`text-metric-c`) and in Python (`text-metric-python`); the three give the same scores to
//! the last bit. Here is what crosses the border; the arithmetic is in `surprise.rs`.

mod surprise;

use codex_guest::types::{Direction, Error, MetricNeeds, Samples, Score};
use codex_guest::{Component, unpack};

use exports::codex::plugin::metric::Guest;
use surprise::Surprise;

wit_bindgen::generate!({
    path: "../../plugin-api/wit/v1",
    world: "metric-plugin",
    with: { "codex:plugin/types@1.0.0": codex_guest::types },
});

static METRIC: Component<Surprise> = Component::new();

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn create(_name: String, _config: String) -> Result<(), Error> {
        METRIC.set(Surprise::default());
        Ok(())
    }

    fn needs() -> MetricNeeds {
        MetricNeeds::LOG_PROBABILITIES
    }

    fn update(samples: Samples) -> Result<(), Error> {
        METRIC.with(|metric| {
            let scores = unpack::<f32>("log-probabilities", &samples.log_probabilities)?;
            metric.update(scores).map_err(|at| {
                let all = samples.log_probabilities.len() / 4;
                Error::data(format!("log-probability {at} of {all} is not a number")).with_hint(
                    "the model's weights may have diverged: lower training.learning_rate",
                )
            })
        })
    }

    fn state() -> Result<Vec<u8>, Error> {
        METRIC.with(|metric| Ok(metric.state().to_vec()))
    }

    fn merge(state: Vec<u8>) -> Result<(), Error> {
        METRIC.with(|metric| {
            let other = Surprise::from_state(&state).ok_or_else(|| {
                let (found, due) = (state.len(), surprise::STATE_BYTES);
                Error::data(format!(
                    "a metric state of {found} bytes where {due} are due"
                ))
            })?;
            metric.merge(&other);
            Ok(())
        })
    }

    fn compute() -> Result<Vec<Score>, Error> {
        METRIC.with(|metric| {
            let [mean, max, confident] = metric.scores();
            let score = |name: &str, value, direction| Score {
                name: name.to_owned(),
                value,
                direction,
            };
            Ok(vec![
                score("surprise_mean", mean, Direction::Lower),
                score("surprise_max", max, Direction::Lower),
                score("confident_share", confident, Direction::Higher),
            ])
        })
    }
}
