//! The tracker `{{name}}`: warns when the loss has not fallen for some evaluations.
//!
//! The host calls `create` first. Every component has an instance of its own, so a `static` is its state and nobody else's.

wit_bindgen::generate!({ path: "wit", world: "tracker-plugin" });

use std::sync::{Mutex, MutexGuard, PoisonError};

use codex::plugin::host::{self, LogLevel};
use codex::plugin::types::{Error, RunInfo};
use exports::codex::plugin::tracker::Guest;
use serde_json::Value;

struct {{Type}};

/// The best evaluation so far, and how many came after it.
struct Watch {
    patience: u64,
    best: Option<(f64, u64)>,
    since: u64,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { patience: 3, best: None, since: 0 });

fn watch() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Takes one line of events; whether the loss has now not fallen for `patience` evaluations.
    fn event(&mut self, line: &str) -> bool {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
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
        self.since == self.patience
    }
}

impl Guest for {{Type}} {
    /// The configuration was checked against `plugin.toml`, and its defaults are filled in.
    fn create(_name: String, config: String) -> Result<(), Error> {
        let config: Value = serde_json::from_str(&config).unwrap_or_default();
        watch().patience = config["patience"].as_u64().unwrap_or(3);
        Ok(())
    }
    fn start(_run: RunInfo) -> Result<(), Error> {
        let mut watch = watch();
        (watch.best, watch.since) = (None, 0);
        Ok(())
    }
    /// The lines of the run's `events.ndjson`, one JSON object each.
    fn events(ndjson: String) -> Result<(), Error> {
        let mut watch = watch();
        for line in ndjson.lines() {
            if watch.event(line) {
                let (loss, step) = watch.best.unwrap_or_default();
                let since = watch.since;
                let message = format!("the loss has not fallen for {since} evaluations: {loss:.4} at step {step}");
                host::log(LogLevel::Warning, &message);
            }
        }
        Ok(())
    }
    fn finish() -> Result<(), Error> {
        if let Some((loss, step)) = watch().best {
            host::log(LogLevel::Info, &format!("the best loss was {loss:.4} at step {step}"));
        }
        Ok(())
    }
}

export!({{Type}});

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_warns_once_when_patience_ends() {
        let mut watch = Watch { patience: 2, best: None, since: 0 };
        let warned = [3.0, 2.0, 2.1, 2.2, 2.3].map(|loss| {
            watch.event(&json!({"event": "evaluation", "step": 1, "metrics": {"loss": loss}}).to_string())
        });
        assert_eq!(warned, [false, false, false, true, false]);
    }
}
