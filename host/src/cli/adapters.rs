//! `--model`, `--adapter` and `--adapter-weight`: the model that a command works with.

use std::path::{Path, PathBuf};

use codex_plugin_api::Result;

use crate::model_folder::ModelFolder;

/// What goes on top of the model.
#[derive(Debug, clap::Args)]
pub(super) struct AdapterArgs {
    /// Put this adapter on the model: a folder that `train adapter=…` exported, or that PEFT saved; repeatable.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    adapter: Vec<PathBuf>,
    /// How strongly adapters work: once for all of them, or once for each in their order [default: 1].
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    adapter_weight: Vec<f32>,
}

impl AdapterArgs {
    /// The folder that `--model` names, with the adapters.
    ///
    /// # Errors
    /// As [`ModelFolder::open_with`].
    pub(super) fn open(&self, model: &Path) -> Result<ModelFolder> {
        ModelFolder::open_with(model, &self.adapter, &self.adapter_weight)
    }
}

/// ` with DIR and DIR`, for what a command says of its work; nothing without adapters.
pub(super) fn with_adapters(folder: &ModelFolder) -> String {
    let others = folder.adapters().filter(|path| *path != folder.path());
    let names: Vec<String> = others.map(|path| path.display().to_string()).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" with {}", names.join(" and ")),
    }
}
