//! Tries an author's own plugin with everything granted that it asks for: what is granted lasts as long as the registry
//! and touches nothing that the user decided.

use std::sync::Arc;

use codex_plugin_api::{Context, Error, Result};

use super::discover::{Catalog, Plugin};
use super::grants::{Choice, Grants};
use super::load;
use super::registry::Registry;
use crate::app::App;
use crate::folders::Folders;

/// The registry of a catalogue in which one plugin is granted all that its manifest asks for. A folder that it asks for is the
/// folder of that path here.
///
/// # Errors
/// When a folder that it asks for is not there, or the decision cannot be written.
pub(crate) fn granting(catalog: Catalog, plugin: &Plugin, app: &App) -> Result<Arc<Registry>> {
    let data = tempfile::Builder::new()
        .prefix("codex-ml-trial-")
        .tempdir()
        .or_error(|| Error::failed("cannot create a temporary folder"))?;
    let everything = Choice {
        all: true,
        ..Choice::default()
    };
    if plugin.is_sandboxed() && !super::grants::requests(&plugin.manifest).is_empty() {
        Grants::decide(data.path(), plugin, |before| {
            everything.grant(&plugin.manifest, before, &app.folders)
        })?;
    }
    let own = Folders {
        data: Some(data.path().to_owned()),
        ..app.folders.clone()
    };
    let (id, others) = (plugin.id().to_owned(), app.folders.clone());
    let open = move |plugin: &Plugin| {
        // The folder must be there as long as the registry may open the plugin.
        let _kept = &data;
        let folders = if plugin.id() == id { &own } else { &others };
        load::open_granting(plugin, folders, &others)
    };
    Ok(Registry::with(catalog, app, Box::new(open)))
}
