//! From a configuration to everything that the loop works with: documents, tokenizer, batches, model.

mod model;
mod options;

use std::path::Path;

use std::sync::Arc;

use codex_plugin_api::{Kind, Model, Result, Tokenizer, Tracker, Vocabulary};
use codex_redaction::Sanitizers;
use serde_json::{Value, json};

use self::model::Chosen;
use self::options::Options;
use super::adapter::{Trained, base_fingerprint};
use super::components::Components;
use super::examples::Examples;
use super::schedule::Schedule;
use crate::app::App;
use crate::config::Resolved;
use crate::data::{Batches, Corpus};
use crate::evaluate::TaskSettings;
use crate::model_folder;
use crate::sanitize;

/// Where the tokenizer comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum TokenizerSource<'a> {
    /// The configuration says; whatever it is, it is saved into this folder and used from there, so that a run that is
    /// continued has the very same one.
    Configured { save_to: &'a Path },
    /// The folder in which the run's first process saved it.
    Saved(&'a Path),
}

/// Everything that the loop works with.
pub(super) struct Setup {
    pub(super) resolved: Resolved,
    pub(super) tokenizer: Box<dyn Tokenizer>,
    pub(super) vocabulary: Vocabulary,
    pub(super) model: Box<dyn Model>,
    /// What is trained instead of the whole model.
    pub(super) adapter: Option<Trained>,
    pub(super) batches: Batches,
    pub(super) validation: Option<Corpus>,
    /// What an evaluation must know of the task.
    pub(super) task: TaskSettings,
    pub(super) metrics: Vec<(String, Value)>,
    pub(super) trackers: Vec<(String, Box<dyn Tracker>)>,
    pub(super) schedule: Schedule,
    /// How many optimizer steps there are.
    pub(super) steps: u64,
    /// Digests and sizes of the data, for `environment.json`.
    pub(super) data: Value,
    /// What cleans the data, and whatever is written about it.
    pub(super) sanitizers: Arc<Sanitizers>,
    /// What was found in the training rows; null where there is no sanitizer.
    pub(super) sanitized: Value,
    /// How many tokens an evaluation gives the model at once.
    pub(super) evaluation_tokens: usize,
}

impl Setup {
    /// Creates everything. Nothing is written but the token store and the tokenizer.
    ///
    /// # Errors
    /// Naming key and origin of what is wrong in the configuration; the data's, Ctrl-C, and the plugins' own.
    pub(super) fn new(
        resolved: Resolved,
        tokenizer: TokenizerSource<'_>,
        components: &dyn Components,
        app: &App,
    ) -> Result<Self> {
        let config = resolved.config.clone();
        let options = Options {
            resolved: &resolved,
            components,
        };
        // All of the configuration is checked before any work is done.
        let data = options.data()?;
        options.section(
            Kind::Tokenizer,
            "tokenizer",
            &config.tokenizer.name,
            &config.tokenizer.plugin,
        )?;
        options.model(&config.model.plugin, None, None)?;
        let chosen = Chosen::new(&options)?;
        let metrics = options.list(
            Kind::Metric,
            "metrics",
            config.metrics.as_deref().unwrap_or_default(),
        )?;
        for (name, config) in &metrics {
            // Every evaluation makes its own; one that cannot be made is found out now, not at the first evaluation.
            components.metric(name, config)?;
        }
        let trackers = options.list(Kind::Tracker, "trackers", &config.trackers)?;
        let trackers = trackers
            .into_iter()
            .map(|(name, config)| {
                let tracker = components.tracker(&name, &config)?;
                Ok((name, tracker))
            })
            .collect::<Result<_>>()?;

        let listed = options.list(Kind::Sanitizer, "sanitizers", &config.sanitizers)?;
        let sanitizers = sanitize::create(&listed, components, &app.folders, &app.output)?;
        app.output.clean_with(&sanitizers);

        let task = config.training.task;
        let dataset = components.dataset(&config.data.name, &data)?;
        let (dataset, tally) = sanitize::clean_dataset(dataset, &sanitizers)?;
        let corpus = Corpus::open(dataset, task, &config.data.columns())?;
        let (train, validation) = match config.data.validation_fraction {
            0.0 => (corpus, None),
            fraction => {
                let (train, validation) = corpus.split(fraction, config.seed)?;
                (train, Some(validation))
            }
        };

        let tokenizer = options.tokenizer(tokenizer, &train, app)?;
        let vocabulary = tokenizer.vocabulary()?;
        let cache = match &app.folders.cache {
            Some(cache) => cache.clone(),
            None => config.run.dir.join(".cache"),
        };
        let examples = Examples::prepare(&cache, &train, task, tokenizer.as_ref(), app)?;
        let sanitized = match &tally {
            Some(tally) => sanitize::ingest_counts(examples.store().path(), tally)?,
            None => Value::Null,
        };
        let known = match config.model.plugin.get("path").and_then(Value::as_str) {
            Some(path) => model_folder::class_names(Path::new(path))?,
            None => None,
        };
        let classes = examples.classes(known, validation.as_ref())?;

        let model_config =
            options.model(&config.model.plugin, Some(&vocabulary), Some(&classes))?;
        let mut model = components.model(&config.model.name, &model_config)?;
        model::check(model.as_ref(), examples.store().largest_id(), &options)?;
        let base_fingerprint = match &chosen {
            Some(chosen) => Some(base_fingerprint(chosen.base())?),
            None => None,
        };
        let adapter = model::begin(model.as_mut(), chosen, &config)?;

        let training = &config.training;
        let longest = model.info()?.max_sequence_length;
        let length = config.model.sequence_length.unwrap_or(longest).min(longest);
        let task = TaskSettings {
            task,
            masking: training.masking,
            sequence_length: Some(length),
            batch_size: training.batch_size,
            classes,
        };
        let batches =
            examples.batches(&task, tokenizer.as_ref(), training.batch_size, config.seed)?;
        let accumulation = u64::from(training.gradient_accumulation);
        let steps = match (training.steps, training.epochs) {
            (Some(steps), _) => steps,
            (None, Some(epochs)) => {
                let batches = (epochs * batches.per_epoch() as f64).ceil() as u64;
                batches.div_ceil(accumulation).max(1)
            }
            (None, None) => 1,
        };
        let data = json!({
            "train_fingerprint": train.fingerprint(),
            "train_documents": train.len(),
            "validation_fingerprint": validation.as_ref().map(Corpus::fingerprint),
            "validation_documents": validation.as_ref().map_or(0, Corpus::len),
            "tokenizer_fingerprint": vocabulary.fingerprint,
            "token_store": examples.store().fingerprint(),
            "tokens": examples.tokens(),
            "bytes": examples.store().bytes(),
            "steps": steps,
            "base_fingerprint": base_fingerprint,
            "sanitizers": (!sanitizers.is_empty()).then(|| sanitizers.digest()),
        });
        Ok(Self {
            schedule: Schedule::new(training, steps)?,
            evaluation_tokens: (training.batch_size as usize * length as usize).max(1),
            tokenizer,
            vocabulary,
            model,
            adapter,
            batches,
            validation,
            task,
            metrics,
            trackers,
            steps,
            sanitizers,
            sanitized,
            data,
            resolved,
        })
    }
}
