//! From a configuration to everything that the loop works with: documents, tokenizer, batches, model.

use std::path::Path;

use codex_plugin_api::{
    Error, ErrorKind, Kind, Model, Result, Tokenizer, Tracker, TrainingSettings, Vocabulary,
};
use serde_json::{Map, Value, json};

use super::checkpoint::path_text;
use super::components::Components;
use super::durable::written;
use super::examples::Examples;
use super::schedule::Schedule;
use crate::app::App;
use crate::config::{Component, Resolved};
use crate::data::{Batches, Classes, Corpus, train_tokenizer};
use crate::evaluate::TaskSettings;
use crate::model_folder::{self, opens_folders};
use crate::task::Task;

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
    /// How many tokens an evaluation gives the model at once.
    pub(super) evaluation_tokens: usize,
}

impl Setup {
    /// Creates everything. Nothing is written but the token store and the tokenizer.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming key and origin, [`ErrorKind::Data`], [`ErrorKind::Interrupted`], and the plugins' own.
    pub(super) fn new(
        resolved: Resolved,
        tokenizer: TokenizerSource<'_>,
        components: &dyn Components,
        app: &App,
    ) -> Result<Self> {
        let config = resolved.config.clone();
        if config.adapter.is_some() || !config.sanitizers.is_empty() {
            let key = if config.adapter.is_some() {
                "adapter"
            } else {
                "sanitizers"
            };
            return Err(
                Error::config(format!("`{key}` is set, but this host trains without"))
                    .hint(format!("leave {key} out")),
            );
        }
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

        let task = config.training.task;
        let dataset = components.dataset(&config.data.name, &data)?;
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
        let known = match config.model.plugin.get("path").and_then(Value::as_str) {
            Some(path) => model_folder::class_names(Path::new(path))?,
            None => None,
        };
        let classes = examples.classes(known, validation.as_ref())?;

        let model_config =
            options.model(&config.model.plugin, Some(&vocabulary), Some(&classes))?;
        let mut model = components.model(&config.model.name, &model_config)?;
        let info = model.info()?;
        if examples.store().largest_id() >= info.vocab_size {
            return Err(Error::config(format!(
                "the tokenizer gives ids up to {}, but model {} knows {} ids",
                examples.store().largest_id(),
                config.model.name,
                info.vocab_size
            ))
            .hint("set tokenizer.path to the tokenizer that the model was trained with"));
        }
        if !info.tasks.iter().any(|known| known == task.word()) {
            return Err(Error::config(format!(
                "model {} cannot do {task}, only {} (training.task, {})",
                config.model.name,
                info.tasks.join(", "),
                resolved.origin("training.task")
            ))
            .hint(match task {
                Task::CausalLm => "set training.task to what the model can do",
                _ => "encoders do this task: model.architecture=bert, or model.path of one",
            }));
        }
        let training = &config.training;
        model.begin_training(&TrainingSettings {
            task: task.word().to_owned(),
            seed: config.seed,
            betas: training.betas,
            epsilon: training.epsilon,
            weight_decay: training.weight_decay,
            decay_matrices_only: training.decay_matrices_only,
            freeze: training.freeze.clone(),
            gradient_checkpointing: training.gradient_checkpointing,
            extra: Value::Object(training.options.clone()),
        })?;

        let longest = info.max_sequence_length;
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
        });
        Ok(Self {
            schedule: Schedule::new(training, steps)?,
            evaluation_tokens: (training.batch_size as usize * length as usize).max(1),
            tokenizer,
            vocabulary,
            model,
            batches,
            validation,
            task,
            metrics,
            trackers,
            steps,
            data,
            resolved,
        })
    }
}

/// Turns sections into what plugins are given.
struct Options<'a> {
    resolved: &'a Resolved,
    components: &'a dyn Components,
}

impl Options<'_> {
    /// The plugin's keys of a section, checked, with defaults.
    fn section(
        &self,
        kind: Kind,
        path: &str,
        name: &str,
        plugin: &Map<String, Value>,
    ) -> Result<Value> {
        let schema = self.schema(kind, path, name)?;
        let mut config = plugin.clone();
        config.retain(|_, value| !value.is_null());
        self.resolved
            .check_plugin(path, &schema, &Value::Object(config))
    }

    /// The dataset's keys. One that chooses its columns itself (a table's) must know which one is the text.
    fn data(&self) -> Result<Value> {
        let data = &self.resolved.config.data;
        let mut keys = data.plugin.clone();
        if let Some(column) = &data.text_column
            && self
                .schema(Kind::Dataset, "data", &data.name)?
                .pointer("/properties/text_column")
                .is_some()
        {
            keys.insert("text_column".into(), json!(column));
        }
        self.section(Kind::Dataset, "data", &data.name, &keys)
    }

    fn list(&self, kind: Kind, key: &str, entries: &[Component]) -> Result<Vec<(String, Value)>> {
        entries
            .iter()
            .enumerate()
            .map(|(at, entry)| {
                let path = format!("{key}.{at}");
                let config = self.section(kind, &path, &entry.name, &entry.plugin)?;
                Ok((entry.name.clone(), config))
            })
            .collect()
    }

    /// The model's keys, with those that the host knows: size of the vocabulary, seed, device, precision, task, classes.
    /// Before there is a vocabulary, the keys are checked with one of a usual size.
    fn model(
        &self,
        plugin: &Map<String, Value>,
        vocabulary: Option<&Vocabulary>,
        classes: Option<&Classes>,
    ) -> Result<Value> {
        let config = &self.resolved.config;
        let name = &config.model.name;
        let schema = self.schema(Kind::Model, "model", name)?;
        let known = |key: &str| {
            let properties = schema.get("properties");
            properties.is_some_and(|properties| properties.get(key).is_some())
        };
        let mut given = plugin.clone();
        let mut offers = vec![
            ("seed", json!(config.seed)),
            ("device", json!(config.device)),
            ("precision", json!(config.precision)),
            ("task", json!(config.training.task)),
            ("sequence_length", json!(config.model.sequence_length)),
        ];
        match (config.training.task, classes) {
            (Task::Classification, Some(classes)) => offers.extend([
                ("labels", json!(classes.names().len())),
                ("label_names", json!(classes.names())),
            ]),
            (Task::Regression, _) => offers.push(("labels", json!(1))),
            _ => {}
        }
        offers.push((
            "vocab_size",
            json!(vocabulary.map_or(1024, |vocabulary| vocabulary.size)),
        ));
        if let Some(vocabulary) = vocabulary {
            offers.extend([
                ("bos_token_id", json!(vocabulary.special.bos)),
                ("eos_token_id", json!(vocabulary.special.eos)),
                ("pad_token_id", json!(vocabulary.special.pad)),
            ]);
        }
        for (key, value) in offers {
            if known(key) && !value.is_null() && !given.contains_key(key) {
                given.insert(key.to_owned(), value);
            }
        }
        self.section(Kind::Model, "model", name, &given)
    }

    /// The tokenizer as it was saved, after making and saving it where this is a run's first process.
    fn tokenizer(
        &self,
        source: TokenizerSource<'_>,
        train: &Corpus,
        app: &App,
    ) -> Result<Box<dyn Tokenizer>> {
        let section = &self.resolved.config.tokenizer;
        let schema = self.schema(Kind::Tokenizer, "tokenizer", &section.name)?;
        let config = self.section(Kind::Tokenizer, "tokenizer", &section.name, &section.plugin)?;
        let reopens = opens_folders(&schema);
        let folder = match source {
            TokenizerSource::Saved(folder) => folder,
            TokenizerSource::Configured { save_to } => {
                let mut tokenizer = self.components.tokenizer(&section.name, &config)?;
                // An untrained tokenizer fails to tell its vocabulary; one that needs no training is ready at once.
                let ready = match tokenizer.vocabulary() {
                    Ok(_) => true,
                    Err(error) if error.kind() == ErrorKind::Panic => return Err(error),
                    Err(_) => false,
                };
                if !ready {
                    if !reopens {
                        return Err(Error::new(
                            ErrorKind::Plugin,
                            format!(
                                "tokenizer {} is not trained, and it has no key `path` to open what it would learn",
                                section.name
                            ),
                        )
                        .hint("its plugin must take the folder that it saves: a key `path`"));
                    }
                    let texts = train.texts();
                    train_tokenizer(&texts, tokenizer.as_mut(), section.training_bytes, app)?;
                }
                written(tokenizer.save(&path_text(save_to)?))?;
                save_to
            }
        };
        if !reopens {
            return self.components.tokenizer(&section.name, &config);
        }
        let mut saved = Map::new();
        saved.insert("path".into(), path_text(folder)?.into());
        self.components
            .tokenizer(&section.name, &Value::Object(saved))
    }

    fn schema(&self, kind: Kind, path: &str, name: &str) -> Result<Value> {
        self.components.schema(kind, name).map_err(|error| {
            if error.kind() != ErrorKind::Config {
                return error;
            }
            let key = format!("{path}.name");
            let found = Error::config(format!("{} ({key}, {})", error, self.resolved.origin(&key)));
            match error.hint_text() {
                Some(hint) => found.hint(hint),
                None => found,
            }
        })
    }
}
