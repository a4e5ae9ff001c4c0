//! The metric `{{name}}`: how often the model gives the right token less chance than `bound`.
//!
//! The host calls `create` first. Every component has an instance of its own, so a `static` is its state and nobody else's.

wit_bindgen::generate!({ path: "wit", world: "metric-plugin" });

use std::sync::{Mutex, MutexGuard, PoisonError};

use codex::plugin::types::{Direction, Error, ErrorKind, MetricNeeds, Samples, Score};
use exports::codex::plugin::metric::Guest;

struct {{Type}} {
    /// The bound as a natural logarithm, as the host gives scores.
    bound: f32,
    surprises: u64,
    tokens: u64,
}

static METRIC: Mutex<{{Type}}> = Mutex::new({{Type}} { bound: 0.0, surprises: 0, tokens: 0 });

fn metric() -> MutexGuard<'static, {{Type}}> {
    METRIC.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guest for {{Type}} {
    /// The configuration was checked against `plugin.toml`, and its defaults are filled in.
    fn create(_name: String, config: String) -> Result<(), Error> {
        let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
        metric().bound = config["bound"].as_f64().unwrap_or(0.01).ln() as f32;
        Ok(())
    }
    /// What the host shall compute; what no metric asks for is not computed.
    fn needs() -> MetricNeeds {
        MetricNeeds::LOG_PROBABILITIES
    }
    fn update(samples: Samples) -> Result<(), Error> {
        let mut metric = metric();
        for score in samples.log_probabilities.chunks_exact(4) {
            let score = <[u8; 4]>::try_from(score).map_or(f32::NAN, f32::from_le_bytes);
            metric.surprises += u64::from(score < metric.bound);
            metric.tokens += 1;
        }
        Ok(())
    }
    /// Everything counted so far: two halves of the data, merged, must give what the whole gives.
    fn state() -> Result<Vec<u8>, Error> {
        let metric = metric();
        Ok([metric.surprises.to_le_bytes(), metric.tokens.to_le_bytes()].concat())
    }
    fn merge(state: Vec<u8>) -> Result<(), Error> {
        let Ok(bytes) = <[u8; 16]>::try_from(state) else {
            let message = "a state has 16 bytes".to_owned();
            return Err(Error { kind: ErrorKind::Data, message, hint: None, causes: vec![] });
        };
        let both = u128::from_le_bytes(bytes);
        let mut metric = metric();
        metric.surprises += both as u64;
        metric.tokens += (both >> 64) as u64;
        Ok(())
    }
    fn compute() -> Result<Vec<Score>, Error> {
        let metric = metric();
        let value = metric.surprises as f64 / metric.tokens as f64;
        Ok(vec![Score { name: "{{snake}}".into(), value, direction: Direction::Lower }])
    }
}

export!({{Type}});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_added() {
        {{Type}}::create("{{name}}".into(), "{\"bound\": 0.1}".into()).unwrap();
        let one_of_four = [1_u64.to_le_bytes(), 4_u64.to_le_bytes()].concat();
        {{Type}}::merge(one_of_four.clone()).unwrap();
        {{Type}}::merge(one_of_four).unwrap();
        assert_eq!({{Type}}::compute().unwrap()[0].value, 0.25);
        assert!({{Type}}::merge(vec![0; 15]).is_err());
    }
}
