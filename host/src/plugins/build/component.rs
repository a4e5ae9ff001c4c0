//! From a core module to a plugin: the component around it, the manifest inside it, and whether the two agree.

use codex_plugin_api::manifest::Permissions;
use codex_plugin_api::{Error, Manifest, Result};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::ComponentEncoder;

use super::kinds;
use super::wit::{PACKAGE, VERSION};
use crate::plugins::wasm::file::{self, SECTION};

/// Whether a language's runtime may import WASI, which the host gives nothing of but what was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wasi {
    Allowed,
    Refused,
}

/// An interface of the host that needs a permission.
pub(super) struct Import {
    pub(super) interface: &'static str,
    /// Whether the manifest asks for it.
    pub(super) asked: fn(&Permissions) -> bool,
    /// The line that asks, below `[permissions]`.
    line: &'static str,
}

/// Every interface that needs a permission.
pub(super) const IMPORTS: [Import; 7] = [
    Import {
        interface: "terminal",
        asked: |permissions| permissions.terminal.is_some(),
        line: "terminal = { reason = \"why\" }",
    },
    Import {
        interface: "files",
        asked: |permissions| !permissions.folders.is_empty(),
        line: "folders = [{ path = \"data\", reason = \"why\" }]",
    },
    Import {
        interface: "environment",
        asked: |permissions| !permissions.environment.is_empty(),
        line: "environment = [{ key = \"NAME\", reason = \"why\" }]",
    },
    Import {
        interface: "clock",
        asked: |permissions| permissions.clock.is_some(),
        line: "clock = { reason = \"why\" }",
    },
    Import {
        interface: "random",
        asked: |permissions| permissions.random.is_some(),
        line: "random = { reason = \"why\" }",
    },
    Import {
        interface: "network",
        asked: |permissions| !permissions.network.is_empty(),
        line: "network = [{ host = \"example.org\", reason = \"why\" }]",
    },
    Import {
        interface: "components",
        asked: |permissions| !permissions.components.is_empty(),
        line: "components = [{ kind = \"tokenizer\", reason = \"why\" }]",
    },
];

/// Makes a component of a core module that carries its world's types.
///
/// # Errors
/// Naming the imports that no world has, or what else is wrong with the module.
pub(super) fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let foreign = foreign_imports(module)?;
    if !foreign.is_empty() {
        let message = format!(
            "the module imports what no plugin can have: {}",
            foreign.join(", ")
        );
        return Err(Error::config(message).hint(
            "a plugin has no standard input or output, files or clock of its own: take out what calls them (in C printf, \
             fopen, time, abort with a message) and use the interfaces of codex:plugin",
        ));
    }
    let not_encoded = |error: String| {
        Error::failed(format!("no component can be made of the module: {error}")).hint(
            "it must be made with wit-bindgen for a world of codex:plugin (codex-ml plugin wit writes the WIT)",
        )
    };
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| not_encoded(one_line(&format!("{error:#}"))))
}

/// What a module imports that is no interface of ours: functions of WASI or of a C library that was not linked.
fn foreign_imports(module: &[u8]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(section) = payload.map_err(|error| damaged(&error))? else {
            continue;
        };
        for import in section.into_imports() {
            let import = import.map_err(|error| damaged(&error))?;
            if !import.module.contains(':')
                && import.module != "$root"
                && !import.module.starts_with('[')
            {
                found.push(format!("{} of {}", import.name, import.module));
            }
        }
    }
    Ok(found)
}

fn damaged(error: &wasmparser::BinaryReaderError) -> Error {
    Error::failed(format!(
        "the tool made no sound module: {}",
        error.message()
    ))
    .hint("try a newer version of the compiler")
}

/// Adds the manifest as a custom section at the end.
pub(super) fn embed(mut component: Vec<u8>, manifest: &str) -> Vec<u8> {
    let name = length(SECTION.len());
    let size = name.len() + SECTION.len() + manifest.len();
    component.push(0);
    component.extend(length(size));
    component.extend(name);
    component.extend(SECTION.as_bytes());
    component.extend(manifest.as_bytes());
    component
}

/// A number as LEB128.
fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 127) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 128);
    }
}

/// Whether a component is sound, exports what its manifest names and imports what its manifest asks for.
///
/// # Errors
/// Naming what is missing where, with the lines that mend it.
pub(super) fn check(plugin: &[u8], manifest: &Manifest, wasi: Wasi) -> Result<()> {
    Validator::new_with_features(WasmFeatures::default())
        .validate_all(plugin)
        .map_err(|error| {
            Error::failed(format!("the component is not valid: {}", error.message()))
                .hint("try a newer version of the tool that made it")
        })?;
    let found = file::parse(plugin).map_err(Error::failed)?;
    check_exports(&found.exports, manifest)?;
    check_imports(&found.imports, &manifest.permissions, wasi)
}

fn check_exports(exports: &[String], manifest: &Manifest) -> Result<()> {
    for kind in kinds(manifest) {
        let interface = format!("{PACKAGE}/{kind}@{VERSION}");
        if !exports.contains(&interface) {
            let there = match exports {
                [] => "nothing".to_owned(),
                exports => exports.join(", "),
            };
            let message = format!(
                "plugin.toml names a {kind}, but the code exports no {interface}; it exports {there}"
            );
            return Err(Error::config(message).hint(format!(
                "implement it (world {kind}-plugin), or take its [[component]] out of plugin.toml"
            )));
        }
    }
    Ok(())
}

fn check_imports(imports: &[String], permissions: &Permissions, wasi: Wasi) -> Result<()> {
    let mut missing = Vec::new();
    for name in imports {
        if wasi == Wasi::Allowed && name.starts_with("wasi:") {
            continue;
        }
        let interface = ours(name).ok_or_else(|| {
            Error::config(format!("the code imports {name}, which this host does not have")).hint(
                format!("a plugin may import the interfaces of {PACKAGE}@{VERSION}; codex-ml plugin wit writes them"),
            )
        })?;
        let bound = IMPORTS.iter().find(|import| import.interface == interface);
        missing.extend(bound.filter(|import| !(import.asked)(permissions)));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|import| import.interface).collect();
    let lines: Vec<&str> = missing.iter().map(|import| import.line).collect();
    let message = format!(
        "the code imports {}, but plugin.toml does not ask for {}",
        names.join(", "),
        if names.len() == 1 { "it" } else { "them" }
    );
    Err(Error::config(message).hint(format!(
        "add below [permissions] in plugin.toml, each with its reason:\n{}",
        lines.join("\n")
    )))
}

/// The interface's own name, where it is one of the host's.
fn ours(name: &str) -> Option<&str> {
    let (interface, version) = name
        .strip_prefix(PACKAGE)?
        .strip_prefix('/')?
        .split_once('@')?;
    let known = ["types", "host"].contains(&interface)
        || IMPORTS.iter().any(|import| import.interface == interface);
    (known && version.starts_with("1.")).then_some(interface)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
