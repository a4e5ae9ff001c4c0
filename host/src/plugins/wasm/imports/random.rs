//! Random numbers of the system.

use codex_plugin_api::Error;

use super::State;
use super::generated::{random, types};
use crate::plugins::grants::Permission;
use crate::plugins::wasm::guest::error_to;

/// Bytes that one call may ask for.
const MOST: u32 = 1 << 20;

impl random::Host for State {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Result<Vec<u8>, types::Error>> {
        let result = if !self.granted.random {
            Err(self.denied("use random numbers", &Permission::Random))
        } else if length > MOST {
            Err(Error::config(format!(
                "{length} random bytes in one call are more than {MOST}"
            )))
        } else {
            let mut bytes = vec![0; length as usize];
            getrandom::fill(&mut bytes)
                .map(|()| bytes)
                .map_err(|error| {
                    Error::failed(format!("the system gives no random numbers: {error}"))
                })
        };
        Ok(result.map_err(|error| error_to(&error)))
    }
}
