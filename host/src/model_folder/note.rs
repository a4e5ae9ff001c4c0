//! `codex_ml.json`: what an export says of the run that made it. What is missing in it is no error.

use std::path::Path;

use codex_plugin_api::{Context, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::read_json;
use crate::config::Masking;
use crate::task::Task;

/// What the file says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Note {
    pub(super) model: Named,
    pub(super) tokenizer: Named,
    /// The adapter that was trained instead of the model; the folder then holds the adapter alone.
    pub(super) adapter: Option<Named>,
    /// The folder of the model that the adapter is for, as its run was told.
    pub(super) base: Option<String>,
    pub(super) data: Option<Map<String, Value>>,
    pub(super) metrics: Vec<Value>,
    pub(super) seed: u64,
    pub(super) evaluation_tokens: Option<usize>,
    pub(super) evaluate_documents: Option<u64>,
    pub(super) task: Option<Task>,
    pub(super) sequence_length: Option<u32>,
    pub(super) batch_size: Option<u32>,
    pub(super) masking: Option<Masking>,
    pub(super) classes: Option<Vec<String>>,
}

/// A component and its keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) name: Option<String>,
    pub(super) options: Map<String, Value>,
}

/// Reads the file.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] when it is not JSON, or not a note.
pub(super) fn read(file: &Path) -> Result<Note> {
    let value = read_json(file)?;
    serde_json::from_value(value).or_error(|| {
        Error::data(format!("{} does not describe a model", file.display())).hint(
            "export the model again, or delete this file to open the folder as Hugging Face's",
        )
    })
}
