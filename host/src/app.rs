//! What every command gets: output, interrupt flag, plugins.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use codex_plugin_api::Result;
use codex_redaction::Sanitizers;

use crate::folders::Folders;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::plugins::Registry;
use crate::plugins::discover::Catalog;
use crate::sanitize;

/// The process's context. Plugins are discovered on first use, so that a command that needs none pays nothing.
#[derive(Debug)]
pub struct App {
    /// Where everything is printed.
    pub output: Output,
    /// Whether the user asked to stop.
    pub interrupt: Interrupt,
    /// Folders of `--plugin-dir`, searched first.
    pub plugin_dirs: Vec<PathBuf>,
    /// How many threads plugins may keep busy.
    pub threads: usize,
    /// Where the user's and the project's files are.
    pub folders: Folders,
    registry: OnceLock<Arc<Registry>>,
    sanitizers: OnceLock<Arc<Sanitizers>>,
}

impl App {
    /// A context that has not looked for plugins yet.
    pub fn new(
        output: Output,
        interrupt: Interrupt,
        plugin_dirs: Vec<PathBuf>,
        threads: usize,
    ) -> Self {
        Self {
            output,
            interrupt,
            plugin_dirs,
            threads,
            folders: Folders::from_environment(),
            registry: OnceLock::new(),
            sanitizers: OnceLock::new(),
        }
    }

    /// Uses plugins that were discovered already, to read the command line.
    #[must_use]
    pub(crate) fn with_catalog(self, catalog: Catalog) -> Self {
        let registry = Registry::of(catalog, &self);
        // A fresh app has no registry yet, so this one is taken.
        let _ = self.registry.set(registry);
        self
    }

    /// Uses these plugins.
    #[must_use]
    pub(crate) fn with_registry(self, registry: Arc<Registry>) -> Self {
        // As above.
        let _ = self.registry.set(registry);
        self
    }

    /// The sanitizers that come along, created on the first call; from then on they clean what goes to standard error.
    /// There may be none.
    ///
    /// # Errors
    /// When one that is installed cannot be created, or its policy is wrong.
    pub fn sanitizers(&self) -> Result<Arc<Sanitizers>> {
        if let Some(sanitizers) = self.sanitizers.get() {
            return Ok(Arc::clone(sanitizers));
        }
        let created = sanitize::create(&[], &self.registry()?, &self.folders, &self.output)?;
        let sanitizers = Arc::clone(self.sanitizers.get_or_init(|| created));
        self.output.clean_with(&sanitizers);
        Ok(sanitizers)
    }

    /// The plugins, discovered on the first call.
    ///
    /// # Errors
    /// When a folder of `--plugin-dir` is not there. A plugin that was refused is no error here: `plugin doctor` tells.
    pub fn registry(&self) -> Result<Arc<Registry>> {
        if let Some(registry) = self.registry.get() {
            return Ok(Arc::clone(registry));
        }
        let registry = Registry::discover(self)?;
        Ok(Arc::clone(self.registry.get_or_init(|| registry)))
    }
}
