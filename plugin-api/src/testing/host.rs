//! A host for tests: keeps what a component prints and logs, and creates nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::{
    Adapter, Dataset, Host, LogLevel, Metric, Model, NoHost, Result, Sanitizer, Tokenizer,
};

/// Records output and log; can be interrupted; two threads.
#[derive(Debug, Default)]
pub struct RecordingHost {
    output: Mutex<String>,
    log: Mutex<Vec<(LogLevel, String)>>,
    interrupted: AtomicBool,
}

impl RecordingHost {
    /// What was printed so far.
    pub fn output(&self) -> String {
        let output = self.output.lock();
        output.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was logged so far.
    pub fn lines(&self) -> Vec<(LogLevel, String)> {
        let log = self.log.lock();
        log.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As if the user had asked to stop.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }
}

impl Host for RecordingHost {
    fn log(&self, level: LogLevel, message: &str) {
        let log = self.log.lock();
        log.unwrap_or_else(PoisonError::into_inner)
            .push((level, message.to_owned()));
    }

    fn progress(&self, _label: &str, _done: u64, _total: u64) {}

    fn threads(&self) -> usize {
        2
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn print(&self, text: &str) -> Result<()> {
        let output = self.output.lock();
        output
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(text);
        Ok(())
    }

    fn read_file(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        NoHost.read_file(path, offset, length)
    }

    fn create_tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>> {
        NoHost.create_tokenizer(name, config)
    }

    fn create_model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>> {
        NoHost.create_model(name, config)
    }

    fn create_dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>> {
        NoHost.create_dataset(name, config)
    }

    fn create_metric(&self, name: &str, config: &Value) -> Result<Box<dyn Metric>> {
        NoHost.create_metric(name, config)
    }

    fn create_sanitizer(&self, name: &str, config: &Value) -> Result<Box<dyn Sanitizer>> {
        NoHost.create_sanitizer(name, config)
    }

    fn create_adapter(&self, name: &str, config: &Value) -> Result<Box<dyn Adapter>> {
        NoHost.create_adapter(name, config)
    }
}
