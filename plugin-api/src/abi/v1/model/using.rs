//! A model object as the trait: each method writes its arguments, calls the table, and checks the answer.
//!
//! SAFETY of every call: the object owns a live instance of its own table, and `&mut self` keeps others away.

use abi_stable::std_types::RVec;

use super::{AbiLoss, AbiModel, AbiOptimizerStep, AbiScores, AbiTrainingPass};
use crate::abi::v1::buffers::{
    AbiIds, AbiTokenBatch, bits, check_length, check_offsets, from_json, owned_text, to_json,
};
use crate::abi::v1::error::broken;
use crate::abi::v1::object::Proxy;
use crate::{
    AdapterPlan, DeviceKind, GradientBuffer, GradientSummary, Ids, Loss, Model, ModelInfo,
    OptimizerStep, Parameter, Result, ScoreRequest, Scores, Site, TokenBatch, TrainingPass,
    TrainingSettings,
};

impl AbiModel {
    /// The model as its trait.
    ///
    /// # Errors
    /// None today.
    pub fn import(self) -> Result<Box<dyn Model>> {
        Ok(Box::new(Proxy::new(self)))
    }
}

fn loss(loss: AbiLoss) -> Loss {
    Loss {
        sum: loss.sum,
        targets: loss.targets,
    }
}

/// As many values as targets, or none when they were not asked for.
fn check_values(found: usize, targets: usize, asked: bool, what: &str) -> Result<()> {
    if !asked && found == 0 {
        return Ok(());
    }
    check_length(found, targets, what)
}

/// A whole number of values for each of `parts`, and at least one when there are parts.
fn check_rows(found: usize, parts: usize, what: &str) -> Result<()> {
    let fits = match parts {
        0 => found == 0,
        _ => found > 0 && found.is_multiple_of(parts),
    };
    if fits {
        return Ok(());
    }
    Err(broken(format!("{found} {what} for {parts} sequences")))
}

fn check_scores(scores: &Scores, sequences: usize, request: ScoreRequest) -> Result<()> {
    let targets = scores
        .target_offsets
        .last()
        .map_or(0, |&last| last as usize);
    check_offsets(&scores.target_offsets, sequences, targets, "sequences")?;
    check_values(
        scores.log_probabilities.len(),
        targets,
        request.log_probabilities,
        "log-probabilities",
    )?;
    check_values(scores.ranks.len(), targets, request.ranks, "ranks")?;
    if request.sequence_outputs || !scores.sequence_outputs.is_empty() {
        check_rows(scores.sequence_outputs.len(), sequences, "outputs")?;
    }
    Ok(())
}

impl Model for Proxy<AbiModel> {
    fn info(&self) -> Result<ModelInfo> {
        let json = self.call(|it| unsafe { it.table.info()(it.this) })?;
        from_json(json, "a description of itself")
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let json = self.call(|it| unsafe { it.table.parameters()(it.this) })?;
        from_json(json, "a list of parameters")
    }

    fn score(&mut self, batch: &TokenBatch<'_>, request: ScoreRequest) -> Result<Scores> {
        let given = AbiTokenBatch::new(batch);
        let asked = bits(&[
            request.log_probabilities,
            request.ranks,
            request.sequence_outputs,
        ]);
        let answer: AbiScores =
            self.call(|it| unsafe { it.table.score()(it.this, &given, asked) })?;
        let scores = Scores {
            target_offsets: answer.target_offsets.into_vec(),
            log_probabilities: answer.log_probabilities.into_vec(),
            ranks: answer.ranks.into_vec(),
            sequence_outputs: answer.sequence_outputs.into_vec(),
            loss: loss(answer.loss),
        };
        check_scores(&scores, batch.sequences.len(), request)?;
        Ok(scores)
    }

    fn save(&self, folder: &str) -> Result<()> {
        self.call(|it| unsafe { it.table.save()(it.this, folder.into()) })
    }

    fn begin_training(&mut self, settings: &TrainingSettings) -> Result<()> {
        let json = to_json(settings, "the training settings")?;
        self.call(|it| unsafe { it.table.begin_training()(it.this, json.as_rslice()) })
    }

    fn forward_backward(&mut self, batch: &TokenBatch<'_>, pass: &TrainingPass) -> Result<Loss> {
        let given = AbiTokenBatch::new(batch);
        let pass = AbiTrainingPass {
            step: pass.step,
            accumulation: pass.accumulation,
            loss_scale: pass.loss_scale,
        };
        self.call(|it| unsafe { it.table.forward_backward()(it.this, &given, pass) })
            .map(loss)
    }

    fn gradients(&mut self) -> Result<Vec<GradientSummary>> {
        self.call(|it| unsafe { it.table.gradients()(it.this) })?
            .into_iter()
            .map(|gradient| {
                Ok(GradientSummary {
                    name: owned_text(gradient.name, "a parameter's name")?,
                    norm: gradient.norm,
                    received: gradient.received != 0,
                })
            })
            .collect()
    }

    fn optimizer_step(&mut self, step: &OptimizerStep) -> Result<f64> {
        let step = AbiOptimizerStep {
            learning_rate: step.learning_rate,
            max_grad_norm: step.max_grad_norm,
        };
        self.call(|it| unsafe { it.table.optimizer_step()(it.this, step) })
    }

    fn lend_gradients(&mut self) -> Result<Vec<GradientBuffer>> {
        self.call(|it| unsafe { it.table.lend_gradients()(it.this) })?
            .into_iter()
            .map(|buffer| {
                Ok(GradientBuffer {
                    address: buffer.address,
                    length: buffer.length,
                    dtype: owned_text(buffer.dtype, "an element type")?,
                    device: match buffer.device {
                        0 => DeviceKind::Cpu,
                        1 => DeviceKind::Cuda,
                        other => return Err(broken(format!("a buffer on device kind {other}"))),
                    },
                    ordinal: buffer.ordinal,
                })
            })
            .collect()
    }

    fn export_state(&self, folder: &str) -> Result<()> {
        self.call(|it| unsafe { it.table.export_state()(it.this, folder.into()) })
    }

    fn import_state(&mut self, folder: &str) -> Result<()> {
        self.call(|it| unsafe { it.table.import_state()(it.this, folder.into()) })
    }

    fn embed(&mut self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        let given = AbiIds::new(sequences);
        let values = self
            .call(|it| unsafe { it.table.embed()(it.this, given) })
            .map(RVec::into_vec)?;
        check_rows(values.len(), sequences.len(), "embedding values")?;
        Ok(values)
    }

    fn open_session(&mut self) -> Result<u64> {
        self.call(|it| unsafe { it.table.open_session()(it.this) })
    }

    fn extend_sessions(&mut self, sessions: &[u64], ids: Ids<'_>) -> Result<Vec<f32>> {
        let given = AbiIds::new(ids);
        let logits = self
            .call(|it| unsafe { it.table.extend_sessions()(it.this, sessions.into(), given) })
            .map(RVec::into_vec)?;
        check_rows(logits.len(), sessions.len(), "logits")?;
        Ok(logits)
    }

    fn truncate_session(&mut self, session: u64, length: u64) -> Result<()> {
        self.call(|it| unsafe { it.table.truncate_session()(it.this, session, length) })
    }

    fn close_session(&mut self, session: u64) -> Result<()> {
        self.call(|it| unsafe { it.table.close_session()(it.this, session) })
    }

    fn sites(&self) -> Result<Vec<Site>> {
        let json = self.call(|it| unsafe { it.table.sites()(it.this) })?;
        from_json(json, "a list of sites")
    }

    fn add_adapter(&mut self, name: &str, plan: &AdapterPlan) -> Result<()> {
        let json = to_json(plan, "the adapter plan")?;
        let values = plan.values.as_slice();
        self.call(|it| unsafe {
            it.table.add_adapter()(it.this, name.into(), json.as_rslice(), values.into())
        })
    }

    fn load_adapter(&mut self, name: &str, folder: &str) -> Result<()> {
        self.call(|it| unsafe { it.table.load_adapter()(it.this, name.into(), folder.into()) })
    }

    fn save_adapter(&self, name: &str, folder: &str) -> Result<()> {
        self.call(|it| unsafe { it.table.save_adapter()(it.this, name.into(), folder.into()) })
    }

    fn activate_adapters(&mut self, names: &[String], weights: &[f32]) -> Result<()> {
        let names = to_json(names, "the adapters' names")?;
        self.call(|it| unsafe {
            it.table.activate_adapters()(it.this, names.as_rslice(), weights.into())
        })
    }

    fn merge_adapter(&mut self, name: &str, merged: bool) -> Result<f64> {
        let merged = u8::from(merged);
        self.call(|it| unsafe { it.table.merge_adapter()(it.this, name.into(), merged) })
    }
}
