//! Sanitizers in WebAssembly.

use codex_plugin_api::{Finding, Result, Rule, Sanitizer, Stage, Texts};
use serde_json::Value;

use super::bindings::exports::codex::plugin::sanitizer::{Guest as Calls, GuestIndices};
use super::convert;
use super::guest::{Guest, asked_for};

pub(super) type Exports = GuestIndices;

struct WasmSanitizer {
    guest: Guest,
    calls: Calls,
    rules: Vec<Rule>,
    max_span: u32,
}

pub(super) fn create(
    guest: Guest,
    exports: Exports,
    name: &str,
    config: &Value,
) -> Result<impl Sanitizer + use<>> {
    let calls = guest.call_plain(|store, instance| exports.load(store, instance))?;
    guest.call(|store| calls.call_create(store, name, &config.to_string()))?;
    let rules = asked_for("rules", guest.call(|store| calls.call_rules(store)))?;
    let asked = guest.call_plain(|store, _| calls.call_max_span(store));
    let max_span = asked_for("max_span", asked)?;
    Ok(WasmSanitizer {
        guest,
        calls,
        rules: rules.into_iter().map(convert::rule).collect(),
        max_span,
    })
}

impl Sanitizer for WasmSanitizer {
    fn rules(&self) -> Result<Vec<Rule>> {
        Ok(self.rules.clone())
    }

    fn max_span(&self) -> u32 {
        self.max_span
    }

    fn scan(&self, texts: Texts<'_>, stage: Stage) -> Result<Vec<Finding>> {
        let (given, stage) = (convert::texts_to(texts), convert::stage_to(stage)?);
        let found = self
            .guest
            .call(|store| self.calls.call_scan(store, &given, stage))?;
        convert::findings(found, texts, self.rules.len() as u32)
    }
}
