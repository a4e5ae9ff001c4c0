//! Environment variables, each granted by its name.

use codex_plugin_api::Error;

use super::State;
use super::generated::{environment, types};
use crate::plugins::grants::Permission;
use crate::plugins::wasm::guest::error_to;

impl environment::Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, types::Error>> {
        let asked = self.asked.environment.iter().any(|one| one.key == key);
        let result = if self.granted.environment.contains(&key) {
            match std::env::var(&key) {
                Ok(value) => Ok(Some(value)),
                Err(std::env::VarError::NotPresent) => Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => Err(Error::data(format!(
                    "environment variable {key} is not UTF-8"
                ))),
            }
        } else if asked {
            Err(self.denied(
                &format!("read environment variable {key}"),
                &Permission::Environment(key.clone()),
            ))
        } else {
            Err(self.not_asked(&format!("environment variable {key:?}")))
        };
        Ok(result.map_err(|error| error_to(&error)))
    }
}

impl State {
    /// The answer to a call for something that not even the manifest asks for.
    pub(super) fn not_asked(&self, what: &str) -> Error {
        Error::denied(format!(
            "plugin {} does not ask for {what} in its manifest",
            self.plugin
        ))
        .hint("this is a fault of the plugin: tell its authors")
    }
}
