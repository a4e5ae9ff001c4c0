//! The host's own keys, as types. Their documentation is the reference: `config schema`, `docs/configuration.md` and
//! the checks are all derived from these structs. What a plugin's section holds beyond them, the plugin's schema says.

use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::task::Task;

/// Everything that a training run is told.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Seeds everything random: the split, the order of batches, initial weights, dropout.
    pub seed: u64,
    /// Where the model computes: `cpu`, `cuda:N`, or `auto`, which is what the model finds best.
    pub device: String,
    /// What the model computes in: `f32` or `bf16`.
    pub precision: String,
    /// The run's name and place.
    pub run: RunSection,
    /// What to train on.
    pub data: DataSection,
    /// How text becomes ids.
    pub tokenizer: TokenizerSection,
    /// What is trained.
    pub model: ModelSection,
    /// How it is trained.
    pub training: TrainingSection,
    /// Trains an adapter instead of the whole model.
    pub adapter: Option<Component>,
    /// What looks for secrets and personal data in the texts, in order.
    pub sanitizers: Vec<Component>,
    /// What is computed at every evaluation; the task's usual metric when absent (`lm`, `retrieval`, `classification`,
    /// `regression`).
    pub metrics: Option<Vec<Component>>,
    /// Who is told what happens.
    pub trackers: Vec<Component>,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            device: "auto".into(),
            precision: "f32".into(),
            run: RunSection::default(),
            data: DataSection::default(),
            tokenizer: TokenizerSection::default(),
            model: ModelSection::default(),
            training: TrainingSection::default(),
            adapter: None,
            sanitizers: Vec::new(),
            metrics: None,
            trackers: Vec::new(),
        }
    }
}

/// The run's name and place.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunSection {
    /// The run's name, which is its folder's; made from date, time and data when absent.
    pub name: Option<String>,
    /// The folder that holds the runs.
    pub dir: PathBuf,
}

impl Default for RunSection {
    fn default() -> Self {
        Self {
            name: None,
            dir: "runs".into(),
        }
    }
}

/// What to train on: a dataset plugin and its keys.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct DataSection {
    /// The dataset plugin. With `data.path` alone it is `files`.
    pub name: String,
    /// The column that holds the text; the dataset's own choice when absent.
    pub text_column: Option<String>,
    /// Classification, regression: the column with the second text, where a row is a pair of texts (`sentence2` beside
    /// `sentence1`, `text_pair` beside `text`, else none).
    pub text_pair_column: Option<String>,
    /// Embedding: the column with the first text of a pair (`anchor`, `query`, `question`, `sentence1`, else the first
    /// text column).
    pub anchor_column: Option<String>,
    /// Embedding: the column with the text that belongs to the first (`positive`, `answer`, `sentence2`, else the second
    /// text column).
    pub positive_column: Option<String>,
    /// Embedding: the column with a text that does not belong to the first (`negative`, else none).
    pub negative_column: Option<String>,
    /// Classification, regression: the column with the class or the value (`label`, `labels`, `class`, `score`).
    pub label_column: Option<String>,
    /// Which part of the documents is held out for validation; 0 holds out none.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation_fraction: f64,
    /// The plugin's own keys.
    #[serde(flatten)]
    pub plugin: Map<String, Value>,
}

impl Default for DataSection {
    fn default() -> Self {
        Self {
            name: "grammar".into(),
            text_column: None,
            text_pair_column: None,
            anchor_column: None,
            positive_column: None,
            negative_column: None,
            label_column: None,
            validation_fraction: 0.05,
            plugin: Map::new(),
        }
    }
}

impl DataSection {
    /// The host's keys that choose columns.
    pub const COLUMNS: [&'static str; 6] = [
        "text_column",
        "text_pair_column",
        "anchor_column",
        "positive_column",
        "negative_column",
        "label_column",
    ];

    /// Which columns are asked for.
    pub fn columns(&self) -> ColumnNames {
        ColumnNames {
            text: self.text_column.clone(),
            text_pair: self.text_pair_column.clone(),
            anchor: self.anchor_column.clone(),
            positive: self.positive_column.clone(),
            negative: self.negative_column.clone(),
            label: self.label_column.clone(),
        }
    }
}

/// Which columns are asked for; absent ones are chosen by their usual names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the keys of `data`, where they are documented")]
pub struct ColumnNames {
    pub text: Option<String>,
    pub text_pair: Option<String>,
    pub anchor: Option<String>,
    pub positive: Option<String>,
    pub negative: Option<String>,
    pub label: Option<String>,
}

/// How text becomes ids: a tokenizer plugin and its keys. With `tokenizer.path` it is loaded, else trained on the data.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct TokenizerSection {
    /// The tokenizer plugin.
    pub name: String,
    /// At most this many bytes of the training documents are read to train the tokenizer.
    #[schemars(range(min = 1))]
    pub training_bytes: u64,
    /// The plugin's own keys.
    #[serde(flatten)]
    pub plugin: Map<String, Value>,
}

impl Default for TokenizerSection {
    fn default() -> Self {
        Self {
            name: "hf".into(),
            training_bytes: 50_000_000,
            plugin: Map::new(),
        }
    }
}

/// What is trained: a model plugin and its keys. With `model.path` its weights and its tokenizer are loaded from there.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct ModelSection {
    /// The model plugin.
    pub name: String,
    /// How many tokens a training sequence has; the model's longest when absent.
    #[schemars(range(min = 1))]
    pub sequence_length: Option<u32>,
    /// The plugin's own keys.
    #[serde(flatten)]
    pub plugin: Map<String, Value>,
}

impl Default for ModelSection {
    fn default() -> Self {
        Self {
            name: "minilm".into(),
            sequence_length: None,
            plugin: Map::new(),
        }
    }
}

/// How the model is trained.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSection {
    /// What is learned.
    pub task: Task,
    /// `masked-lm`: which tokens are hidden, drawn anew for every batch.
    pub masking: Masking,
    /// How many optimizer steps to make. Excludes `training.epochs`.
    #[schemars(range(min = 1))]
    pub steps: Option<u64>,
    /// How often to go through the data; parts are allowed. Excludes `training.steps`.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epochs: Option<f64>,
    /// How many sequences one forward and backward pass holds.
    #[schemars(range(min = 1))]
    pub batch_size: u32,
    /// How many passes one optimizer step adds up; N of them equal one with N times the batch size.
    #[schemars(range(min = 1))]
    pub gradient_accumulation: u32,
    /// The highest learning rate, which the schedule starts from.
    #[schemars(range(min = 0.0))]
    pub learning_rate: f64,
    /// AdamW's decoupled weight decay.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Whether weight decay leaves out parameters with fewer than two dimensions (biases, norms).
    pub decay_matrices_only: bool,
    /// AdamW's decay rates of the first and second moment.
    pub betas: (f64, f64),
    /// AdamW's epsilon.
    #[schemars(range(min = 0.0))]
    pub epsilon: f64,
    /// How the learning rate goes over the steps, as Transformers computes it.
    pub schedule: ScheduleName,
    /// Numbers that some schedules take.
    pub schedule_options: ScheduleOptions,
    /// Over this many steps the learning rate rises from 0.
    pub warmup_steps: u64,
    /// Gradients are scaled down to this global L2 norm; 0 means never.
    #[schemars(range(min = 0.0))]
    pub max_grad_norm: f64,
    /// Patterns (`*` and `?`) of parameters that do not train.
    pub freeze: Vec<String>,
    /// Computes activations again in backward instead of keeping them: less memory, more time.
    pub gradient_checkpointing: bool,
    /// Evaluate after every so many steps, and at the end; at the end only when absent.
    #[schemars(range(min = 1))]
    pub evaluate_every: Option<u64>,
    /// At most this many held-out documents are scored at an evaluation; all when absent.
    #[schemars(range(min = 1))]
    pub evaluate_documents: Option<u64>,
    /// Write a checkpoint after every so many steps, and at the end; at the end only when absent.
    #[schemars(range(min = 1))]
    pub checkpoint_every: Option<u64>,
    /// How many of the newest checkpoints stay.
    #[schemars(range(min = 1))]
    pub keep_last: u32,
    /// How many of the checkpoints with the lowest validation loss stay beside them.
    pub keep_best: u32,
    /// Stop when the validation loss no longer falls, and export the best checkpoint.
    pub early_stopping: Option<EarlyStopping>,
    /// What the task needs beyond this, by the model's own rules.
    pub options: Map<String, Value>,
}

impl Default for TrainingSection {
    fn default() -> Self {
        Self {
            task: Task::default(),
            masking: Masking::default(),
            steps: None,
            epochs: None,
            batch_size: 8,
            gradient_accumulation: 1,
            learning_rate: 1e-3,
            weight_decay: 0.01,
            decay_matrices_only: true,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            schedule: ScheduleName::Cosine,
            schedule_options: ScheduleOptions::default(),
            warmup_steps: 0,
            max_grad_norm: 1.0,
            freeze: Vec::new(),
            gradient_checkpointing: false,
            evaluate_every: None,
            evaluate_documents: Some(1000),
            checkpoint_every: None,
            keep_last: 2,
            keep_best: 1,
            early_stopping: None,
            options: Map::new(),
        }
    }
}

/// Which tokens a masked language model must predict, and what stands in their place (Devlin et al. 2018).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Masking {
    /// Each token that is not special is predicted with this probability.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// Of those, this part is replaced by the mask token.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub mask_fraction: f64,
    /// This part is replaced by a random token; what is left stays as it is.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub random_fraction: f64,
}

impl Default for Masking {
    fn default() -> Self {
        Self {
            probability: 0.15,
            mask_fraction: 0.8,
            random_fraction: 0.1,
        }
    }
}

/// When to stop before the last step.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStopping {
    /// Stop after this many evaluations in a row without a lower validation loss.
    #[schemars(range(min = 1))]
    pub patience: u32,
    /// By how much the loss must fall to count, in nats.
    #[schemars(range(min = 0.0))]
    pub min_delta: f64,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        Self {
            patience: 3,
            min_delta: 0.0,
        }
    }
}

/// A learning-rate schedule, named as Transformers names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleName {
    /// The same rate all along.
    Constant,
    /// The same rate after the warm-up.
    ConstantWithWarmup,
    /// Straight down to 0.
    Linear,
    /// Half a cosine down to 0.
    Cosine,
    /// `num_cycles` halves of a cosine, each from the highest rate down to 0.
    CosineWithRestarts,
    /// Down to `lr_end` with the given `power`.
    Polynomial,
    /// With the inverse square root of the step, over `timescale`.
    InverseSqrt,
    /// Half a cosine down to `min_lr`.
    CosineWithMinLr,
    /// Warm-up, `num_stable_steps` at the highest rate, then down over `num_decay_steps`.
    WarmupStableDecay,
}

/// Numbers that some schedules take; absent ones have Transformers' defaults.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleOptions {
    /// `cosine`: number of waves (0.5); `cosine_with_restarts`: number of hard restarts (1).
    #[schemars(range(min = 0.0))]
    pub num_cycles: Option<f64>,
    /// `polynomial`: the power (1).
    #[schemars(range(min = 0.0))]
    pub power: Option<f64>,
    /// `polynomial`: the rate at the end (1e-7).
    #[schemars(range(min = 0.0))]
    pub lr_end: Option<f64>,
    /// `cosine_with_min_lr`, `warmup_stable_decay`: the lowest rate (0).
    #[schemars(range(min = 0.0))]
    pub min_lr: Option<f64>,
    /// `inverse_sqrt`: steps after which the rate has fallen to 1/√2 of the highest (the warm-up steps, or 10,000).
    #[schemars(range(min = 1))]
    pub timescale: Option<u64>,
    /// `warmup_stable_decay`: steps at the highest rate (what warm-up and decay leave).
    pub num_stable_steps: Option<u64>,
    /// `warmup_stable_decay`: steps over which the rate falls (a tenth of all).
    pub num_decay_steps: Option<u64>,
}

/// A component by its name, or by its name and its own keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Component {
    /// The component's name.
    pub name: String,
    /// The plugin's own keys.
    #[serde(flatten)]
    pub plugin: Map<String, Value>,
}

impl Component {
    /// A component without keys of its own.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            plugin: Map::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Component {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::new(name)),
            Value::Object(mut plugin) => match plugin.remove("name") {
                Some(Value::String(name)) => Ok(Self { name, plugin }),
                _ => Err(D::Error::custom("a component needs a `name`")),
            },
            other => Err(D::Error::custom(format!(
                "expected a component's name or a map with `name`, not {other}"
            ))),
        }
    }
}

impl JsonSchema for Component {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Component".into()
    }
    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A component by its name, or a map of its `name` and the plugin's own keys.",
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"name": {"type": "string", "description": "The component's name."}}, "required": ["name"]},
            ],
        })
    }
}
