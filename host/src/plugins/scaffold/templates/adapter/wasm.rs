//! The adapter `{{name}}`: LoRA (Hu et al. 2021) on queries and values. It answers once, with data; the model computes.
//!
//! The host calls `create` first. Every component has an instance of its own, so a `static` is its state and nobody else's.

wit_bindgen::generate!({ path: "wit", world: "adapter-plugin" });

use std::sync::{Mutex, PoisonError};

use codex::plugin::types::{AdapterPlan, Error, ErrorKind, Init, LowRank, Operation, Site, SiteOperation};
use exports::codex::plugin::adapter::Guest;
use serde_json::{Value, json};

/// The same words in every architecture; GPT-2 computes queries, keys and values in one map.
const ROLES: [&str; 3] = ["query", "value", "query-key-value"];

struct {{Type}};

/// Rank and alpha.
static SETTINGS: Mutex<(u32, f32)> = Mutex::new((8, 16.0));

impl Guest for {{Type}} {
    /// The configuration was checked against `plugin.toml`, and its defaults are filled in.
    fn create(_name: String, config: String) -> Result<(), Error> {
        let config: Value = serde_json::from_str(&config).unwrap_or_default();
        let settings = (config["rank"].as_u64().unwrap_or(8), config["alpha"].as_f64().unwrap_or(16.0));
        *SETTINGS.lock().unwrap_or_else(PoisonError::into_inner) = (settings.0 as u32, settings.1 as f32);
        Ok(())
    }
    fn plan(sites: Vec<Site>) -> Result<AdapterPlan, Error> {
        let (rank, alpha) = *SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen: Vec<&Site> = sites.iter().filter(|site| ROLES.contains(&site.role.as_str())).collect();
        if chosen.is_empty() {
            let known: Vec<&str> = sites.iter().map(|site| site.name.as_str()).collect();
            return Err(Error {
                kind: ErrorKind::Config,
                message: format!("no site is one of {}", ROLES.join(", ")),
                hint: Some(format!("the sites are {}", known.join(", "))),
                causes: vec![],
            });
        }
        let low_rank = LowRank {
            rank,
            scale: alpha / rank as f32,
            dropout: 0.0,
            a: Init::KaimingUniform,
            // Beginning at 0, it changes nothing until it has learned.
            b: Init::Constant(0.0),
            train: true,
            shared: None,
            rank_scale: None,
            output_scale: None,
        };
        let modules: Vec<&str> = chosen.iter().map(|site| site.name.as_str()).collect();
        let saved = json!({"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": modules});
        let operation = |site: &&Site| SiteOperation {
            site: site.name.clone(),
            operation: Operation::LowRank(low_rank.clone()),
        };
        let operations = chosen.iter().map(operation).collect();
        Ok(AdapterPlan { operations, modules_to_save: vec![], saved_config: saved.to_string(), values: vec![] })
    }
}

export!({{Type}});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_left_alone() {
        let site = |name: &str, role: &str| -> Site {
            let (name, role) = (name.into(), role.into());
            Site { name, inputs: 8, outputs: 8, role, layer: Some(0), transposed: false }
        };
        let plan = {{Type}}::plan(vec![site("q", "query"), site("k", "key")]).unwrap();
        assert_eq!(plan.operations.len(), 1);
        assert_eq!(plan.operations[0].site, "q");
        assert!({{Type}}::plan(vec![site("k", "key")]).unwrap_err().hint.unwrap().contains('k'));
    }
}
