//! The model as a plugin offers it: a network with a pool of threads, a training state once training has begun, and
//! generation sessions. The functions are left to `network`, files to `folder`.

mod adapters;
mod base;
mod batch;
mod generation;
mod options;
mod targets;
mod training;

use std::path::Path;

use candle_core::Device;
use codex_nn::Precision;
use codex_nn::in_batch_negatives::Options;
use codex_plugin_api::{
    AdapterPlan, Error, FromConfig, GradientBuffer, GradientSummary, HostRef, Ids, LogLevel, Loss,
    Model, ModelInfo, OptimizerStep, Parameter, Result, ScoreRequest, Scores, Site, TokenBatch,
    TrainingPass, TrainingSettings,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::config::settings::Settings;
use crate::config::task::Task;
use crate::device;
use crate::failure::numeric;
use crate::folder;
use crate::network::Network;
use crate::parameters::Parameters;
use adapters::Origin;
use batch::Packed;
use generation::Sessions;
use targets::Targets;
use training::Training;

/// A causal network that trains, scores and generates on the CPU.
pub struct MiniLm {
    network: Network,
    pool: ThreadPool,
    training: Option<Training>,
    sessions: Sessions,
    /// Seeds what adapters start with.
    seed: u64,
    /// `None` for a model that began fresh.
    origin: Option<Origin>,
    /// Parts of the head that the folder did not have.
    fresh: Vec<&'static str>,
}

impl FromConfig for MiniLm {
    type Config = Settings;

    fn from_config(settings: Settings, host: HostRef) -> Result<Self> {
        let found = device::find(&settings.device)?;
        if let Some((level, remark)) = &found.remark {
            host.log(*level, remark);
        }
        let model = Self::build(&settings, host.threads(), &found.device, false)?;
        let wanted = settings.products()?;
        if model.network.workspace.precision() != wanted {
            host.log(
                LogLevel::Warning,
                "precision is bf16, but this CPU has no dot products of bf16: computing in f32",
            );
        }
        if !model.fresh.is_empty() {
            host.log(
                LogLevel::Warning,
                &format!(
                    "{} has no {}, which {} needs: it starts fresh until it is trained or an adapter brings it",
                    settings.path.as_deref().unwrap_or_default(),
                    model.fresh.join(" and no "),
                    model.network.config.head.task.word()
                ),
            );
        }
        Ok(model)
    }
}

impl MiniLm {
    /// The model that `settings` describe, computing on `threads` threads.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for settings that do not fit together,
    /// [`codex_plugin_api::ErrorKind::Data`] for a folder that does not load.
    pub fn new(settings: &Settings, threads: usize) -> Result<Self> {
        let found = device::find(&settings.device)?;
        Self::build(settings, threads, &found.device, false)
    }

    /// The same on the CPU by way of the functions that GPUs are given. For tests where there is no GPU.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    #[doc(hidden)]
    pub fn composed(settings: &Settings, threads: usize) -> Result<Self> {
        Self::build(settings, threads, &Device::Cpu, true)
    }

    fn build(settings: &Settings, threads: usize, device: &Device, composed: bool) -> Result<Self> {
        let precision = settings.products()?;
        base::check(settings, device)?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|index| format!("minilm-{index}"))
            .start_handler(move |_| codex_nn::composed::force(composed))
            .build()
            .map_err(|cause| {
                Error::failed(format!("cannot start {threads} threads")).because(&cause)
            })?;
        let (mut network, fresh, origin) = if let Some(path) = &settings.path {
            let loaded = folder::load(Path::new(path), settings)?;
            let origin = Origin {
                path: path.into(),
                weights: loaded.weights,
            };
            (loaded.network, loaded.fresh, Some(origin))
        } else {
            let mut network = Network::new(settings.network()?, None)?;
            network.parameters.initialise(settings.seed)?;
            (network, Vec::new(), None)
        };
        network.parameters.move_to(device)?;
        // Every device but the CPU computes in either.
        if precision.is_native() || !device.is_cpu() {
            network.workspace.set_precision(precision);
        }
        Ok(Self {
            network,
            pool,
            training: None,
            sessions: Sessions::default(),
            seed: settings.seed,
            origin,
            fresh,
        })
    }

    /// Logits of every token of every sequence: `[tokens, vocabulary]`, row-major. For tests and tools; the host asks
    /// for scores instead, which need no such table.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] naming an id beyond the vocabulary or a sequence that is too long.
    pub fn logits(&self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        let packed = Packed::new(&self.network.config, sequences)?;
        if packed.is_empty() {
            return Ok(Vec::new());
        }
        numeric(self.pool.install(|| {
            let hidden = self.network.hidden(&packed.tokens(), None)?;
            let logits = self.network.logits(&packed.tokens(), &hidden)?;
            Ok::<_, codex_nn::Error>(codex_nn::Read::new(&logits)?.to_vec())
        }))
    }

    /// Makes matrix products round their operands as `precision` says, whether or not the CPU is fast at it. For
    /// tests and tools; the setting `precision` asks the CPU.
    pub fn set_product_precision(&mut self, precision: Precision) {
        self.network.workspace.set_precision(precision);
    }

    /// The gradients that have gathered since the last optimizer step, by the names of [`Model::parameters`]; empty for
    /// one that does not train. For tests and tools.
    ///
    /// # Errors
    /// When training has not begun.
    pub fn gradient(&self, name: &str) -> Result<Vec<f32>> {
        let (parameters, index) = self.parameter(name)?;
        let entry = &parameters.entries()[index];
        let gradients = parameters.gradients().ok_or_else(training::not_begun)?;
        Ok(numeric(codex_nn::Read::new(gradients))?[entry.state.clone()].to_vec())
    }

    /// The values of one parameter. For tests and tools.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn value(&self, name: &str) -> Result<Vec<f32>> {
        let (parameters, index) = self.parameter(name)?;
        parameters.copy_of(index)
    }

    fn parameter(&self, name: &str) -> Result<(&Parameters, usize)> {
        let mut stores = training::stores(&self.network);
        let found = stores.find_map(|store| Some((store, store.find(name)?)));
        found.ok_or_else(|| Error::config(format!("no parameter is called {name:?}")))
    }
}

/// Tokens up to which a pass is over in a few milliseconds, in which its threads need not sleep.
const SHORT_PASS: usize = 64;

/// Runs a pass over so many tokens on the model's threads.
fn install<R: Send>(pool: &ThreadPool, tokens: usize, pass: impl FnOnce() -> R + Send) -> R {
    pool.install(|| {
        if tokens <= SHORT_PASS {
            codex_nn::awake(pass)
        } else {
            pass()
        }
    })
}

impl Model for MiniLm {
    fn info(&self) -> Result<ModelInfo> {
        let config = &self.network.config;
        Ok(ModelInfo {
            architecture: config.architecture.model_type().to_owned(),
            parameters: training::stores(&self.network)
                .map(|store| store.count() as u64)
                .sum(),
            vocab_size: config.vocab_size as u32,
            max_sequence_length: config.head.max_tokens as u32,
            hidden_size: config.hidden_size as u32,
            tasks: vec![config.head.task.word().to_owned()],
            device: device::name(self.network.parameters.values().device()),
            precision: match self.network.workspace.precision() {
                Precision::F32 => "f32",
                Precision::Bf16 => "bf16",
            }
            .to_owned(),
        })
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let entries = training::stores(&self.network).flat_map(Parameters::entries);
        Ok(entries
            .map(|entry| Parameter {
                name: entry.name.clone(),
                shape: entry.shape.iter().map(|&size| size as u64).collect(),
                dtype: entry.dtype().to_owned(),
                trainable: entry.trainable,
            })
            .collect())
    }

    fn score(&mut self, batch: &TokenBatch<'_>, request: ScoreRequest) -> Result<Scores> {
        let (network, task) = (&self.network, self.network.config.head.task);
        if request.sequence_outputs && !task.is_for_sequences() {
            return Err(Error::unsupported(format!(
                "an output for each sequence in {}",
                task.word()
            )));
        }
        if task == Task::Regression && (request.log_probabilities || request.ranks) {
            return Err(Error::unsupported(
                "the probability of a regression's value",
            ));
        }
        let packed = Packed::of_batch(&network.config, batch)?;
        let targets = Targets::new(&network.config, &packed, batch)?;
        let mut scores = Scores {
            target_offsets: targets.offsets(&packed),
            ..Scores::default()
        };
        if packed.is_empty() || (targets.count(&packed) == 0 && !request.sequence_outputs) {
            return Ok(scores);
        }
        let usual = Options::default();
        let options = self.training.as_ref().map_or(&usual, |one| &one.options);
        let scored = numeric(
            self.pool
                .install(|| network.scores(&packed.tokens(), targets.for_head(options))),
        )?;
        scores.loss = Loss {
            sum: scored.loss.sum,
            targets: scored.loss.targets as u64,
        };
        let found = scored.scores.iter();
        if request.log_probabilities {
            scores.log_probabilities = found.clone().map(|one| one.log_probability).collect();
        }
        if request.ranks {
            scores.ranks = found.map(|one| one.rank).collect();
        }
        if request.sequence_outputs {
            scores.sequence_outputs = scored.outputs;
        }
        Ok(scores)
    }

    fn save(&self, folder: &str) -> Result<()> {
        folder::write::export(Path::new(folder), &self.network)
    }

    fn embed(&mut self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        let packed = Packed::new(&self.network.config, sequences)?;
        let network = &self.network;
        if packed.is_empty() {
            return Ok(vec![0.0; sequences.len() * network.config.hidden_size]);
        }
        numeric(install(&self.pool, sequences.ids().len(), || {
            let embeddings = network.embed(&packed.tokens())?;
            Ok::<_, codex_nn::Error>(codex_nn::Read::new(&embeddings)?.to_vec())
        }))
    }

    fn begin_training(&mut self, settings: &TrainingSettings) -> Result<()> {
        self.training = Some(Training::begin(&mut self.network, settings)?);
        Ok(())
    }

    fn forward_backward(&mut self, batch: &TokenBatch<'_>, pass: &TrainingPass) -> Result<Loss> {
        let training = self.training.as_ref().ok_or_else(training::not_begun)?;
        let (network, pool) = (&self.network, &self.pool);
        training.forward_backward(network, pool, batch, pass)
    }

    fn gradients(&mut self) -> Result<Vec<GradientSummary>> {
        training::summaries(&self.network)
    }

    fn optimizer_step(&mut self, step: &OptimizerStep) -> Result<f64> {
        let training = self.training.as_mut().ok_or_else(training::not_begun)?;
        let network = &self.network;
        self.pool.install(|| training.step(network, step))
    }

    fn lend_gradients(&mut self) -> Result<Vec<GradientBuffer>> {
        training::lend(&self.network)
    }

    fn export_state(&self, folder: &str) -> Result<()> {
        let training = self.training.as_ref().ok_or_else(training::not_begun)?;
        folder::write::state(Path::new(folder), &self.network)?;
        training.export(&self.network, Path::new(folder))
    }

    fn import_state(&mut self, folder: &str) -> Result<()> {
        let training = self.training.as_mut().ok_or_else(training::not_begun)?;
        folder::load_into(Path::new(folder), &mut self.network)?;
        crate::adapters::values_changed(&self.network.adapters);
        training.import(&self.network, Path::new(folder))
    }

    fn open_session(&mut self) -> Result<u64> {
        let config = &self.network.config;
        if config.head.task != Task::CausalLm {
            return Err(Error::unsupported(format!(
                "generation with a model for {}",
                config.head.task.word()
            )));
        }
        let learned = self.training.is_some() || self.network.adapters.any_active();
        if !self.fresh.is_empty() && !learned {
            return Err(Error::unsupported(format!(
                "generation with a model whose folder has no {}",
                self.fresh.join(" and no ")
            ))
            .hint("train it with training.task=causal-lm first, or give a folder with that head"));
        }
        Ok(self.sessions.open(config))
    }

    fn extend_sessions(&mut self, sessions: &[u64], ids: Ids<'_>) -> Result<Vec<f32>> {
        let (network, pool) = (&self.network, &self.pool);
        self.sessions.extend(network, pool, sessions, ids)
    }

    fn truncate_session(&mut self, session: u64, length: u64) -> Result<()> {
        self.sessions.truncate(session, length)
    }

    fn close_session(&mut self, session: u64) -> Result<()> {
        self.sessions.close(session)
    }

    fn sites(&self) -> Result<Vec<Site>> {
        Ok(crate::sites::of(&self.network))
    }

    fn add_adapter(&mut self, name: &str, plan: &AdapterPlan) -> Result<()> {
        self.add(name, plan)
    }

    fn load_adapter(&mut self, name: &str, folder: &str) -> Result<()> {
        self.load(name, folder)
    }

    fn save_adapter(&self, name: &str, folder: &str) -> Result<()> {
        self.save_one(name, folder)
    }

    fn activate_adapters(&mut self, names: &[String], weights: &[f32]) -> Result<()> {
        let (network, pool) = (&mut self.network, &self.pool);
        pool.install(|| crate::adapters::activate(network, names, weights))
    }

    fn merge_adapter(&mut self, name: &str, merged: bool) -> Result<f64> {
        let (network, pool) = (&mut self.network, &self.pool);
        pool.install(|| crate::adapters::merge(network, name, merged))
    }
}
