//! What training asks of the plugins: a seam, so that the loop can be tested without any.

use std::sync::Arc;

use codex_plugin_api::{
    Adapter, Dataset, Kind, Metric, Model, Result, Sanitizer, Tokenizer, Tracker,
};
use serde_json::{Value, json};

use crate::plugins::Registry;

/// Creates components by name from checked configurations.
#[allow(missing_docs, reason = "one method a kind, each the same")]
pub trait Components {
    fn dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>>;
    fn tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>>;
    fn model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>>;
    fn metric(&self, name: &str, config: &Value) -> Result<Box<dyn Metric>>;
    fn tracker(&self, name: &str, config: &Value) -> Result<Box<dyn Tracker>>;
    fn adapter(&self, name: &str, config: &Value) -> Result<Box<dyn Adapter>>;
    /// With the title of its plugin, by which its findings are known.
    fn sanitizer(&self, name: &str, config: &Value) -> Result<(String, Box<dyn Sanitizer>)>;
    /// Whether there is a sanitizer of that name.
    fn has_sanitizer(&self, name: &str) -> bool;
    /// The JSON Schema of a component's configuration.
    fn schema(&self, kind: Kind, name: &str) -> Result<Value>;
    /// The plugins in use, as `environment.json` lists them.
    fn in_use(&self) -> Vec<Value>;
}

impl Components for Arc<Registry> {
    fn dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>> {
        self.create_dataset(name, config)
    }
    fn tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>> {
        self.create_tokenizer(name, config)
    }
    fn model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>> {
        self.create_model(name, config)
    }
    fn metric(&self, name: &str, config: &Value) -> Result<Box<dyn Metric>> {
        self.create_metric(name, config)
    }
    fn tracker(&self, name: &str, config: &Value) -> Result<Box<dyn Tracker>> {
        self.create_tracker(name, config)
    }
    fn adapter(&self, name: &str, config: &Value) -> Result<Box<dyn Adapter>> {
        self.create_adapter(name, config)
    }
    fn sanitizer(&self, name: &str, config: &Value) -> Result<(String, Box<dyn Sanitizer>)> {
        let title = self.owner(Kind::Sanitizer, name)?.title();
        Ok((title, self.create_sanitizer(name, config)?))
    }
    fn has_sanitizer(&self, name: &str) -> bool {
        self.names(Kind::Sanitizer).contains(&name)
    }
    fn schema(&self, kind: Kind, name: &str) -> Result<Value> {
        Registry::schema(self, kind, name).cloned()
    }
    fn in_use(&self) -> Vec<Value> {
        Registry::in_use(self)
            .map(|plugin| {
                // A library that vanished since it was loaded has no digest any more.
                let sha256 = super::checkpoint::sha256(&plugin.library).ok();
                json!({
                    "id": plugin.id(),
                    "version": plugin.manifest.plugin.version.to_string(),
                    "path": plugin.library,
                    "sha256": sha256,
                })
            })
            .collect()
    }
}
