//! What every guest may ask: to log, to show progress, and whether to stop.

use codex_plugin_api::LogLevel;

use super::State;
use super::generated::host;
pub(in crate::plugins::wasm) use crate::plugins::refusal::printable;

impl host::Host for State {
    fn log(&mut self, level: host::LogLevel, message: String) -> wasmtime::Result<()> {
        let level = match level {
            host::LogLevel::Debug => LogLevel::Debug,
            host::LogLevel::Info => LogLevel::Info,
            host::LogLevel::Warning => LogLevel::Warning,
            host::LogLevel::Error => LogLevel::Error,
        };
        let message = printable(&message);
        if level == LogLevel::Error {
            self.last_words = Some(message.clone());
        }
        self.host.log(level, &message);
        Ok(())
    }

    fn progress(&mut self, label: String, done: u64, total: u64) -> wasmtime::Result<()> {
        self.host.progress(&printable(&label), done, total);
        Ok(())
    }

    fn interrupted(&mut self) -> wasmtime::Result<bool> {
        Ok(self.host.interrupted())
    }
}
