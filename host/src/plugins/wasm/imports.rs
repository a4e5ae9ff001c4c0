//! What a guest may call. An interface is linked only if the manifest asks for its permission; what the user did not
//! grant of it answers with the command that would grant it. [`wasi`] serves languages whose runtime needs a system.

mod clock;
pub(super) mod components;
mod environment;
mod files;
pub(super) mod host;
pub(super) mod network;
mod random;
mod terminal;
pub(super) mod wasi;

use codex_plugin_api::{Error, Manifest, Permissions};
use wasmtime::component::{Component, HasSelf, Linker};

use super::bindings::codex::plugin as generated;
use super::state::State;
use crate::plugins::grants::Permission;

/// Whether something is asked for.
type Asked = fn(&Permissions) -> bool;

/// The interfaces that need a permission: name, key in the manifest, and whether the manifest asks for it.
const NEEDS: [(&str, &str, Asked); 7] = [
    ("terminal", "terminal", |asked| asked.terminal.is_some()),
    ("files", "folders", |asked| !asked.folders.is_empty()),
    ("environment", "environment", |asked| {
        !asked.environment.is_empty()
    }),
    ("clock", "clock", |asked| asked.clock.is_some()),
    ("random", "random", |asked| asked.random.is_some()),
    ("network", "network", |asked| !asked.network.is_empty()),
    ("components", "components", |asked| {
        !asked.components.is_empty()
    }),
];

/// The keys of permissions that a manifest asks for and that nothing which the component imports could use.
pub(super) fn unused(imports: &[String], asked: &Permissions) -> Vec<&'static str> {
    // A language's runtime reaches files, clocks and the like through WASI.
    if imports.iter().any(|name| name.starts_with("wasi:")) {
        return Vec::new();
    }
    let imported = |interface: &str| {
        let prefix = format!("codex:plugin/{interface}@");
        imports.iter().any(|name| name.starts_with(&prefix))
    };
    NEEDS
        .iter()
        .filter(|(interface, _, asks)| asks(asked) && !imported(interface))
        .map(|(_, key, _)| *key)
        .collect()
}

/// What a component may import; `Err` names the import that its manifest does not ask for.
pub(super) fn linker(component: &Component, manifest: &Manifest) -> Result<Linker<State>, String> {
    let engine = component.engine();
    let mut linker = Linker::new(engine);
    let kind = component.component_type();
    let names: Vec<String> = kind
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let imports = |interface: &str| {
        let prefix = format!("codex:plugin/{interface}@");
        names.iter().any(|name| name.starts_with(&prefix))
    };
    for (interface, key, asked) in NEEDS {
        if imports(interface) && !asked(&manifest.permissions) {
            return Err(format!(
                "it imports codex:plugin/{interface}, and its manifest does not ask for `permissions.{key}`"
            ));
        }
    }
    link(
        &mut linker,
        &imports,
        names.iter().any(|name| name.starts_with("wasi:")),
    )
    .map_err(|error| format!("its imports cannot be linked: {error}"))?;
    Ok(linker)
}

fn link(
    linker: &mut Linker<State>,
    imports: &dyn Fn(&str) -> bool,
    wasi: bool,
) -> wasmtime::Result<()> {
    if wasi {
        wasi::link(linker)?;
    }
    generated::types::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    generated::host::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    macro_rules! link {
        ($($interface:ident),*) => {$(
            if imports(stringify!($interface)) {
                generated::$interface::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
            }
        )*};
    }
    link!(
        terminal,
        files,
        environment,
        clock,
        random,
        network,
        components
    );
    Ok(())
}

impl generated::types::Host for State {}

impl State {
    /// The answer to a call whose permission was asked for and not granted.
    fn denied(&self, what: &str, permission: &Permission) -> Error {
        Error::denied(format!("plugin {} was not granted to {what}", self.plugin)).hint(format!(
            "codex-ml plugin grant {} {}",
            self.plugin,
            permission.argument()
        ))
    }
}
