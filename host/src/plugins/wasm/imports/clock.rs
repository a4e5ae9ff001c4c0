//! The time.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use codex_plugin_api::Result;

use super::State;
use super::generated::{clock, types};
use crate::plugins::grants::Permission;
use crate::plugins::wasm::guest::error_to;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl State {
    fn clock(&self, read: impl FnOnce() -> u128) -> Result<u64> {
        if self.granted.clock {
            return Ok(u64::try_from(read()).unwrap_or(u64::MAX));
        }
        Err(self.denied("use the clock", &Permission::Clock))
    }
}

impl clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<std::result::Result<u64, types::Error>> {
        let since = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos())
        };
        Ok(self.clock(since).map_err(|error| error_to(&error)))
    }

    fn monotonic(&mut self) -> wasmtime::Result<std::result::Result<u64, types::Error>> {
        let since = || START.elapsed().as_nanos();
        Ok(self.clock(since).map_err(|error| error_to(&error)))
    }
}
