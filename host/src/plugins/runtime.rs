//! What a loaded plugin can do, whatever runs it: the seam between the registry and the native loader (and a sandbox).

use codex_plugin_api::{
    Adapter, Command, Dataset, HostRef, Kind, Metric, Model, Result, Sanitizer, Tokenizer, Tracker,
};
use serde_json::Value;

/// A component as the loaded plugin itself lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentInfo {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The JSON Schema of its configuration.
    pub schema: Value,
}

/// A loaded plugin. Configurations were checked before; an error is the component's own.
#[allow(missing_docs, reason = "one method a kind, each the same")]
pub trait Runtime: Send + Sync {
    /// What it offers.
    fn components(&self) -> Vec<ComponentInfo>;
    fn create_tokenizer(
        &self,
        name: &str,
        config: &Value,
        host: HostRef,
    ) -> Result<Box<dyn Tokenizer>>;
    fn create_model(&self, name: &str, config: &Value, host: HostRef) -> Result<Box<dyn Model>>;
    fn create_dataset(&self, name: &str, config: &Value, host: HostRef)
    -> Result<Box<dyn Dataset>>;
    fn create_metric(&self, name: &str, config: &Value, host: HostRef) -> Result<Box<dyn Metric>>;
    fn create_tracker(&self, name: &str, config: &Value, host: HostRef)
    -> Result<Box<dyn Tracker>>;
    fn create_sanitizer(
        &self,
        name: &str,
        config: &Value,
        host: HostRef,
    ) -> Result<Box<dyn Sanitizer>>;
    fn create_adapter(&self, name: &str, config: &Value, host: HostRef)
    -> Result<Box<dyn Adapter>>;
    fn create_command(&self, name: &str, config: &Value, host: HostRef)
    -> Result<Box<dyn Command>>;
}
