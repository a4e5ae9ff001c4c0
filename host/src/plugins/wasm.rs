//! Plugins in WebAssembly: components in a sandbox, one instance with memory of its own for every component that the
//! engine creates. [`engine`] compiles and keeps what was compiled, [`file`] reads what a plugin says of itself without
//! compiling it, [`guest`] calls it within its limits, [`imports`] is what it may call; the kinds below put the calls
//! behind the traits of the engine. What is granted is decided in [`super::grants`].

mod adapter;
mod bindings;
mod command;
mod convert;
mod dataset;
mod engine;
pub(super) mod file;
mod files;
mod guest;
mod imports;
mod limits;
mod metric;
mod model;
mod sanitizer;
mod state;
mod tokenizer;
mod tracker;

use std::sync::Arc;

use codex_plugin_api::{
    Adapter, Command, Dataset, HostRef, Metric, Model, Result, Sanitizer, Tokenizer, Tracker,
};
use serde_json::{Map, Value, json};
use wasmtime::component::InstancePre;

use super::discover::Plugin;
use super::grants::{Grants, Standing};
use super::refusal::{Refusal, Step};
use super::runtime::{ComponentInfo, Runtime};
use crate::folders::Folders;
use guest::Guest;
pub(crate) use limits::Bounds;
use state::State;

/// A plugin whose code is compiled and whose imports are there.
pub(super) struct WasmPlugin {
    instance: InstancePre<State>,
    about: Arc<About>,
}

/// What all components of a plugin share.
pub(super) struct About {
    manifest: codex_plugin_api::Manifest,
    standing: Standing,
    /// Why the user's decisions cannot be read.
    problem: Option<codex_plugin_api::Error>,
    bounds: Bounds,
}

impl WasmPlugin {
    /// Compiles the bytes of a plugin that passed the gates, or takes what was compiled of them before from the cache.
    pub(super) fn open(
        plugin: &Plugin,
        bytes: &[u8],
        folders: &Folders,
    ) -> std::result::Result<Self, Refusal> {
        let refuse = |error: &wasmtime::Error| {
            Refusal::new(
                &plugin.path,
                Step::Load,
                format!("it cannot be compiled: {}", engine::root(error)),
                "build it again (codex-ml plugin build)",
            )
        };
        let component =
            engine::compile(bytes, folders.cache.as_deref()).map_err(|error| refuse(&error))?;
        let grants = Grants::open(folders.data.as_deref());
        let standing = grants.standing(plugin);
        let bounds = Bounds::new(&plugin.manifest, &standing, grants.limits(plugin.id()));
        let linker = imports::linker(&component, &plugin.manifest).map_err(|reason| {
            Refusal::new(
                &plugin.path,
                Step::Load,
                reason,
                "tell its author: what a plugin imports of the host, its manifest must ask for",
            )
        })?;
        let instance = linker
            .instantiate_pre(&component)
            .map_err(|error| refuse(&error))?;
        let about = Arc::new(About {
            manifest: plugin.manifest.clone(),
            standing,
            problem: grants.problem().cloned(),
            bounds,
        });
        Ok(Self { instance, about })
    }

    fn guest<K>(
        &self,
        host: HostRef,
        exports: impl FnOnce(&InstancePre<State>) -> wasmtime::Result<K>,
    ) -> Result<(Guest, K)> {
        Guest::new(&self.instance, &self.about, host, exports)
    }
}

/// The keys of permissions that a component's manifest asks for and its code cannot use; none for what cannot be read.
pub(crate) fn unused_permissions(plugin: &Plugin) -> Vec<&'static str> {
    let parsed = file::read(&plugin.library).and_then(|bytes| file::parse(&bytes));
    parsed.map_or_else(
        |_| Vec::new(),
        |file| imports::unused(&file.imports, &plugin.manifest.permissions),
    )
}

/// The schema of a component's configuration, from its manifest.
fn schema(entry: &codex_plugin_api::manifest::ComponentEntry) -> Value {
    let required: Vec<&str> = entry
        .config
        .iter()
        .filter(|(_, schema)| schema.get("default").is_none())
        .filter(|(_, schema)| schema.get("required") == Some(&Value::Bool(true)))
        .map(|(key, _)| key.as_str())
        .collect();
    let mut properties = entry.config.clone();
    for schema in properties.values_mut() {
        // `required = true` is the manifest's short way to say what JSON Schema says outside of the property.
        if let Some(schema) = schema.as_object_mut() {
            schema.shift_remove("required");
        }
    }
    json!({
        "type": "object",
        "description": entry.description,
        "properties": Map::from_iter(properties),
        "required": required,
        "additionalProperties": false,
    })
}

macro_rules! create {
    ($($function:ident -> $kind:ident in $module:ident),* $(,)?) => {$(
        fn $function(&self, name: &str, config: &Value, host: HostRef) -> Result<Box<dyn $kind>> {
            let (guest, exports) = self.guest(host, $module::Exports::new)?;
            Ok(Box::new($module::create(guest, exports, name, config)?))
        }
    )*};
}

impl Runtime for WasmPlugin {
    fn components(&self) -> Vec<ComponentInfo> {
        let entries = self.about.manifest.components.iter();
        entries
            .map(|entry| ComponentInfo {
                kind: entry.kind,
                name: entry.name.clone(),
                schema: schema(entry),
            })
            .collect()
    }

    create! {
        create_tokenizer -> Tokenizer in tokenizer, create_model -> Model in model, create_dataset -> Dataset in dataset,
        create_metric -> Metric in metric, create_tracker -> Tracker in tracker,
        create_sanitizer -> Sanitizer in sanitizer, create_adapter -> Adapter in adapter,
        create_command -> Command in command,
    }
}
