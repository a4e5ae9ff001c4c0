//! The host context: what a plugin may ask of the host.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Adapter, Dataset, Error, Metric, Model, Result, Sanitizer, Tokenizer};

/// How a plugin holds the host: cheap to clone, usable from every thread, valid as long as the plugin runs.
pub type HostRef = Arc<dyn Host>;

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// For the curious (`-v`).
    Info,
    /// The user should know.
    Warning,
    /// Something failed that does not end the call.
    Error,
}

/// What a plugin may ask of the host. Every method can be called from any thread.
///
/// Each call is one message and one answer, so that a plugin can later live in another process.
pub trait Host: Send + Sync {
    /// Writes a log line; the host adds the plugin's name.
    fn log(&self, level: LogLevel, message: &str);

    /// Shows how far a long call has come; `total` is 0 when unknown. Cheap: the host drops what it cannot show.
    fn progress(&self, label: &str, done: u64, total: u64);

    /// How many threads the plugin may keep busy, at least 1.
    fn threads(&self) -> usize;

    /// Whether the user asked to stop: a long call should then return [`crate::ErrorKind::Interrupted`].
    fn interrupted(&self) -> bool;

    /// Writes to standard output, for commands.
    ///
    /// # Errors
    /// When standard output is closed.
    fn print(&self, text: &str) -> Result<()>;

    /// Reads up to `length` bytes at `offset` of a file below a granted folder.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Denied`] outside the granted folders.
    fn read_file(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>>;

    /// Creates a tokenizer of another (or the same) plugin.
    ///
    /// # Errors
    /// When there is no such component, or its own error.
    fn create_tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>>;

    /// Creates a model of another (or the same) plugin.
    ///
    /// # Errors
    /// When there is no such component, or its own error.
    fn create_model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>>;

    /// Creates a dataset of another (or the same) plugin.
    ///
    /// # Errors
    /// When there is no such component, or its own error.
    fn create_dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>>;

    /// Creates a metric of another (or the same) plugin.
    ///
    /// # Errors
    /// When there is no such component, or its own error.
    fn create_metric(&self, name: &str, config: &Value) -> Result<Box<dyn Metric>>;

    /// Creates a sanitizer of another (or the same) plugin.
    ///
    /// # Errors
    /// When there is no such component, or its own error.
    fn create_sanitizer(&self, name: &str, config: &Value) -> Result<Box<dyn Sanitizer>>;

    /// Creates an adapter of another (or the same) plugin.
    ///
    /// # Errors
    /// When there is no such component, or its own error.
    fn create_adapter(&self, name: &str, config: &Value) -> Result<Box<dyn Adapter>>;
}

/// A host that offers nothing: what unit tests of a plugin create their component with.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl NoHost {
    /// This host as plugins hold it.
    pub fn shared() -> HostRef {
        Arc::new(Self)
    }
}

fn nothing<T>(what: &str, name: &str) -> Result<T> {
    Err(Error::unsupported(format!(
        "creating {what} {name:?} without a host"
    )))
}

impl Host for NoHost {
    fn log(&self, _level: LogLevel, _message: &str) {}
    fn progress(&self, _label: &str, _done: u64, _total: u64) {}
    fn threads(&self) -> usize {
        1
    }
    fn interrupted(&self) -> bool {
        false
    }
    fn print(&self, _text: &str) -> Result<()> {
        Ok(())
    }
    fn read_file(&self, path: &str, _offset: u64, _length: u64) -> Result<Vec<u8>> {
        Err(Error::denied(format!("reading {path} is not granted")))
    }
    fn create_tokenizer(&self, name: &str, _config: &Value) -> Result<Box<dyn Tokenizer>> {
        nothing("tokenizer", name)
    }
    fn create_model(&self, name: &str, _config: &Value) -> Result<Box<dyn Model>> {
        nothing("model", name)
    }
    fn create_dataset(&self, name: &str, _config: &Value) -> Result<Box<dyn Dataset>> {
        nothing("dataset", name)
    }
    fn create_metric(&self, name: &str, _config: &Value) -> Result<Box<dyn Metric>> {
        nothing("metric", name)
    }
    fn create_sanitizer(&self, name: &str, _config: &Value) -> Result<Box<dyn Sanitizer>> {
        nothing("sanitizer", name)
    }
    fn create_adapter(&self, name: &str, _config: &Value) -> Result<Box<dyn Adapter>> {
        nothing("adapter", name)
    }
}
