//! The training state: what trains, AdamW's moments, and the pass and step over them. Schedules, accumulation and
//! stopping are left to the host.

mod moments;

use std::path::Path;

use codex_nn::Read;
use codex_nn::adamw::{self, Options};
use codex_nn::in_batch_negatives::Options as LossOptions;
use codex_nn::random::Key;
use codex_plugin_api::{
    DeviceKind, Error, GradientBuffer, GradientSummary, Loss, OptimizerStep, Result, TokenBatch,
    TrainingPass, TrainingSettings,
};
use rayon::ThreadPool;

use super::batch::Packed;
use super::targets::Targets;
use super::{base, options};
use crate::DROPOUT;
use crate::adapters;
use crate::failure::numeric;
use crate::folder::{self, OptimizerState};
use crate::network::{self, Network};
use crate::parameters::{Entry, Parameters};
use moments::Moments;

/// What begins with `begin_training`.
pub(super) struct Training {
    settings: TrainingSettings,
    /// What the task's loss takes beyond them.
    pub(super) options: LossOptions,
    /// One for each of [`stores`].
    moments: Vec<Moments>,
    /// Optimizer steps made.
    steps: u64,
}

pub(super) fn not_begun() -> Error {
    Error::config("the model is asked to train, but begin_training was not called")
}

/// Whether `name` fits `pattern`, in which `*` stands for anything and `?` for one byte.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            fits(&pattern[1..], name) || (!name.is_empty() && fits(pattern, &name[1..]))
        }
        (Some(b'?'), Some(_)) => fits(&pattern[1..], &name[1..]),
        (Some(a), Some(b)) if a == b => fits(&pattern[1..], &name[1..]),
        _ => false,
    }
}

/// Everything that may train: the base, and the adapter that was added for it.
pub(super) fn stores(network: &Network) -> impl Iterator<Item = &Parameters> {
    std::iter::once(&network.parameters).chain(network.adapters.trained())
}

/// What of it trains.
fn trained(network: &Network) -> impl Iterator<Item = &Entry> {
    let entries = stores(network).flat_map(Parameters::entries);
    entries.filter(|entry| entry.trainable)
}

fn check(settings: &TrainingSettings, network: &Network) -> Result<()> {
    let task = network.config.head.task;
    if settings.task != task.word() {
        return Err(Error::config(format!(
            "this model is made for {} and cannot train for {:?}",
            task.word(),
            settings.task
        ))
        .hint(format!(
            "set training.task to {}, or model.task to what it shall be trained for",
            task.word()
        )));
    }
    let betas = settings.betas;
    if !(0.0..1.0).contains(&betas.0) || !(0.0..1.0).contains(&betas.1) {
        return Err(Error::config(format!(
            "betas are {betas:?}, expected numbers from 0 to below 1"
        )));
    }
    for (key, number) in [
        ("epsilon", settings.epsilon),
        ("weight_decay", settings.weight_decay),
    ] {
        if !number.is_finite() || number < 0.0 {
            return Err(Error::config(format!(
                "{key} is {number}, expected a number that is not negative"
            )));
        }
    }
    base::check_training(network)?;
    for pattern in &settings.freeze {
        let mut entries = stores(network).flat_map(Parameters::entries);
        if !entries.any(|entry| fits(pattern.as_bytes(), entry.name.as_bytes())) {
            let entries = network.parameters.entries();
            return Err(
                Error::config(format!("no parameter fits the freeze pattern {pattern:?}")).hint(
                    format!(
                        "parameters have names such as {}",
                        entries.first().map_or("", |entry| entry.name.as_str())
                    ),
                ),
            );
        }
    }
    Ok(())
}

impl Training {
    /// Checks the settings, and makes room for gradients and moments.
    pub(super) fn begin(network: &mut Network, settings: &TrainingSettings) -> Result<Self> {
        check(settings, network)?;
        let config = &network.config;
        let options = options::read(config.head.task, &settings.extra, config.hidden_size)?;
        let trains = |name: &str| {
            let mut freeze = settings.freeze.iter();
            !freeze.any(|pattern| fits(pattern.as_bytes(), name.as_bytes()))
        };
        adapters::begin_training(network, &trains)?;
        let of_base = &network.adapters;
        network.parameters.begin_training(|entry| {
            trains(&entry.name) && (of_base.trained().is_none() || of_base.trains_whole(entry))
        })?;
        if trained(network).next().is_none() {
            return Err(Error::config("freeze leaves no parameter that trains"));
        }
        let matrices_only = settings.decay_matrices_only;
        let moments = stores(network).map(|parameters| Moments::new(parameters, matrices_only));
        Ok(Self {
            moments: moments.collect::<Result<_>>()?,
            settings: settings.clone(),
            options,
            steps: 0,
        })
    }

    pub(super) fn forward_backward(
        &self,
        network: &Network,
        pool: &ThreadPool,
        batch: &TokenBatch<'_>,
        pass: &TrainingPass,
    ) -> Result<Loss> {
        let packed = Packed::of_batch(&network.config, batch)?;
        let targets = Targets::new(&network.config, &packed, batch)?;
        if matches!(targets, Targets::Unknown) {
            return Err(Error::data("a batch to train on has no sequence labels")
                .hint("give the data a column with a label for each text"));
        }
        if targets.count(&packed) == 0 {
            return Ok(Loss::default());
        }
        let key = Key::new(self.settings.seed)
            .with(DROPOUT)
            .with(pass.step)
            .with(u64::from(pass.accumulation));
        let training = network::TrainingPass {
            key,
            factor: pass.loss_scale as f32,
            checkpoint: self.settings.gradient_checkpointing,
        };
        let run = || {
            network.forward_backward(&packed.tokens(), targets.for_head(&self.options), training)
        };
        let loss = numeric(pool.install(run))?;
        Ok(Loss {
            sum: loss.sum,
            targets: loss.targets as u64,
        })
    }

    /// Clips, updates, clears. A norm that is not finite leaves the parameters as they are: the host sees the norm and
    /// stops, and what was learned so far is not lost.
    pub(super) fn step(&mut self, network: &Network, step: &OptimizerStep) -> Result<f64> {
        let norm = norm(network)?;
        stores(network).for_each(Parameters::forget_received);
        if !norm.is_finite() {
            return clear(network).map(|()| norm);
        }
        let limit = step.max_grad_norm;
        // PyTorch's clip_grad_norm_ adds the 1e-6.
        let factor = if limit > 0.0 {
            (limit / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        };
        self.steps += 1;
        let options = Options {
            learning_rate: step.learning_rate,
            betas: self.settings.betas,
            epsilon: self.settings.epsilon,
            weight_decay: self.settings.weight_decay,
            step: self.steps,
            gradient_factor: factor as f32,
        };
        for (parameters, moments) in stores(network).zip(&self.moments) {
            let gradients = parameters.gradients().ok_or_else(not_begun)?;
            moments.step(parameters, gradients, &options)?;
        }
        adapters::values_changed(&network.adapters);
        Ok(norm)
    }

    /// What the optimizer keeps of each parameter that trains.
    fn states<'a>(&'a self, network: &'a Network) -> Vec<OptimizerState<'a>> {
        stores(network)
            .zip(&self.moments)
            .map(|(parameters, moments)| OptimizerState {
                entries: parameters.entries(),
                first: &moments.first,
                second: &moments.second,
            })
            .collect()
    }

    pub(super) fn export(&self, network: &Network, folder: &Path) -> Result<()> {
        folder::write::optimizer(folder, &self.states(network), self.steps)
    }

    pub(super) fn import(&mut self, network: &Network, folder: &Path) -> Result<()> {
        self.steps = folder::read::optimizer(folder, &self.states(network))?;
        Ok(())
    }
}

/// The norm of all gradients together.
fn norm(network: &Network) -> Result<f64> {
    let mut norms = Vec::new();
    for parameters in stores(network) {
        let gradients = parameters.gradients().ok_or_else(not_begun)?;
        if gradients.elem_count() > 0 {
            norms.push(numeric(adamw::norm(gradients))?);
        }
    }
    // One norm is itself to the last bit, which the root of its square need not be.
    Ok(match norms[..] {
        [norm] => norm,
        _ => norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt(),
    })
}

/// Sets all gradients to zero.
fn clear(network: &Network) -> Result<()> {
    let mut gradients = stores(network).filter_map(Parameters::gradients);
    gradients.try_for_each(|gradients| numeric(gradients.zero_set()))
}

/// Norm of every trainable parameter's gradient, and whether a backward pass reached it.
pub(super) fn summaries(network: &Network) -> Result<Vec<GradientSummary>> {
    let mut summaries = Vec::new();
    for parameters in stores(network) {
        let gradients = parameters.gradients().ok_or_else(not_begun)?;
        let values = numeric(Read::new(gradients))?;
        let entries = parameters.entries().iter().filter(|entry| entry.trainable);
        summaries.extend(entries.map(|entry| {
            let squares = values[entry.state.clone()]
                .iter()
                .map(|&g| f64::from(g) * f64::from(g));
            GradientSummary {
                name: entry.name.clone(),
                norm: squares.sum::<f64>().sqrt(),
                received: parameters.received(entry),
            }
        }));
    }
    Ok(summaries)
}

/// Lends the flat gradients of what trains.
pub(super) fn lend(network: &Network) -> Result<Vec<GradientBuffer>> {
    let mut buffers = Vec::new();
    for parameters in stores(network) {
        let gradients = parameters.gradients().ok_or_else(not_begun)?;
        if !gradients.device().is_cpu() {
            return Err(Error::unsupported("lending gradients of a GPU"));
        }
        let values = numeric(Read::new(gradients))?;
        if values.is_empty() {
            continue;
        }
        buffers.push(GradientBuffer {
            address: values.as_ptr() as u64,
            length: values.len() as u64,
            dtype: "f32".to_owned(),
            device: DeviceKind::Cpu,
            ordinal: 0,
        });
    }
    Ok(buffers)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*.bias", "h.0.bias", true),
            ("h.?.bias", "h.10.bias", false),
            ("h.*.attn.*", "h.10.attn.c_attn.weight", true),
            ("wte", "wte.weight", false),
        ] {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
