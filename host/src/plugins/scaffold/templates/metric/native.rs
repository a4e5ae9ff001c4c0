//! The metric `{{name}}`: how often the model gives the right token less chance than `bound`.

use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::Deserialize;
use codex_plugin_api::{FromConfig, HostRef, Metric, Needs, Result, Samples, Score, counters};

/// What a user may set, as `metrics.{{name}}.bound=0.05` or in a config file.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
struct Config {
    /// The chance below which a token is a surprise.
    #[schemars(range(min = 0.0, max = 1.0))]
    bound: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { bound: 0.01 }
    }
}

struct {{Type}} {
    /// The bound as a natural logarithm, as the host gives scores.
    bound: f32,
    surprises: u64,
    tokens: u64,
}

impl FromConfig for {{Type}} {
    type Config = Config;
    fn from_config(config: Config, _host: HostRef) -> Result<Self> {
        Ok(Self { bound: config.bound.ln(), surprises: 0, tokens: 0 })
    }
}

impl Metric for {{Type}} {
    /// What the host shall compute; what no metric asks for is not computed.
    fn needs(&self) -> Needs {
        Needs { log_probabilities: true, ..Needs::default() }
    }
    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        let scores = samples.log_probabilities;
        self.surprises += scores.iter().filter(|&&score| score < self.bound).count() as u64;
        self.tokens += scores.len() as u64;
        Ok(())
    }
    /// Everything counted so far: two halves of the data, merged, must give what the whole gives.
    fn state(&self) -> Result<Vec<u8>> {
        Ok([self.surprises.to_le_bytes(), self.tokens.to_le_bytes()].concat())
    }
    fn merge(&mut self, state: &[u8]) -> Result<()> {
        let [surprises, tokens] = counters(state)?;
        self.surprises += surprises;
        self.tokens += tokens;
        Ok(())
    }
    fn compute(&self) -> Result<Vec<Score>> {
        Ok(vec![Score::lower("{{snake}}", self.surprises as f64 / self.tokens as f64)])
    }
}

codex_plugin_api::plugin! { metric "{{name}}" => {{Type}} }

#[cfg(test)]
mod tests {
    use super::*;
    use codex_plugin_api::serde_json::json;
    use codex_plugin_api::{NoHost, testing};

    #[test]
    fn it_keeps_the_contract_of_a_metric() {
        testing::check_metric::<{{Type}}>(json!({"bound": 0.1}));
    }

    #[test]
    fn unlikely_tokens_are_counted() {
        let mut metric = {{Type}}::from_config(Config { bound: 0.1 }, NoHost::shared()).unwrap();
        let log_probabilities = [0.05_f32.ln(), 0.5_f32.ln()];
        metric.update(&Samples { log_probabilities: &log_probabilities, ..Samples::default() }).unwrap();
        assert_eq!(metric.compute().unwrap()[0].value, 0.5);
    }
}
