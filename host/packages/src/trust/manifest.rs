//! Whether a package says of itself what was signed of it.

use codex_plugin_api::{Manifest, Result};

use super::decide::refuse;
use crate::entry::Entry;

/// Whether a manifest is the one that an entry was signed for: nobody may claim less there than the code asks for here.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Plugin`] naming what differs.
pub fn check_manifest(entry: &Entry, manifest: &Manifest) -> Result<()> {
    let plugin = &manifest.plugin;
    let components: Vec<_> = manifest
        .components
        .iter()
        .map(|component| (component.kind, component.name.clone()))
        .collect();
    let mut signed = entry.components.clone();
    let mut has = components.clone();
    signed.sort();
    has.sort();
    let differs = if plugin.id != entry.name {
        Some(format!("its id is {}", plugin.id))
    } else if plugin.version != entry.version {
        Some(format!("its version is {}", plugin.version))
    } else if plugin.api != entry.api {
        Some(format!(
            "it works with plugin API {}, not {}",
            plugin.api, entry.api
        ))
    } else if has != signed {
        Some("it offers other components".into())
    } else if manifest.permissions != entry.permissions {
        Some("it asks for other permissions".into())
    } else if manifest.dependencies != entry.dependencies {
        Some("it needs other plugins".into())
    } else {
        None
    };
    match differs {
        None => Ok(()),
        Some(what) => Err(refuse(
            format!(
                "the manifest of {} {} is not what was signed: {what}",
                entry.name, entry.version
            ),
            "tell its author: the package was put together wrongly, or on purpose",
        )),
    }
}
