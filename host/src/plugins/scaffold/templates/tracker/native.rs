//! The tracker `{{name}}`: warns when the loss has not fallen for some evaluations.

use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::Deserialize;
use codex_plugin_api::serde_json::{Value, from_str};
use codex_plugin_api::{FromConfig, HostRef, LogLevel, Result, RunInfo, Tracker};

/// What a user may set, as `trackers.{{name}}.patience=5` or in a config file.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
struct Config {
    /// Evaluations without a better loss before it warns.
    #[schemars(range(min = 1))]
    patience: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { patience: 3 }
    }
}

struct {{Type}} {
    host: HostRef,
    patience: u32,
    watch: Watch,
}

/// The best evaluation so far, and how many came after it.
#[derive(Default)]
struct Watch {
    best: Option<(f64, u64)>,
    since: u32,
}

impl Watch {
    /// Takes one line of events; whether the loss has now not fallen for `patience` evaluations.
    fn event(&mut self, line: &str, patience: u32) -> bool {
        let event: Value = from_str(line).unwrap_or_default();
        // Events that it does not know must not disturb it: later versions have more of them.
        let (true, Some(loss)) = (event["event"] == "evaluation", event["metrics"]["loss"].as_f64()) else {
            return false;
        };
        if self.best.is_none_or(|(best, _)| loss < best) {
            self.best = Some((loss, event["step"].as_u64().unwrap_or_default()));
            self.since = 0;
            return false;
        }
        self.since += 1;
        self.since == patience
    }
}

impl FromConfig for {{Type}} {
    type Config = Config;
    fn from_config(config: Config, host: HostRef) -> Result<Self> {
        Ok(Self { host, patience: config.patience, watch: Watch::default() })
    }
}

impl Tracker for {{Type}} {
    fn start(&mut self, _run: &RunInfo) -> Result<()> {
        self.watch = Watch::default();
        Ok(())
    }
    /// The lines of the run's `events.ndjson`, one JSON object each.
    fn events(&mut self, ndjson: &str) -> Result<()> {
        for line in ndjson.lines() {
            if self.watch.event(line, self.patience)
                && let Some((loss, step)) = self.watch.best
            {
                let since = self.watch.since;
                let message = format!("the loss has not fallen for {since} evaluations: {loss:.4} at step {step}");
                self.host.log(LogLevel::Warning, &message);
            }
        }
        Ok(())
    }
    fn finish(&mut self) -> Result<()> {
        if let Some((loss, step)) = self.watch.best {
            self.host.log(LogLevel::Info, &format!("the best loss was {loss:.4} at step {step}"));
        }
        Ok(())
    }
}

codex_plugin_api::plugin! { tracker "{{name}}" => {{Type}} }

#[cfg(test)]
mod tests {
    use super::*;
    use codex_plugin_api::serde_json::json;
    use codex_plugin_api::testing;

    #[test]
    fn it_keeps_the_contract_of_a_tracker() {
        testing::check_tracker::<{{Type}}>(json!({"patience": 1}));
    }

    #[test]
    fn it_warns_once_when_patience_ends() {
        let mut watch = Watch::default();
        let warned = [3.0, 2.0, 2.1, 2.2, 2.3].map(|loss| {
            watch.event(&json!({"event": "evaluation", "step": 1, "metrics": {"loss": loss}}).to_string(), 2)
        });
        assert_eq!(warned, [false, false, false, true, false]);
    }
}
