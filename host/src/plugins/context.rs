//! The host as a plugin sees it: log, progress, output, threads, interrupt, and components of other plugins.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use codex_plugin_api::{
    Adapter, Dataset, Error, Host, LogLevel, Metric, Model, Result, Sanitizer, Tokenizer,
};
use indicatif::ProgressBar;
use serde_json::Value;

use super::discover::Plugin;
use super::registry::Registry;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// One plugin's view of the host. It holds no strong reference to the registry, which holds the plugin.
pub(super) struct PluginHost {
    plugin: String,
    output: Output,
    interrupt: Interrupt,
    threads: usize,
    registry: Weak<Registry>,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginHost")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl PluginHost {
    pub(super) fn new(
        plugin: &Plugin,
        output: Output,
        interrupt: Interrupt,
        threads: usize,
        registry: Weak<Registry>,
    ) -> Self {
        let plugin = plugin.id().to_owned();
        Self {
            plugin,
            output,
            interrupt,
            threads,
            registry,
            bars: Mutex::default(),
        }
    }

    fn registry(&self) -> Result<Arc<Registry>> {
        self.registry
            .upgrade()
            .ok_or_else(|| Error::failed("the host is ending and creates nothing any more"))
    }
}

impl Host for PluginHost {
    fn log(&self, level: LogLevel, message: &str) {
        self.output
            .log(level, &format!("{}: {message}", self.plugin));
    }

    fn progress(&self, label: &str, done: u64, total: u64) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if total > 0 && done >= total {
            if let Some(bar) = bars.remove(label) {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = bars.entry(label.to_owned()).or_insert_with(|| {
            let template = if total == 0 {
                "{prefix} {spinner} {human_pos}"
            } else {
                "{prefix} {bar:30} {human_pos}/{human_len} {eta}"
            };
            self.output
                .bar(total, template)
                .with_prefix(label.to_owned())
        });
        bar.set_position(done);
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn interrupted(&self) -> bool {
        self.interrupt.requested()
    }

    fn print(&self, text: &str) -> Result<()> {
        self.output.write(text)
    }

    fn read_file(&self, path: &str, _offset: u64, _length: u64) -> Result<Vec<u8>> {
        // Folders are granted to sandboxed plugins only; a native one opens files itself.
        Err(Error::denied(format!(
            "plugin {} was granted no folder that holds {path}",
            self.plugin
        )))
    }

    fn create_tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>> {
        self.registry()?.create_tokenizer(name, config)
    }

    fn create_model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>> {
        self.registry()?.create_model(name, config)
    }

    fn create_dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>> {
        self.registry()?.create_dataset(name, config)
    }

    fn create_metric(&self, name: &str, config: &Value) -> Result<Box<dyn Metric>> {
        self.registry()?.create_metric(name, config)
    }

    fn create_sanitizer(&self, name: &str, config: &Value) -> Result<Box<dyn Sanitizer>> {
        self.registry()?.create_sanitizer(name, config)
    }

    fn create_adapter(&self, name: &str, config: &Value) -> Result<Box<dyn Adapter>> {
        self.registry()?.create_adapter(name, config)
    }
}
