//! The model kind: learns, scores, embeds and generates. The host holds no tensors; a model never sees the loop.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AdapterPlan, Error, Ids, Result, Site, TokenBatch};

/// What a model says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The architecture's name as `config.json` has it in `model_type` (`gpt2`, `llama`, `bert`).
    pub architecture: String,
    /// Number of parameters, tied ones counted once.
    pub parameters: u64,
    /// Every id must be below it.
    pub vocab_size: u32,
    /// Longest sequence in tokens; longer ones are refused.
    pub max_sequence_length: u32,
    /// Width of hidden states, and of embeddings where the model gives them.
    pub hidden_size: u32,
    /// Tasks that the model as built can do: `causal-lm`, `masked-lm`, `embedding`, `classification`, `regression`.
    pub tasks: Vec<String>,
    /// Where it computes: `cpu` or `cuda:N`.
    pub device: String,
    /// What it computes in: `f32`, `bf16`.
    pub precision: String,
}

/// One parameter of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// The name under which it is saved.
    pub name: String,
    /// Its shape, outermost first.
    pub shape: Vec<u64>,
    /// The type it is held in: `f32`, `bf16`, `int8`, `nf4`.
    pub dtype: String,
    /// Whether it trains.
    pub trainable: bool,
}

/// What a model is told once, before the first step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingSettings {
    /// The task: `causal-lm`, `masked-lm`, `embedding`, `classification`, `regression`.
    pub task: String,
    /// Seeds everything random inside the model (dropout), together with step and layer.
    pub seed: u64,
    /// AdamW's decay rates of the first and second moment.
    pub betas: (f64, f64),
    /// AdamW's epsilon.
    pub epsilon: f64,
    /// Decoupled weight decay, as PyTorch's AdamW applies it.
    pub weight_decay: f64,
    /// Whether weight decay leaves out parameters with fewer than two dimensions (biases, norms).
    pub decay_matrices_only: bool,
    /// Patterns (`*` and `?`) of parameter names that stay as they are.
    pub freeze: Vec<String>,
    /// Computes activations again in backward instead of keeping them.
    pub gradient_checkpointing: bool,
    /// What a task needs beyond this, by the model's own schema.
    pub extra: Value,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            task: "causal-lm".into(),
            seed: 0,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            weight_decay: 0.01,
            decay_matrices_only: false,
            freeze: Vec::new(),
            gradient_checkpointing: false,
            extra: Value::Null,
        }
    }
}

/// Which pass this is: the key of everything random in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingPass {
    /// The optimizer step, from 1.
    pub step: u64,
    /// Which batch of the step, from 0.
    pub accumulation: u32,
    /// Gradients are those of `loss_scale · (sum of the targets' losses)`: 1 / targets of the whole step, so that
    /// accumulating over N batches equals one batch N times as large.
    pub loss_scale: f64,
}

/// What a batch cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Sum of the targets' losses in nats, not scaled.
    pub sum: f64,
    /// How many targets there were.
    pub targets: u64,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OptimizerStep {
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// Gradients are scaled down to this global L2 norm; 0 means never.
    pub max_grad_norm: f64,
}

/// What the backward passes since the last optimizer step left for one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientSummary {
    /// [`Parameter::name`].
    pub name: String,
    /// L2 norm; NaN or infinite when an element is.
    pub norm: f64,
    /// Whether any backward pass wrote to it.
    pub received: bool,
}

/// Which memory a lent buffer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// The process's own memory.
    Cpu,
    /// A CUDA device's memory.
    Cuda,
}

/// A gradient buffer that the model lends for an all-reduce: valid until the next call of the same model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GradientBuffer {
    /// Address of the first element on its device.
    pub address: u64,
    /// Number of elements.
    pub length: u64,
    /// Element type: `f32` or `bf16`.
    pub dtype: String,
    /// Which memory.
    pub device: DeviceKind,
    /// Which device of that kind.
    pub ordinal: u32,
}

/// What [`Model::score`] shall give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScoreRequest {
    /// Natural-log probability of every target.
    pub log_probabilities: bool,
    /// Rank of every target among the vocabulary.
    pub ranks: bool,
    /// One row of outputs a sequence: class logits or regression values.
    pub sequence_outputs: bool,
}

/// Scores of a batch's targets, in the order of the sequences.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// `S + 1` offsets: which targets belong to which sequence.
    pub target_offsets: Vec<u64>,
    /// Natural-log probability of every target.
    pub log_probabilities: Vec<f32>,
    /// Number of vocabulary entries with a logit greater than the target's.
    pub ranks: Vec<u32>,
    /// `S · width` values, row-major.
    pub sequence_outputs: Vec<f32>,
    /// Sum and number of the targets' losses.
    pub loss: Loss,
}

/// Built from a configuration or a folder; learns, scores, embeds, generates, saves.
///
/// The host calls from one thread at a time. A model owns its tensors, its padding and its threads (within
/// [`crate::Host::threads`]); it must not print, must not decide about data, schedule or files beyond those it is told to
/// write, and must give the same numbers for the same calls on the same machine with the same number of threads.
///
/// A training step is: any number of [`Self::forward_backward`], each adding to the gradients, then one
/// [`Self::optimizer_step`], which uses and clears them. What a model cannot do it answers with
/// [`crate::ErrorKind::Unsupported`], as the default methods do.
///
/// ```
/// use codex_plugin_api::*;
///
/// /// Gives every id the same probability: the smallest model that can be scored.
/// struct Uniform(u32);
///
/// impl Model for Uniform {
///     fn info(&self) -> Result<ModelInfo> {
///         Ok(ModelInfo {
///             architecture: "uniform".into(),
///             parameters: 0,
///             vocab_size: self.0,
///             max_sequence_length: 1 << 20,
///             hidden_size: 0,
///             tasks: vec!["causal-lm".into()],
///             device: "cpu".into(),
///             precision: "f32".into(),
///         })
///     }
///     fn parameters(&self) -> Result<Vec<Parameter>> {
///         Ok(Vec::new())
///     }
///     fn score(&mut self, batch: &TokenBatch<'_>, _request: ScoreRequest) -> Result<Scores> {
///         let log_probability = -f64::from(self.0).ln();
///         let mut scores = Scores { target_offsets: vec![0], ..Scores::default() };
///         for ids in batch.sequences.iter() {
///             scores.loss.targets += ids.len().saturating_sub(1) as u64;
///             scores.target_offsets.push(scores.loss.targets);
///         }
///         scores.loss.sum = -log_probability * scores.loss.targets as f64;
///         scores.log_probabilities = vec![log_probability as f32; scores.loss.targets as usize];
///         scores.ranks = vec![0; scores.loss.targets as usize];
///         Ok(scores)
///     }
///     fn save(&self, folder: &str) -> Result<()> {
///         std::fs::write(format!("{folder}/config.json"), format!("{{\"vocab_size\": {}}}", self.0))
///             .or_error(|| Error::failed(format!("cannot write {folder}/config.json")))
///     }
/// }
/// ```
pub trait Model: Send {
    /// What the model says of itself.
    ///
    /// # Errors
    /// When the model cannot be described.
    fn info(&self) -> Result<ModelInfo>;

    /// Every parameter, in the order in which they are saved.
    ///
    /// # Errors
    /// When the parameters cannot be listed.
    fn parameters(&self) -> Result<Vec<Parameter>>;

    /// Log-probabilities and ranks of a batch's targets, without any change to the model and without dropout.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] naming an id beyond the vocabulary or a sequence that is too long.
    fn score(&mut self, batch: &TokenBatch<'_>, request: ScoreRequest) -> Result<Scores>;

    /// Writes a folder that Hugging Face's readers open: `config.json`, `model.safetensors` and what belongs to them.
    /// The folder exists; the host makes the whole atomic.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Failed`] naming the file that could not be written.
    fn save(&self, folder: &str) -> Result<()>;

    // Training.

    /// Prepares for training: optimizer state, gradients, frozen parameters.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when the settings do not fit the model.
    fn begin_training(&mut self, settings: &TrainingSettings) -> Result<()> {
        let _ = settings;
        Err(Error::unsupported("training"))
    }

    /// Adds the gradients of `loss_scale · loss` over the batch to those already there.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] naming an id beyond the vocabulary or a sequence that is too long.
    fn forward_backward(&mut self, batch: &TokenBatch<'_>, pass: &TrainingPass) -> Result<Loss> {
        let _ = (batch, pass);
        Err(Error::unsupported("training"))
    }

    /// What the backward passes since the last optimizer step left, for every trainable parameter. The host asks after
    /// the first backward pass of a run and stops when a parameter received nothing or something that is not finite.
    ///
    /// # Errors
    /// When training has not begun.
    fn gradients(&mut self) -> Result<Vec<GradientSummary>> {
        Err(Error::unsupported("training"))
    }

    /// Clips, updates every trainable parameter and clears the gradients; gives the global norm before clipping.
    ///
    /// # Errors
    /// When training has not begun.
    fn optimizer_step(&mut self, step: &OptimizerStep) -> Result<f64> {
        let _ = step;
        Err(Error::unsupported("training"))
    }

    /// Lends the flat gradients for an all-reduce between `forward_backward` and `optimizer_step`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when the model cannot.
    fn lend_gradients(&mut self) -> Result<Vec<GradientBuffer>> {
        Err(Error::unsupported("lending gradients"))
    }

    /// Writes `model.safetensors` and `optimizer.safetensors` (or whatever the model needs) into an existing folder, so
    /// that [`Self::import_state`] continues bit for bit.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Failed`] naming the file.
    fn export_state(&self, folder: &str) -> Result<()> {
        let _ = folder;
        Err(Error::unsupported("exporting training state"))
    }

    /// Takes over what [`Self::export_state`] wrote; called after [`Self::begin_training`] with the same settings.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] naming file and tensor that do not fit; the model is then unusable.
    fn import_state(&mut self, folder: &str) -> Result<()> {
        let _ = folder;
        Err(Error::unsupported("importing training state"))
    }

    // Embeddings.

    /// One embedding a sequence: `S · hidden_size` values, row-major.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when the model gives none.
    fn embed(&mut self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        let _ = sequences;
        Err(Error::unsupported("embedding"))
    }

    // Generation.

    /// Opens an empty generation session with a cache of its own; gives its number.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when the model does not generate.
    fn open_session(&mut self) -> Result<u64> {
        Err(Error::unsupported("generation"))
    }

    /// Reads `ids[i]` (at least one id) after what session `sessions[i]` has already read, for all sessions in one pass;
    /// gives the logits for each one's next token: `sessions · vocab_size` values, row-major.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when a session becomes longer than the model allows.
    fn extend_sessions(&mut self, sessions: &[u64], ids: Ids<'_>) -> Result<Vec<f32>> {
        let _ = (sessions, ids);
        Err(Error::unsupported("generation"))
    }

    /// Forgets all but the first `length` ids of a session.
    ///
    /// # Errors
    /// When there is no such session or it is shorter.
    fn truncate_session(&mut self, session: u64, length: u64) -> Result<()> {
        let _ = (session, length);
        Err(Error::unsupported("generation"))
    }

    /// Closes a session and frees its cache.
    ///
    /// # Errors
    /// When there is no such session.
    fn close_session(&mut self, session: u64) -> Result<()> {
        let _ = session;
        Err(Error::unsupported("generation"))
    }

    // Adapters.

    /// The places where operations can be added.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when the model takes no adapters.
    fn sites(&self) -> Result<Vec<Site>> {
        Err(Error::unsupported("adapters"))
    }

    /// Adds an adapter under a name and makes it the one that trains; the base no longer trains.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming a site or an operation that the model does not have.
    fn add_adapter(&mut self, name: &str, plan: &AdapterPlan) -> Result<()> {
        let _ = (name, plan);
        Err(Error::unsupported("adapters"))
    }

    /// Loads an adapter from a folder with `adapter_config.json` and `adapter_model.safetensors`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] showing what does not match the base; nothing is half-loaded.
    fn load_adapter(&mut self, name: &str, folder: &str) -> Result<()> {
        let _ = (name, folder);
        Err(Error::unsupported("adapters"))
    }

    /// Saves an adapter into an existing folder.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Failed`] naming the file.
    fn save_adapter(&self, name: &str, folder: &str) -> Result<()> {
        let _ = (name, folder);
        Err(Error::unsupported("adapters"))
    }

    /// Chooses which adapters apply, each with a weight; none switches all off.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming an adapter that is not there.
    fn activate_adapters(&mut self, names: &[String], weights: &[f32]) -> Result<()> {
        let _ = (names, weights);
        Err(Error::unsupported("adapters"))
    }

    /// Works an adapter into the base weights, or takes it out again; gives the largest change of a weight.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] naming an operation that cannot be merged.
    fn merge_adapter(&mut self, name: &str, merged: bool) -> Result<f64> {
        let _ = (name, merged);
        Err(Error::unsupported("adapters"))
    }
}
