//! The training state: what trains, AdamW's moments, and the pass and step over them. Schedules, accumulation and
//! stopping are left to the host.

use std::path::Path;

use candle_core::Tensor;
use codex_nn::Read;
use codex_nn::adamw::{self, Group, Options};
use codex_nn::in_batch_negatives::Options as LossOptions;
use codex_nn::random::Key;
use codex_plugin_api::{
    DeviceKind, Error, GradientBuffer, GradientSummary, Loss, OptimizerStep, Result, TokenBatch,
    TrainingPass, TrainingSettings,
};
use rayon::ThreadPool;

use super::batch::Packed;
use super::options;
use super::targets::Targets;
use crate::DROPOUT;
use crate::config::task::Task;
use crate::failure::numeric;
use crate::folder;
use crate::network::{self, Network};
use crate::parameters::Entry;

/// What begins with `begin_training`.
pub(super) struct Training {
    settings: TrainingSettings,
    /// What the task's loss takes beyond them.
    pub(super) options: LossOptions,
    groups: Vec<Group>,
    first_moment: Tensor,
    second_moment: Tensor,
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

/// Neighbouring parameters that are treated alike, as one group.
fn groups(entries: &[Entry], matrices_only: bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.trainable) {
        let decay = !matrices_only || entry.shape.len() > 1;
        match groups.last_mut() {
            Some(last) if last.decay == decay && last.range.end == entry.range.start => {
                last.range.end = entry.range.end;
            }
            _ => groups.push(Group {
                range: entry.range.clone(),
                decay,
            }),
        }
    }
    groups
}

fn check(settings: &TrainingSettings, task: Task, entries: &[Entry]) -> Result<()> {
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
    for pattern in &settings.freeze {
        if !entries
            .iter()
            .any(|entry| fits(pattern.as_bytes(), entry.name.as_bytes()))
        {
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
        let config = &network.config;
        let task = config.head.task;
        check(settings, task, network.parameters.entries())?;
        let options = options::read(task, &settings.extra, config.hidden_size)?;
        network.parameters.begin_training(|entry| {
            let name = entry.name.as_bytes();
            !settings
                .freeze
                .iter()
                .any(|pattern| fits(pattern.as_bytes(), name))
        })?;
        let groups = groups(network.parameters.entries(), settings.decay_matrices_only);
        if groups.is_empty() {
            return Err(Error::config("freeze leaves no parameter that trains"));
        }
        Ok(Self {
            settings: settings.clone(),
            options,
            groups,
            first_moment: network.parameters.zeros()?,
            second_moment: network.parameters.zeros()?,
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
        let gradients = network.parameters.gradients().ok_or_else(not_begun)?;
        clear_frozen(network, gradients)?;
        let norm = numeric(adamw::norm(gradients))?;
        network.parameters.forget_received();
        if !norm.is_finite() {
            numeric(gradients.zero_set())?;
            return Ok(norm);
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
        numeric(adamw::step(
            network.parameters.values(),
            gradients,
            &self.first_moment,
            &self.second_moment,
            &self.groups,
            &options,
        ))?;
        Ok(norm)
    }

    pub(super) fn export(&self, network: &Network, folder: &Path) -> Result<()> {
        let entries = network.parameters.entries();
        folder::write::optimizer(
            folder,
            entries,
            &self.first_moment,
            &self.second_moment,
            self.steps,
        )
    }

    pub(super) fn import(&mut self, network: &Network, folder: &Path) -> Result<()> {
        let entries = network.parameters.entries();
        self.steps =
            folder::read::optimizer(folder, entries, &self.first_moment, &self.second_moment)?;
        Ok(())
    }
}

/// Norm of every trainable parameter's gradient, and whether a backward pass reached it.
pub(super) fn summaries(network: &Network) -> Result<Vec<GradientSummary>> {
    let gradients = network.parameters.gradients().ok_or_else(not_begun)?;
    let values = numeric(Read::new(gradients))?;
    let entries = network
        .parameters
        .entries()
        .iter()
        .filter(|entry| entry.trainable);
    Ok(entries
        .map(|entry| {
            let squares = values[entry.range.clone()]
                .iter()
                .map(|&g| f64::from(g) * f64::from(g));
            GradientSummary {
                name: entry.name.clone(),
                norm: squares.sum::<f64>().sqrt(),
                received: network.parameters.received(entry),
            }
        })
        .collect())
}

/// Lends the flat gradients; those of frozen parameters are zero.
pub(super) fn lend(network: &Network) -> Result<Vec<GradientBuffer>> {
    let gradients = network.parameters.gradients().ok_or_else(not_begun)?;
    if !gradients.device().is_cpu() {
        return Err(Error::unsupported("lending gradients of a GPU"));
    }
    clear_frozen(network, gradients)?;
    let values = numeric(Read::new(gradients))?;
    Ok(vec![GradientBuffer {
        address: values.as_ptr() as u64,
        length: values.len() as u64,
        dtype: "f32".to_owned(),
        device: DeviceKind::Cpu,
        ordinal: 0,
    }])
}

/// Frozen parameters that share a view with others get gradients with them; those count for nothing.
fn clear_frozen(network: &Network, gradients: &Tensor) -> Result<()> {
    let entries = network.parameters.entries();
    if entries.iter().all(|entry| entry.trainable) {
        return Ok(());
    }
    for entry in entries.iter().filter(|entry| !entry.trainable) {
        let part = gradients.narrow(0, entry.range.start, entry.range.len());
        numeric(part.and_then(|part| part.zero_set()))?;
    }
    Ok(())
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
