//! Trackers in WebAssembly.

use codex_plugin_api::{Result, RunInfo, Tracker};
use serde_json::Value;

use super::bindings::codex::plugin::types;
use super::bindings::exports::codex::plugin::tracker::{Guest as Calls, GuestIndices};
use super::guest::Guest;

pub(super) type Exports = GuestIndices;

struct WasmTracker {
    guest: Guest,
    calls: Calls,
}

pub(super) fn create(
    guest: Guest,
    exports: Exports,
    name: &str,
    config: &Value,
) -> Result<impl Tracker + use<>> {
    let calls = guest.call_plain(|store, instance| exports.load(store, instance))?;
    guest.call(|store| calls.call_create(store, name, &config.to_string()))?;
    Ok(WasmTracker { guest, calls })
}

impl Tracker for WasmTracker {
    fn start(&mut self, run: &RunInfo) -> Result<()> {
        let run = types::RunInfo {
            name: run.name.clone(),
            folder: run.folder.clone(),
            resumed: run.resumed,
            config: run.config.to_string(),
        };
        self.guest.call(|store| self.calls.call_start(store, &run))
    }

    fn events(&mut self, ndjson: &str) -> Result<()> {
        self.guest
            .call(|store| self.calls.call_events(store, ndjson))
    }

    fn finish(&mut self) -> Result<()> {
        self.guest.call(|store| self.calls.call_finish(store))
    }
}
