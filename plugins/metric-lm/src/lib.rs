//! Language-model metrics: loss, perplexity, bits per byte, token and top-k accuracy.
//!
//! What a target is, and that a text's end counts as one, is the host's decision; this crate only adds up.

mod sum;

use codex_plugin_api::{
    Error, FromConfig, HostRef, Metric, Needs, Result, Samples, Score, counters,
};
use codex_plugin_api::{schemars, serde};

use sum::Sum;

codex_plugin_api::plugin! { metric "lm" => LanguageModelMetric }

/// The configuration of `lm`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
pub struct LmConfig {
    /// A target counts for `top_<k>_accuracy` when it is among the model's first k choices.
    #[schemars(range(min = 1))]
    pub top_k: u32,
}

impl Default for LmConfig {
    fn default() -> Self {
        Self { top_k: 5 }
    }
}

/// The component `lm`.
///
/// - `loss`: mean of −ln p over all target tokens, in nats
/// - `perplexity`: e^loss
/// - `bits_per_byte`: all nats ÷ ln 2 ÷ bytes of the texts, so that tokenizers can be compared; left out where targets do
///   not stand for whole texts, as in masked language modelling
/// - `token_accuracy`, `top_<k>_accuracy`: share of targets that were the first choice, or among the first k
///
/// Without any target all are NaN; a target of probability zero makes the first three infinite.
#[derive(Clone, Debug)]
pub struct LanguageModelMetric {
    top_k: u32,
    nats: Sum,
    tokens: u64,
    bytes: u64,
    first: u64,
    within_k: u64,
}

impl FromConfig for LanguageModelMetric {
    type Config = LmConfig;

    fn from_config(config: LmConfig, _host: HostRef) -> Result<Self> {
        if config.top_k == 0 {
            return Err(Error::config("top_k is 0").hint("set top_k to 1 or more"));
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
}

impl Metric for LanguageModelMetric {
    fn needs(&self) -> Needs {
        Needs {
            log_probabilities: true,
            ranks: true,
            ..Needs::default()
        }
    }

    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        let (scores, ranks) = (samples.log_probabilities, samples.ranks);
        if scores.len() != ranks.len() {
            return Err(Error::data(format!(
                "{} log-probabilities come with {} ranks",
                scores.len(),
                ranks.len()
            )));
        }
        if !samples.byte_lengths.is_empty() && samples.byte_lengths.len() != samples.count {
            return Err(Error::data(format!(
                "{} samples come with {} byte lengths",
                samples.count,
                samples.byte_lengths.len()
            )));
        }
        if let Some(at) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::data(format!(
                "log-probability {at} of {} is not a number",
                scores.len()
            ))
            .hint("the model's weights may have diverged: lower training.learning_rate"));
        }
        for &score in scores {
            self.nats.add(-f64::from(score));
        }
        self.tokens += scores.len() as u64;
        self.bytes += samples.byte_lengths.iter().sum::<u64>();
        self.first += ranks.iter().filter(|&&rank| rank == 0).count() as u64;
        self.within_k += ranks.iter().filter(|&&rank| rank < self.top_k).count() as u64;
        Ok(())
    }

    fn state(&self) -> Result<Vec<u8>> {
        let [sum, rest] = self.nats.parts().map(f64::to_bits);
        let values = [
            u64::from(self.top_k),
            sum,
            rest,
            self.tokens,
            self.bytes,
            self.first,
            self.within_k,
        ];
        Ok(values.map(u64::to_le_bytes).concat())
    }

    fn merge(&mut self, state: &[u8]) -> Result<()> {
        let [top_k, sum, rest, tokens, bytes, first, within_k] = counters(state)?;
        if top_k != u64::from(self.top_k) {
            return Err(Error::data(format!(
                "a state of top_k {top_k} cannot be added to one of top_k {}",
                self.top_k
            )));
        }
        for part in [sum, rest].map(f64::from_bits) {
            self.nats.add(part);
        }
        self.tokens += tokens;
        self.bytes += bytes;
        self.first += first;
        self.within_k += within_k;
        Ok(())
    }

    fn compute(&self) -> Result<Vec<Score>> {
        let (nats, tokens) = (self.nats.value(), self.tokens as f64);
        let loss = nats / tokens;
        let mut scores = vec![
            Score::lower("loss", loss),
            Score::lower("perplexity", loss.exp()),
        ];
        if self.tokens == 0 {
            scores.push(Score::lower("bits_per_byte", f64::NAN));
        } else if self.bytes > 0 {
            let bits = nats / std::f64::consts::LN_2;
            scores.push(Score::lower("bits_per_byte", bits / self.bytes as f64));
        }
        scores.extend([
            Score::higher("token_accuracy", self.first as f64 / tokens),
            Score::higher(
                format!("top_{}_accuracy", self.top_k),
                self.within_k as f64 / tokens,
            ),
        ]);
        Ok(scores)
    }
}
