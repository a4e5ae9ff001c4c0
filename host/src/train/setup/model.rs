//! The model that a run trains, alone or with an adapter, ready for its first step.

use std::path::Path;

use codex_plugin_api::{Adapter, Error, Model, Result, TrainingSettings};
use serde_json::Value;

use super::options::Options;
use crate::config::RunConfig;
use crate::model_folder;
use crate::task::Task;
use crate::train::adapter::Trained;

/// An adapter that was created and not yet added to a model.
pub(super) struct Chosen {
    name: String,
    options: Value,
    adapter: Box<dyn Adapter>,
    /// The folder of the model that it is trained for.
    base: String,
}

impl Chosen {
    /// The adapter that the configuration asks for, checked before any work is done.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] naming key and origin; where there is no base to train it for.
    pub(super) fn new(options: &Options<'_>) -> Result<Option<Self>> {
        let config = &options.resolved.config;
        let base = config.model.plugin.get("path").and_then(Value::as_str);
        if let Some(path) = base {
            model_folder::refuse_adapter(Path::new(path))?;
        }
        let Some(section) = &config.adapter else {
            return Ok(None);
        };
        let Some(base) = base else {
            return Err(Error::config(format!(
                "adapter {} is set ({}), but model.path names no model to train it for",
                section.name,
                options.resolved.origin("adapter.name")
            ))
            .hint(
                "an adapter is worth nothing without its model: train one first, then set model.path=runs/NAME/model",
            ));
        };
        let checked = options.adapter(section)?;
        Ok(Some(Self {
            adapter: options.components.adapter(&section.name, &checked)?,
            name: section.name.clone(),
            options: checked,
            base: base.to_owned(),
        }))
    }

    /// The base's folder.
    pub(super) fn base(&self) -> &Path {
        Path::new(&self.base)
    }
}

/// Whether the model can do the run's task and knows every id.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] naming model, task and ids.
pub(super) fn check(model: &dyn Model, largest_id: u32, options: &Options<'_>) -> Result<()> {
    let (info, config) = (model.info()?, &options.resolved.config);
    if largest_id >= info.vocab_size {
        return Err(Error::config(format!(
            "the tokenizer gives ids up to {largest_id}, but model {} knows {} ids",
            config.model.name, info.vocab_size
        ))
        .hint("set tokenizer.path to the tokenizer that the model was trained with"));
    }
    let task = config.training.task;
    if !info.tasks.iter().any(|known| known == task.word()) {
        return Err(Error::config(format!(
            "model {} cannot do {task}, only {} (training.task, {})",
            config.model.name,
            info.tasks.join(", "),
            options.resolved.origin("training.task")
        ))
        .hint(match task {
            Task::CausalLm => "set training.task to what the model can do",
            _ => "encoders do this task: model.architecture=bert, or model.path of one",
        }));
    }
    Ok(())
}

/// Adds the adapter, if there is one, and begins training.
///
/// # Errors
/// Those of model and adapter.
pub(super) fn begin(
    model: &mut dyn Model,
    chosen: Option<Chosen>,
    config: &RunConfig,
) -> Result<Option<Trained>> {
    let training = &config.training;
    let mut trained = match chosen {
        Some(chosen) => Some(Trained::add(
            (&chosen.name, chosen.options, chosen.adapter.as_ref()),
            (&config.model.name, &mut *model),
            &chosen.base,
            training.task,
        )?),
        None => None,
    };
    model.begin_training(&TrainingSettings {
        task: training.task.word().to_owned(),
        seed: config.seed,
        betas: training.betas,
        epsilon: training.epsilon,
        weight_decay: training.weight_decay,
        decay_matrices_only: training.decay_matrices_only,
        freeze: training.freeze.clone(),
        gradient_checkpointing: training.gradient_checkpointing,
        extra: Value::Object(training.options.clone()),
    })?;
    if let Some(trained) = &mut trained {
        trained.count(model)?;
    }
    Ok(trained)
}
