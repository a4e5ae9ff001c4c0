//! The adapter `ia3-scale`: one trained factor for each output of the chosen sites, starting at 1 (IA3, Liu et al. 2022).
//!
//! An adapter answers once, with data; the model computes. So the sandbox costs nothing in a training step. What crosses
//! the border is here, the choice of sites is in `targets.rs`.

mod targets;

use codex_guest::Component;
use codex_guest::types::{AdapterPlan, Error, Init, Operation, Site, SiteOperation, Vector};

use exports::codex::plugin::adapter::Guest;
use targets::Targets;

wit_bindgen::generate!({
    path: "../../plugin-api/wit/v1",
    world: "adapter-plugin",
    with: { "codex:plugin/types@1.0.0": codex_guest::types },
});

static ADAPTER: Component<Targets> = Component::new();

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn create(name: String, config: String) -> Result<(), Error> {
        let targets: Targets = serde_json::from_str(&config)
            .map_err(|why| Error::config(format!("configuration of {name} is wrong: {why}")))?;
        ADAPTER.set(targets);
        Ok(())
    }

    fn plan(sites: Vec<Site>) -> Result<AdapterPlan, Error> {
        ADAPTER.with(|targets| {
            let chosen = targets.choose(&sites)?;
            let modules: Vec<&str> = chosen.iter().map(|site| site.name.as_str()).collect();
            let operations = chosen.iter().map(|site| SiteOperation {
                site: site.name.clone(),
                operation: Operation::ScaleOutput(Vector {
                    start: Init::Constant(1.0),
                    train: true,
                }),
            });
            Ok(AdapterPlan {
                operations: operations.collect(),
                modules_to_save: Vec::new(),
                // PEFT scales inputs where a module is among the feed-forward ones, so none may be.
                saved_config: serde_json::json!({
                    "peft_type": "IA3",
                    "target_modules": modules,
                    "feedforward_modules": [],
                })
                .to_string(),
                values: Vec::new(),
            })
        })
    }
}
