//! The model's side of adapters: what an adapter needs of it before it can be added. What adapters do is in
//! `crate::adapters`.

use std::path::{Path, PathBuf};

use codex_plugin_api::{AdapterPlan, Error, Result};
use serde_json::Value;

use super::MiniLm;
use crate::adapters;

/// Where a model came from.
#[derive(Debug)]
pub(super) struct Origin {
    /// The folder as the settings name it.
    pub(super) path: PathBuf,
    /// The folder that holds its weights: the same, or one inside it.
    pub(super) weights: PathBuf,
}

impl MiniLm {
    pub(super) fn add(&mut self, name: &str, plan: &AdapterPlan) -> Result<()> {
        if self.origin.is_none() {
            return Err(Error::config(format!(
                "adapter {name:?} is to be added to a model that was not loaded from a folder"
            ))
            .hint(
                "set model.path: an adapter is of no use without the base that it was trained on",
            ));
        }
        let plan = self.with_fresh(plan);
        let (network, pool, seed) = (&mut self.network, &self.pool, self.seed);
        pool.install(|| adapters::add(network, name, &plan, seed))?;
        // What was prepared does not know of the adapter.
        self.training = None;
        Ok(())
    }

    /// The plan, with the parts of the head that the base's folder does not have among the modules to save: nobody else
    /// could give them back.
    fn with_fresh(&self, plan: &AdapterPlan) -> AdapterPlan {
        let mut plan = plan.clone();
        let parts = self.network.head_parts.iter();
        let entries = self.network.parameters.entries();
        for part in parts.filter(|part| self.fresh.contains(&part.name)) {
            for entry in &entries[part.parameters.clone()] {
                let module = entry.name.rsplit_once('.').map_or("", |(module, _)| module);
                if codex_peft::in_modules(&plan.modules_to_save, &entry.name) {
                    continue;
                }
                plan.modules_to_save.push(module.to_owned());
                if let Some(config) = plan.saved_config.as_object_mut() {
                    let mut saved: Vec<Value> = match config.get("modules_to_save") {
                        Some(Value::Array(modules)) => modules.clone(),
                        _ => Vec::new(),
                    };
                    saved.push(module.into());
                    config.insert("modules_to_save".to_owned(), saved.into());
                }
            }
        }
        plan
    }

    pub(super) fn load(&mut self, name: &str, folder: &str) -> Result<()> {
        let weights = self.origin.as_ref().map(|origin| origin.weights.as_path());
        adapters::load(&mut self.network, name, Path::new(folder), weights)
    }

    pub(super) fn save_one(&self, name: &str, folder: &str) -> Result<()> {
        let origin = self.origin.as_ref();
        let base = origin.map(|origin| (origin.path.as_path(), origin.weights.as_path()));
        adapters::save(&self.network, name, Path::new(folder), base)
    }
}
