//! The export: a folder that Hugging Face's readers open, with the tokenizer and a note for `evaluate` and `generate`.

use std::fs;
use std::path::Path;

use codex_plugin_api::{Error, Result};
use serde_json::{Value, json};

use super::checkpoint::{Scores, path_text};
use super::durable::{Scratch, probe, write_file, written};
use super::folder::{MODEL, RunFolder};
use super::model_card::Facts;
use super::setup::Setup;
use crate::model_folder::NOTE;
use crate::task::Task;

/// What people read of the model.
const CARD: &str = "README.md";

/// What tells sentence-transformers how to open a folder.
const SENTENCES: &str = "modules.json";

/// Writes `model/` as a whole: weights of the step `step`, which an evaluation gave these scores.
pub(super) fn export(
    setup: &Setup,
    folder: &RunFolder,
    step: u64,
    scores: &Scores,
    plugins: &[Value],
) -> Result<()> {
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
    // What opens the tokenizer again where it is not the folder: keys of one that takes no `path`.
    let mut tokenizer = config.tokenizer.plugin.clone();
    tokenizer.retain(|key, value| key != "path" && !value.is_null());
    let note = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "model": {"name": config.model.name},
        "tokenizer": {"name": config.tokenizer.name, "options": tokenizer},
        "task": setup.task.task,
        "data": data,
        "seed": config.seed,
        "metrics": config.metrics,
        "evaluation_tokens": setup.evaluation_tokens,
        "evaluate_documents": config.training.evaluate_documents,
        "sequence_length": setup.task.sequence_length,
        "batch_size": setup.task.batch_size,
        "masking": (setup.task.task == Task::MaskedLm).then_some(setup.task.masking),
        "classes": (setup.task.task == Task::Classification).then_some(setup.task.classes.names()),
    });
    let text = serde_json::to_vec_pretty(&note)
        .map_err(|error| Error::failed("cannot write down the export's note").because(&error))?;
    write_file(&scratch.path().join(NOTE), &text)?;
    let card = card(setup, folder, scratch.path(), (step, scores), plugins)?;
    write_file(&scratch.path().join(CARD), card.as_bytes())?;
    scratch.place(&folder.model())
}

/// The model card of what was written into `written`.
fn card(
    setup: &Setup,
    folder: &RunFolder,
    written: &Path,
    (step, scores): (u64, &Scores),
    plugins: &[Value],
) -> Result<String> {
    let config = fs::read(written.join("config.json")).ok();
    let config: Option<Value> = config.and_then(|text| serde_json::from_slice(&text).ok());
    let class = config.as_ref().and_then(|config| {
        let class = config.pointer("/architectures/0")?;
        class.as_str()
    });
    let values = setup.resolved.values();
    Facts {
        name: &folder.name(),
        task: json!(setup.resolved.config.training.task)
            .as_str()
            .unwrap_or_default(),
        model: &setup.model.info()?,
        class,
        sentences: written.join(SENTENCES).is_file(),
        data: values.get("data").unwrap_or(&Value::Null),
        counted: &setup.data,
        step,
        seed: setup.resolved.config.seed,
        scores,
        plugins,
    }
    .card()
}
