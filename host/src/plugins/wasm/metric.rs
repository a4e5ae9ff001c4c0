//! Metrics in WebAssembly.

use codex_plugin_api::{Metric, Needs, Result, Samples, Score};
use serde_json::Value;

use super::bindings::codex::plugin::types::MetricNeeds;
use super::bindings::exports::codex::plugin::metric::{Guest as Calls, GuestIndices};
use super::convert;
use super::guest::{Guest, asked_for};

pub(super) type Exports = GuestIndices;

struct WasmMetric {
    guest: Guest,
    calls: Calls,
    needs: Needs,
}

pub(super) fn create(
    guest: Guest,
    exports: Exports,
    name: &str,
    config: &Value,
) -> Result<impl Metric + use<>> {
    let calls = guest.call_plain(|store, instance| exports.load(store, instance))?;
    guest.call(|store| calls.call_create(store, name, &config.to_string()))?;
    let asked = asked_for(
        "needs",
        guest.call_plain(|store, _| calls.call_needs(store)),
    )?;
    let needs = Needs {
        log_probabilities: asked.contains(MetricNeeds::LOG_PROBABILITIES),
        ranks: asked.contains(MetricNeeds::RANKS),
        ids: asked.contains(MetricNeeds::IDS),
        texts: asked.contains(MetricNeeds::TEXTS),
        predictions: asked.contains(MetricNeeds::PREDICTIONS),
        labels: asked.contains(MetricNeeds::LABELS),
        embeddings: asked.contains(MetricNeeds::EMBEDDINGS),
    };
    Ok(WasmMetric {
        guest,
        calls,
        needs,
    })
}

impl Metric for WasmMetric {
    fn needs(&self) -> Needs {
        self.needs
    }

    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        let samples = convert::samples_to(samples);
        self.guest
            .call(|store| self.calls.call_update(store, &samples))
    }

    fn state(&self) -> Result<Vec<u8>> {
        self.guest.call(|store| self.calls.call_state(store))
    }

    fn merge(&mut self, state: &[u8]) -> Result<()> {
        self.guest.call(|store| self.calls.call_merge(store, state))
    }

    fn compute(&self) -> Result<Vec<Score>> {
        let scores = self.guest.call(|store| self.calls.call_compute(store))?;
        Ok(scores.into_iter().map(convert::score).collect())
    }
}
