//! The last gates: trust, load, layout, components. From the load on a plugin's code runs for the first time.

use std::collections::BTreeSet;
use std::path::Path;

use codex_plugin_api::{Error, ErrorKind, Kind, Result};

use super::discover::Plugin;
use super::gates;
use super::native::NativePlugin;
use super::refusal::{Refusal, Step};
use super::runtime::Runtime;
use super::schema::ConfigSchema;
use super::trust::{self, PrivateCopy, Vouched};
use super::wasm::WasmPlugin;
use crate::folders::Folders;

/// A plugin that passed every gate.
pub(super) struct Loaded {
    pub(super) runtime: Box<dyn Runtime>,
    title: String,
    schemas: Vec<(Kind, String, ConfigSchema)>,
}

impl Loaded {
    /// Compares what a loaded plugin offers with what its manifest declares.
    pub(super) fn new(
        plugin: &Plugin,
        runtime: Box<dyn Runtime>,
    ) -> std::result::Result<Self, Refusal> {
        let offered = runtime.components();
        let set = |pairs: &mut dyn Iterator<Item = (Kind, &str)>| {
            pairs
                .map(|(kind, name)| format!("{kind} {name}"))
                .collect::<BTreeSet<String>>()
        };
        let declared = set(&mut plugin
            .manifest
            .components
            .iter()
            .map(|entry| (entry.kind, entry.name.as_str())));
        let built = set(&mut offered.iter().map(|info| (info.kind, info.name.as_str())));
        for (these, those, reason, hint) in [
            (
                &declared,
                &built,
                "its manifest declares what its code lacks",
                "name it in plugin! or take its [[component]] out of plugin.toml",
            ),
            (
                &built,
                &declared,
                "its code offers what its manifest does not declare",
                "add a [[component]] to plugin.toml",
            ),
        ] {
            let missing: Vec<&str> = these.difference(those).map(String::as_str).collect();
            if !missing.is_empty() {
                let reason = format!("{reason}: {}", missing.join(", "));
                return Err(Refusal::new(
                    &plugin.path,
                    Step::Components,
                    reason,
                    format!("{hint}, and build it again"),
                ));
            }
        }
        let mut schemas = Vec::with_capacity(offered.len());
        for info in offered {
            let schema = ConfigSchema::new(info.schema).map_err(|error| {
                let reason = format!("{} {}: {error}", info.kind, info.name);
                Refusal::new(
                    &plugin.path,
                    Step::Components,
                    reason,
                    "tell the plugin's author",
                )
            })?;
            schemas.push((info.kind, info.name, schema));
        }
        Ok(Self {
            runtime,
            title: plugin.title(),
            schemas,
        })
    }

    /// The schema of a component.
    pub(super) fn schema(&self, kind: Kind, name: &str) -> Result<&ConfigSchema> {
        let found = self
            .schemas
            .iter()
            .find(|(its_kind, its_name, _)| *its_kind == kind && its_name == name);
        found.map(|(_, _, schema)| schema).ok_or_else(|| {
            Error::new(
                ErrorKind::Plugin,
                format!("plugin {} lost its {kind} {name}", self.title),
            )
        })
    }
}

/// Opens a plugin's library or component. The file is looked at once more: it may have changed since the index was
/// written.
pub(super) fn open(
    plugin: &Plugin,
    folders: &Folders,
) -> std::result::Result<Box<dyn Runtime>, Refusal> {
    open_granting(plugin, folders, folders)
}

/// As [`open`], with what is granted from the data folder of `folders`. Whether it may be run at all stays the affair of
/// the `user`'s.
pub(super) fn open_granting(
    plugin: &Plugin,
    folders: &Folders,
    user: &Folders,
) -> std::result::Result<Box<dyn Runtime>, Refusal> {
    let vouched = trust::judge(plugin, user)?;
    let opened = match (plugin.is_sandboxed(), &vouched) {
        (true, vouched) => open_component(plugin, folders, vouched.as_ref()),
        (false, None) => open_library(&plugin.library, plugin),
        // The copy that was compared is the one that is opened; it may go once it is.
        (false, Some(vouched)) => PrivateCopy::of(&plugin.library, vouched, folders)
            .and_then(|copy| open_library(copy.path(), plugin)),
    };
    opened.map_err(|refusal| Refusal {
        path: plugin.path.clone(),
        ..refusal
    })
}

fn changed(library: &Path) -> Refusal {
    Refusal::new(
        library,
        Step::Manifest,
        "it changed while codex-ml was running",
        "start again",
    )
}

fn open_component(
    plugin: &Plugin,
    folders: &Folders,
    vouched: Option<&Vouched>,
) -> std::result::Result<Box<dyn Runtime>, Refusal> {
    // What was examined is what is compiled, though the file be another one by then.
    let found = gates::sandboxed::examine(&plugin.library).map_err(|stopped| stopped.refusal)?;
    if let Some(vouched) = vouched {
        vouched.check(&found.bytes, &plugin.library)?;
    }
    if found.passed.manifest != plugin.manifest {
        return Err(changed(&plugin.library));
    }
    WasmPlugin::open(plugin, &found.bytes, folders)
        .map(|plugin| Box::new(plugin) as Box<dyn Runtime>)
}

fn open_library(library: &Path, plugin: &Plugin) -> std::result::Result<Box<dyn Runtime>, Refusal> {
    let (stamp, passed) = gates::examine_library(library).map_err(|stopped| stopped.refusal)?;
    if passed.manifest != plugin.manifest {
        return Err(changed(&plugin.library));
    }
    NativePlugin::open(library, &stamp).map(|plugin| Box::new(plugin) as Box<dyn Runtime>)
}
