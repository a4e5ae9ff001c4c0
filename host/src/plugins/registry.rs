//! Creates components by kind and name. A plugin is loaded when its first component is asked for, and stays loaded.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use codex_plugin_api::{
    Adapter, Command, Dataset, Error, ErrorKind, HostRef, Kind, Metric, Model, Result, Sanitizer,
    Tokenizer, Tracker,
};
use serde_json::Value;

use super::context::PluginHost;
use super::discover::{Catalog, Plugin, discover};
use super::gates::Stopped;
use super::load::{self, Loaded};
use super::named::{Named, Owner};
use super::nearest::nearest;
use super::refusal::Refusal;
use super::runtime::Runtime;
use super::search::Place;
use crate::app::App;
use crate::interrupt::Interrupt;
use crate::output::{Kept, Output};

/// How a plugin is opened; tests give one that needs no file.
type Open = dyn Fn(&Plugin) -> std::result::Result<Box<dyn Runtime>, Refusal> + Send + Sync;

/// The plugins that were found, and what they offer.
pub struct Registry {
    catalog: Catalog,
    /// One slot a plugin of the catalogue, filled on first use.
    loaded: Vec<OnceLock<std::result::Result<Loaded, Refusal>>>,
    open: Box<Open>,
    output: Output,
    interrupt: Interrupt,
    threads: usize,
    this: Weak<Self>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("catalog", &self.catalog)
            .finish_non_exhaustive()
    }
}

macro_rules! create {
    ($($function:ident -> $kind:ident),* $(,)?) => {$(
        /// Creates a component; its configuration is checked against the schema that the plugin publishes, and
        /// defaults are filled in.
        ///
        /// # Errors
        /// When there is no such component (with the nearest name), it is refused, or its own error.
        pub fn $function(&self, name: &str, config: &Value) -> Result<Box<dyn $kind>> {
            let kind = Kind::$kind;
            let (at, loaded) = self.loaded(kind, name)?;
            let config = loaded.schema(kind, name)?.check(config, section(kind, name))?;
            let plugin = &self.catalog.plugins[at];
            let owner = Arc::new(Owner { plugin: plugin.title(), kind, name: name.to_owned() });
            let inner = loaded
                .runtime
                .$function(name, &config, self.host_for(plugin))
                .map_err(|error| owner.blame("create", error))?;
            Ok(Box::new(Named { inner, owner }))
        }
    )*};
}

impl Registry {
    /// Looks for plugins in the search path.
    ///
    /// # Errors
    /// When a folder of `--plugin-dir` is not there. A refused plugin is no error here.
    pub fn discover(app: &App) -> Result<Arc<Self>> {
        Ok(Self::of(discover(&app.plugin_dirs, &app.folders)?, app))
    }

    /// The registry of plugins that were discovered already.
    pub(crate) fn of(catalog: Catalog, app: &App) -> Arc<Self> {
        let folders = app.folders.clone();
        Self::with(
            catalog,
            app,
            Box::new(move |plugin| load::open(plugin, &folders)),
        )
    }

    pub(super) fn with(catalog: Catalog, app: &App, open: Box<Open>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            loaded: catalog.plugins.iter().map(|_| OnceLock::new()).collect(),
            catalog,
            open,
            output: app.output.clone(),
            interrupt: app.interrupt.clone(),
            threads: app.threads,
            this: this.clone(),
        })
    }

    create! {
        create_tokenizer -> Tokenizer, create_model -> Model, create_dataset -> Dataset, create_metric -> Metric,
        create_tracker -> Tracker, create_sanitizer -> Sanitizer, create_adapter -> Adapter, create_command -> Command,
    }

    /// The JSON Schema of a component's configuration. Loads its plugin.
    ///
    /// # Errors
    /// When there is no such component, or its plugin is refused.
    pub fn schema(&self, kind: Kind, name: &str) -> Result<&Value> {
        Ok(self.loaded(kind, name)?.1.schema(kind, name)?.as_value())
    }

    /// Checks a component's configuration and fills in its defaults, without creating it. Errors write keys after
    /// `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the key, or when there is no such component.
    pub fn check_config(
        &self,
        kind: Kind,
        name: &str,
        config: &Value,
        path: &str,
    ) -> Result<Value> {
        self.loaded(kind, name)?
            .1
            .schema(kind, name)?
            .check(config, path)
    }

    /// The names of a kind's components, in alphabetical order.
    pub fn names(&self, kind: Kind) -> Vec<&str> {
        let entries = self
            .catalog
            .plugins
            .iter()
            .flat_map(|plugin| &plugin.manifest.components);
        let mut names: Vec<&str> = entries
            .filter(|entry| entry.kind == kind)
            .map(|entry| entry.name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// The plugin that offers a component.
    ///
    /// # Errors
    /// [`ErrorKind::Plugin`] with the nearest name, or with why the plugin that would offer it is refused.
    pub fn owner(&self, kind: Kind, name: &str) -> Result<&Plugin> {
        self.find(kind, name).map(|at| &self.catalog.plugins[at])
    }

    /// Everything that was found.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The plugins that can be used, in the order of the search path.
    pub fn plugins(&self) -> &[Plugin] {
        &self.catalog.plugins
    }

    /// Plugins whose id an earlier one has.
    pub fn shadowed(&self) -> &[Plugin] {
        &self.catalog.shadowed
    }

    /// Candidates that were stopped at a gate.
    pub fn refused(&self) -> &[Stopped] {
        &self.catalog.refused
    }

    /// The search path.
    pub fn places(&self) -> &[Place] {
        &self.catalog.places
    }

    /// The plugins that have been loaded so far.
    pub fn in_use(&self) -> impl Iterator<Item = &Plugin> {
        let loaded = |slot: &OnceLock<_>| slot.get().is_some_and(std::result::Result::is_ok);
        self.catalog
            .plugins
            .iter()
            .zip(&self.loaded)
            .filter(move |(_, slot)| loaded(slot))
            .map(|(plugin, _)| plugin)
    }

    /// A command whose results are kept instead of printed, with the host that it is to be run with.
    ///
    /// # Errors
    /// As [`Self::create_command`].
    pub(crate) fn create_overheard(
        &self,
        name: &str,
        config: &Value,
    ) -> Result<(Box<dyn Command>, HostRef, Kept)> {
        let kind = Kind::Command;
        let (at, loaded) = self.loaded(kind, name)?;
        let config = loaded
            .schema(kind, name)?
            .check(config, section(kind, name))?;
        let plugin = &self.catalog.plugins[at];
        let (output, kept) = self.output.keeping();
        let host = self.host_with(plugin, output);
        let inner = loaded
            .runtime
            .create_command(name, &config, Arc::clone(&host))?;
        Ok((inner, host, kept))
    }

    /// The host as a component of this plugin sees it.
    pub(crate) fn host_for(&self, plugin: &Plugin) -> HostRef {
        self.host_with(plugin, self.output.clone())
    }

    fn host_with(&self, plugin: &Plugin, output: Output) -> HostRef {
        Arc::new(PluginHost::new(
            plugin,
            output,
            self.interrupt.clone(),
            self.threads,
            self.this.clone(),
        ))
    }

    fn loaded(&self, kind: Kind, name: &str) -> Result<(usize, &Loaded)> {
        let at = self.find(kind, name)?;
        let plugin = &self.catalog.plugins[at];
        let slot = self.loaded[at].get_or_init(|| Loaded::new(plugin, (self.open)(plugin)?));
        match slot {
            Ok(loaded) => Ok((at, loaded)),
            Err(refusal) => Err(refusal.to_error().with_message(format!(
                "{kind} {name} cannot be used: plugin {} failed at step {}: {}",
                plugin.title(),
                refusal.step,
                refusal.reason
            ))),
        }
    }

    fn find(&self, kind: Kind, name: &str) -> Result<usize> {
        let found = self
            .catalog
            .plugins
            .iter()
            .position(|plugin| plugin.manifest.component(kind, name).is_some());
        found.ok_or_else(|| self.missing(kind, name))
    }

    /// Why there is no such component. A wrong name is the user's slip; a refused plugin is the plugin's fault.
    fn missing(&self, kind: Kind, name: &str) -> Error {
        let declares = |stopped: &&Stopped| {
            stopped
                .manifest
                .as_ref()
                .is_some_and(|manifest| manifest.component(kind, name).is_some())
        };
        if let Some(stopped) = self.catalog.refused.iter().find(declares) {
            let refusal = &stopped.refusal;
            let message = format!(
                "{kind} {name} cannot be used: {} is refused at step {}: {}",
                refusal.path.display(),
                refusal.step,
                refusal.reason
            );
            return Error::new(ErrorKind::Plugin, message).hint(refusal.hint.clone());
        }
        let names = self.names(kind);
        let error = Error::config(format!("there is no {kind} {name:?}"));
        let list = names.join(", ");
        match nearest(name, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean {near}? installed are {list}")),
            None if names.is_empty() && self.catalog.refused.is_empty() => {
                error.hint(format!("no plugin that offers a {kind} is installed; codex-ml env shows where they are looked for"))
            }
            None if names.is_empty() => {
                error.hint(format!("no plugin that offers a {kind} can be used; codex-ml plugin doctor says why"))
            }
            None => error.hint(format!("installed are {list}")),
        }
    }
}

/// What a component's keys are written after in the configuration of a run.
fn section(kind: Kind, name: &str) -> &str {
    match kind {
        Kind::Tokenizer => "tokenizer",
        Kind::Model => "model",
        Kind::Dataset => "data",
        Kind::Adapter => "adapter",
        _ => name,
    }
}

#[cfg(test)]
mod tests;
