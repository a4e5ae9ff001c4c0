//! Commands in WebAssembly.

use codex_plugin_api::{Arguments, Command, HostRef, Result};
use serde_json::Value;

use super::bindings::exports::codex::plugin::command::{Guest as Calls, GuestIndices};
use super::guest::Guest;

pub(super) type Exports = GuestIndices;

struct WasmCommand {
    guest: Guest,
    calls: Calls,
}

pub(super) fn create(
    guest: Guest,
    exports: Exports,
    name: &str,
    config: &Value,
) -> Result<impl Command + use<>> {
    let calls = guest.call_plain(|store, instance| exports.load(store, instance))?;
    guest.call(|store| calls.call_create(store, name, &config.to_string()))?;
    Ok(WasmCommand { guest, calls })
}

impl Command for WasmCommand {
    fn run(&mut self, arguments: &Arguments, _host: &HostRef) -> Result<i32> {
        // It has the host that it was created with: the same one.
        let arguments = Value::Object(arguments.0.clone()).to_string();
        self.guest
            .call(|store| self.calls.call_run(store, &arguments))
    }
}
