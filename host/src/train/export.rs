//! The export: a folder that Hugging Face's readers open, with the tokenizer and a note for `evaluate` and `generate`.

use std::fs;
use std::path::Path;

use codex_plugin_api::{Error, Result};
use codex_redaction::Format;
use serde_json::{Value, json};

use super::adapter;
use super::checkpoint::{Scores, path_text};
use super::durable::{Scratch, probe, write_file, written};
use super::folder::{MODEL, RunFolder};
use super::model_card::{Adapted, Facts};
use super::setup::Setup;
use crate::model_folder::NOTE;
use crate::sanitize::clean_own;
use crate::task::Task;

/// What people read of the model.
const CARD: &str = "README.md";

/// What tells sentence-transformers how to open a folder.
const SENTENCES: &str = "modules.json";

/// Writes `model/` as a whole: weights of the step `step`, which an evaluation gave these scores. Of a run that trained an
/// adapter it holds the adapter alone, in PEFT's layout.
pub(super) fn export(
    setup: &Setup,
    folder: &RunFolder,
    step: u64,
    scores: &Scores,
    plugins: &[Value],
) -> Result<()> {
    let scratch = Scratch::new(folder.path(), MODEL)?;
    let path = path_text(scratch.path())?;
    written(match &setup.adapter {
        Some(_) => setup.model.save_adapter(adapter::NAME, &path),
        None => setup.model.save(&path),
    })?;
    probe();
    written(setup.tokenizer.save(&path))?;
    let note = clean_own(&setup.sanitizers, &note(setup));
    let text = serde_json::to_vec_pretty(&note)
        .map_err(|error| Error::failed("cannot write down the export's note").because(&error))?;
    write_file(&scratch.path().join(NOTE), &text)?;
    let card = card(setup, folder, scratch.path(), (step, scores), plugins)?;
    let card = setup.sanitizers.clean_log(&card, Format::Plain);
    write_file(&scratch.path().join(CARD), card.as_bytes())?;
    scratch.place(&folder.model())
}

/// What `evaluate`, `generate` and `embed` are told of the run.
fn note(setup: &Setup) -> Value {
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
    // How an adapter's base was built for the run is written down nowhere else; a whole model knows it of itself.
    let mut built = config.model.plugin.clone();
    built.retain(|key, value| setup.adapter.is_some() && key != "path" && !value.is_null());
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "model": {"name": config.model.name, "options": built},
        "adapter": setup.adapter.as_ref().map(|it| json!({"name": it.name, "options": it.options})),
        "base": setup.adapter.as_ref().map(|it| &it.base),
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
    })
}

/// The model card of what was written into `written`.
fn card(
    setup: &Setup,
    folder: &RunFolder,
    written: &Path,
    (step, scores): (u64, &Scores),
    plugins: &[Value],
) -> Result<String> {
    let read = |file: &Path| -> Option<Value> {
        let text = fs::read(file).ok()?;
        serde_json::from_slice(&text).ok()
    };
    let config = match &setup.adapter {
        Some(adapter) => read(&Path::new(&adapter.base).join("config.json")),
        None => read(&written.join("config.json")),
    };
    let adapter_config = read(&written.join("adapter_config.json")).unwrap_or_default();
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
        adapter: setup.adapter.as_ref().map(|trained| Adapted {
            trained,
            format: adapter_config["peft_type"].as_str(),
        }),
    }
    .card()
}
