//! Models in WebAssembly.

use codex_plugin_api::{
    AdapterPlan, Error, GradientSummary, Ids, Loss, Model, ModelInfo, OptimizerStep, Parameter,
    Result, ScoreRequest, Scores, Site, TokenBatch, TrainingPass, TrainingSettings,
};
use serde_json::Value;

use super::bindings::codex::plugin::types;
use super::bindings::exports::codex::plugin::model::{Guest as Calls, GuestIndices};
use super::guest::{Guest, asked_for};
use super::{adapter, convert, files};

pub(super) type Exports = GuestIndices;

struct WasmModel {
    guest: Guest,
    calls: Calls,
    vocab_size: u32,
    hidden_size: u32,
}

pub(super) fn create(
    guest: Guest,
    exports: Exports,
    name: &str,
    config: &Value,
) -> Result<impl Model + use<>> {
    let files = files::of_config(config)?;
    let calls = guest.call_plain(|store, instance| exports.load(store, instance))?;
    guest.call(|store| calls.call_create(store, name, &config.to_string(), &files))?;
    let info = asked_for("info", guest.call(|store| calls.call_info(store)))?;
    Ok(WasmModel {
        guest,
        calls,
        vocab_size: info.vocab_size,
        hidden_size: info.hidden_size,
    })
}

impl Model for WasmModel {
    fn info(&self) -> Result<ModelInfo> {
        let info = self.guest.call(|store| self.calls.call_info(store))?;
        Ok(convert::model_info(info))
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let found = self.guest.call(|store| self.calls.call_parameters(store))?;
        let parameter = |found: types::Parameter| Parameter {
            name: found.name,
            shape: found.shape,
            dtype: found.dtype,
            trainable: found.trainable,
        };
        Ok(found.into_iter().map(parameter).collect())
    }

    fn score(&mut self, batch: &TokenBatch<'_>, request: ScoreRequest) -> Result<Scores> {
        let given = convert::token_batch_to(batch);
        let found = self.guest.call(|store| {
            self.calls
                .call_score(store, &given, convert::score_request_to(request))
        })?;
        convert::scores(&found, batch.sequences.len(), request)
    }

    fn save(&self, folder: &str) -> Result<()> {
        let found = self.guest.call(|store| self.calls.call_save(store))?;
        files::write(folder, &found)
    }

    fn begin_training(&mut self, settings: &TrainingSettings) -> Result<()> {
        let settings = types::TrainingSettings {
            task: settings.task.clone(),
            seed: settings.seed,
            betas: settings.betas,
            epsilon: settings.epsilon,
            weight_decay: settings.weight_decay,
            decay_matrices_only: settings.decay_matrices_only,
            freeze: settings.freeze.clone(),
            gradient_checkpointing: settings.gradient_checkpointing,
            extra: settings.extra.to_string(),
        };
        self.guest
            .call(|store| self.calls.call_begin_training(store, &settings))
    }

    fn forward_backward(&mut self, batch: &TokenBatch<'_>, pass: &TrainingPass) -> Result<Loss> {
        let given = convert::token_batch_to(batch);
        let pass = types::TrainingPass {
            step: pass.step,
            accumulation: pass.accumulation,
            loss_scale: pass.loss_scale,
        };
        self.guest
            .call(|store| self.calls.call_forward_backward(store, &given, pass))
            .map(convert::loss)
    }

    fn gradients(&mut self) -> Result<Vec<GradientSummary>> {
        let found = self.guest.call(|store| self.calls.call_gradients(store))?;
        let summary = |found: types::GradientSummary| GradientSummary {
            name: found.name,
            norm: found.norm,
            received: found.received,
        };
        Ok(found.into_iter().map(summary).collect())
    }

    fn optimizer_step(&mut self, step: &OptimizerStep) -> Result<f64> {
        let step = types::OptimizerStep {
            learning_rate: step.learning_rate,
            max_grad_norm: step.max_grad_norm,
        };
        self.guest
            .call(|store| self.calls.call_do_optimizer_step(store, step))
    }

    fn export_state(&self, folder: &str) -> Result<()> {
        let found = self
            .guest
            .call(|store| self.calls.call_export_state(store))?;
        files::write(folder, &found)
    }

    fn import_state(&mut self, folder: &str) -> Result<()> {
        let files = files::read(folder)?;
        self.guest
            .call(|store| self.calls.call_import_state(store, &files))
    }

    fn embed(&mut self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        let given = convert::ids_to(sequences);
        let found = self
            .guest
            .call(|store| self.calls.call_embed(store, &given))?;
        let due = sequences.len() * self.hidden_size as usize;
        convert::unpack_exactly(&found, due, "embeddings")
    }

    fn open_session(&mut self) -> Result<u64> {
        self.guest.call(|store| self.calls.call_open_session(store))
    }

    fn extend_sessions(&mut self, sessions: &[u64], ids: Ids<'_>) -> Result<Vec<f32>> {
        let (numbers, given) = (convert::pack(sessions), convert::ids_to(ids));
        let found = self
            .guest
            .call(|store| self.calls.call_extend_sessions(store, &numbers, &given))?;
        let due = sessions.len() * self.vocab_size as usize;
        convert::unpack_exactly(&found, due, "logits")
    }

    fn truncate_session(&mut self, session: u64, length: u64) -> Result<()> {
        self.guest
            .call(|store| self.calls.call_truncate_session(store, session, length))
    }

    fn close_session(&mut self, session: u64) -> Result<()> {
        self.guest
            .call(|store| self.calls.call_close_session(store, session))
    }

    fn sites(&self) -> Result<Vec<Site>> {
        let found = self.guest.call(|store| self.calls.call_sites(store))?;
        Ok(found.into_iter().map(adapter::site).collect())
    }

    fn add_adapter(&mut self, name: &str, plan: &AdapterPlan) -> Result<()> {
        let plan = adapter::plan_to(plan)?;
        self.guest
            .call(|store| self.calls.call_add_adapter(store, name, &plan))
    }

    fn load_adapter(&mut self, name: &str, folder: &str) -> Result<()> {
        let files = files::read(folder)?;
        self.guest
            .call(|store| self.calls.call_load_adapter(store, name, &files))
    }

    fn save_adapter(&self, name: &str, folder: &str) -> Result<()> {
        let found = self
            .guest
            .call(|store| self.calls.call_save_adapter(store, name))?;
        files::write(folder, &found)
    }

    fn activate_adapters(&mut self, names: &[String], weights: &[f32]) -> Result<()> {
        if names.len() != weights.len() {
            return Err(Error::config(format!(
                "{} adapters have {} weights",
                names.len(),
                weights.len()
            )));
        }
        let weights = convert::pack(weights);
        self.guest
            .call(|store| self.calls.call_activate_adapters(store, names, &weights))
    }

    fn merge_adapter(&mut self, name: &str, merged: bool) -> Result<f64> {
        self.guest
            .call(|store| self.calls.call_merge_adapter(store, name, merged))
    }
}
