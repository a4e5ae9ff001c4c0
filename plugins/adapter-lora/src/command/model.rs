//! The models and adapters that the user names: which plugin opens a folder, and what lies beside the weights.

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, HostRef, Model, Result};
use serde_json::{Value, json};

/// What an export says of itself.
const NOTE: &str = "codex_ml.json";
/// Opens folders that no note describes.
const MODEL: &str = "minilm";

/// Files that belong to a model without being its weights: the tokenizer's, and what generation starts from.
const BESIDE: [&str; 11] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
    NOTE,
];

/// The folder itself, or the `model` folder of a run.
pub(super) fn folder(path: &str, file: &str) -> PathBuf {
    let path = PathBuf::from(path);
    let inner = path.join("model");
    if !path.join(file).is_file() && inner.join(file).is_file() {
        return inner;
    }
    path
}

/// A model folder, as [`folder`] finds it.
pub(super) fn model_folder(path: &str) -> Result<PathBuf> {
    let folder = folder(path, "config.json");
    if folder.join("config.json").is_file() {
        return Ok(folder);
    }
    let error = Error::data(format!("{path} is no model folder: it has no config.json"));
    Err(
        if self::folder(path, codex_peft::CONFIG)
            .join(codex_peft::CONFIG)
            .is_file()
        {
            error.hint("it is an adapter's folder; give the model that it was trained on")
        } else {
            error.hint("give the folder that training exported (runs/NAME/model), or a Hugging Face model's")
        },
    )
}

/// Opens a model with the plugin that its note names.
pub(super) fn open(folder: &Path, host: &HostRef) -> Result<Box<dyn Model>> {
    let note = fs::read_to_string(folder.join(NOTE)).ok();
    let note: Value = note
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let name = note
        .pointer("/model/name")
        .and_then(Value::as_str)
        .unwrap_or(MODEL);
    host.create_model(name, &json!({"path": folder.to_string_lossy()}))
}

/// Copies what belongs to the model in `from` and is not in `to` yet; gives the names.
pub(super) fn copy_beside(from: &Path, to: &Path) -> Result<Vec<&'static str>> {
    let mut copied = Vec::new();
    for name in BESIDE {
        let (source, target) = (from.join(name), to.join(name));
        if source.is_file() && !target.exists() {
            fs::copy(&source, &target).map_err(|cause| {
                Error::failed(format!("cannot write {}", target.display())).because(&cause)
            })?;
            copied.push(name);
        }
    }
    Ok(copied)
}
