//! Errors of the numeric layer as errors of the plugin. Places where a user can do something about it word their own.

use codex_plugin_api::{Error, Result};

/// An error that only a fault in this plugin can cause: what a user can get wrong was checked before.
pub(crate) fn numeric<T, E: Into<codex_nn::Error>>(result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|error| {
        let error = error.into();
        Error::failed(format!("the model's computation failed: {error}")).hint(
            "this is a fault of model-minilm; please report it with the command that led here",
        )
    })
}
