//! The interface of plugins in WebAssembly as this host has it, so that an author needs no copy of the repository; and the
//! world that a plugin is built for.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use codex_plugin_api::manifest::Permissions;
use codex_plugin_api::{Context, Error, Kind, Result};

/// Name and text of each file of the package `codex:plugin`.
pub(crate) const FILES: [(&str, &str); 11] = [
    (
        "adapter.wit",
        include_str!("../../../../plugin-api/wit/v1/adapter.wit"),
    ),
    (
        "command.wit",
        include_str!("../../../../plugin-api/wit/v1/command.wit"),
    ),
    (
        "dataset.wit",
        include_str!("../../../../plugin-api/wit/v1/dataset.wit"),
    ),
    (
        "host.wit",
        include_str!("../../../../plugin-api/wit/v1/host.wit"),
    ),
    (
        "metric.wit",
        include_str!("../../../../plugin-api/wit/v1/metric.wit"),
    ),
    (
        "model.wit",
        include_str!("../../../../plugin-api/wit/v1/model.wit"),
    ),
    (
        "sanitizer.wit",
        include_str!("../../../../plugin-api/wit/v1/sanitizer.wit"),
    ),
    (
        "tokenizer.wit",
        include_str!("../../../../plugin-api/wit/v1/tokenizer.wit"),
    ),
    (
        "tracker.wit",
        include_str!("../../../../plugin-api/wit/v1/tracker.wit"),
    ),
    (
        "types.wit",
        include_str!("../../../../plugin-api/wit/v1/types.wit"),
    ),
    (
        "worlds.wit",
        include_str!("../../../../plugin-api/wit/v1/worlds.wit"),
    ),
];

/// The package of all interfaces.
pub(super) const PACKAGE: &str = "codex:plugin";
/// Its version, which the interfaces of a kind are exported with.
pub(super) const VERSION: &str = "1.0.0";

/// The name of a world that is made for one plugin. C's bindings are called after it (`this_plugin.h`).
const GENERATED: &str = "this-plugin";

/// Writes all files into a folder, and makes the folder.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let failed = || Error::failed(format!("cannot write the WIT into {}", folder.display()));
    fs::create_dir_all(folder).or_error(failed)?;
    for (name, text) in FILES {
        fs::write(folder.join(name), text).or_error(failed)?;
    }
    Ok(())
}

/// What a plugin is built for: what it exports and may import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct World {
    pub(super) name: String,
    /// The world's text, where the package has none that fits.
    text: Option<String>,
}

impl World {
    /// The world of a plugin of these kinds, with everything that a plugin may import. Good for tools that leave out
    /// what is not used.
    pub(super) fn of(kinds: &[Kind]) -> Self {
        if let [kind] = kinds {
            return Self {
                name: format!("{kind}-plugin"),
                text: None,
            };
        }
        let mut text = String::new();
        for kind in kinds {
            let _ = writeln!(text, "    include {kind}-plugin;");
        }
        Self::generated(&text)
    }

    /// The world with those imports alone that the manifest asks for. Good for tools that keep every import, used or not:
    /// what is not granted is not linked, so a plugin that imported all would ask for all.
    pub(super) fn narrow(kinds: &[Kind], permissions: &Permissions) -> Self {
        let mut text = "    import host;\n".to_owned();
        for import in super::component::IMPORTS {
            if (import.asked)(permissions) {
                let _ = writeln!(text, "    import {};", import.interface);
            }
        }
        for kind in kinds {
            let _ = writeln!(text, "    export {kind};");
        }
        Self::generated(&text)
    }

    fn generated(items: &str) -> Self {
        Self {
            name: GENERATED.to_owned(),
            text: Some(format!("world {GENERATED} {{\n{items}}}\n")),
        }
    }

    /// Writes the package with this world into a folder.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write(folder)?;
        if let Some(text) = &self.text {
            let file = folder.join(format!("{GENERATED}.wit"));
            fs::write(&file, text)
                .or_error(|| Error::failed(format!("cannot write {}", file.display())))?;
        }
        Ok(())
    }
}
