//! The export: a folder that Hugging Face's readers open, with the tokenizer and a note for `evaluate` and `generate`.

use codex_plugin_api::{Error, Result};
use serde_json::{Value, json};

use super::checkpoint::path_text;
use super::durable::{Scratch, probe, write_file, written};
use super::folder::{MODEL, RunFolder};
use super::setup::Setup;
use crate::model_folder::NOTE;

/// Writes `model/` as a whole.
pub(super) fn export(setup: &Setup, folder: &RunFolder) -> Result<()> {
    let scratch = Scratch::new(folder.path(), MODEL)?;
    let path = path_text(scratch.path())?;
    written(setup.model.save(&path))?;
    probe();
    written(setup.tokenizer.save(&path))?;
    let config = &setup.resolved.config;
    let mut data = setup
        .resolved
        .values()
        .get("data")
        .cloned()
        .unwrap_or_default();
    if let Value::Object(data) = &mut data {
        data.retain(|_, value| !value.is_null());
    }
    let note = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "model": {"name": config.model.name},
        "tokenizer": {"name": config.tokenizer.name},
        "data": data,
        "seed": config.seed,
        "metrics": config.metrics,
        "evaluation_tokens": setup.evaluation_tokens,
        "evaluate_documents": config.training.evaluate_documents,
    });
    let text = serde_json::to_vec_pretty(&note)
        .map_err(|error| Error::failed("cannot write down the export's note").because(&error))?;
    write_file(&scratch.path().join(NOTE), &text)?;
    scratch.place(&folder.model())
}
