//! Output to the terminal, for commands.

use super::State;
use super::generated::{terminal, types};
use crate::plugins::grants::Permission;
use crate::plugins::wasm::guest::error_to;

impl terminal::Host for State {
    fn print(&mut self, text: String) -> wasmtime::Result<Result<(), types::Error>> {
        let result = if self.granted.terminal {
            self.host.print(&text)
        } else {
            Err(self.denied("write to the terminal", &Permission::Terminal))
        };
        Ok(result.map_err(|error| error_to(&error)))
    }
}
