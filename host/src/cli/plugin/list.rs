//! `codex-ml plugin list`.

use std::path::Path;

use codex_packages::entry::ANY_TARGET;
use codex_plugin_api::{Kind, Manifest, Result};
use serde::Serialize;

use crate::app::App;
use crate::exit::Exit;
use crate::plugins::gates::is_component;
use crate::plugins::{Plugin, Registry};

#[derive(Serialize)]
struct Row<'a> {
    /// Of a refused candidate whose manifest cannot be read: its file name.
    id: String,
    version: Option<String>,
    kinds: Vec<Kind>,
    runtime: &'static str,
    path: &'a Path,
    state: &'static str,
    /// The registry that it came from, and the scope whose lock names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
}

/// What would run a refused candidate, by its name, or by what lies in its folder.
fn runtime_of(path: &Path) -> &'static str {
    let holds = |folder: &Path| {
        let entries = folder.read_dir().ok()?;
        entries.flatten().find(|entry| is_component(&entry.path()))
    };
    // An unpacked package has its component further down.
    let below = path.join("artifacts").join(ANY_TARGET);
    if is_component(path) || holds(path).is_some() || holds(&below).is_some() {
        "wasm"
    } else {
        "native"
    }
}

impl<'a> Row<'a> {
    fn of(plugin: &'a Plugin, state: &'static str) -> Self {
        Self {
            id: plugin.id().to_owned(),
            version: Some(plugin.manifest.plugin.version.to_string()),
            kinds: plugin.kinds(),
            runtime: plugin.runtime(),
            path: &plugin.path,
            state,
            registry: None,
            scope: None,
        }
    }

    fn of_refused(manifest: Option<&Manifest>, path: &'a Path) -> Self {
        let mut kinds: Vec<Kind> = manifest
            .into_iter()
            .flat_map(|manifest| &manifest.components)
            .map(|entry| entry.kind)
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        let file = || {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        Self {
            id: manifest.map_or_else(file, |manifest| manifest.plugin.id.clone()),
            version: manifest.map(|manifest| manifest.plugin.version.to_string()),
            kinds,
            runtime: runtime_of(path),
            path,
            state: "refused",
            registry: None,
            scope: None,
        }
    }
}

/// A row for everything that was found; of each plugin that a lock names, with where it came from.
fn rows(registry: &Registry) -> Vec<Row<'_>> {
    let ready = registry.plugins().iter().map(|one| Row::of(one, "ready"));
    let shadowed = registry.shadowed().iter();
    let shadowed = shadowed.map(|one| Row::of(one, "shadowed"));
    let refused = registry
        .refused()
        .iter()
        .map(|stopped| Row::of_refused(stopped.manifest.as_deref(), &stopped.refusal.path));
    let mut rows: Vec<Row<'_>> = ready.chain(shadowed).chain(refused).collect();
    for row in &mut rows {
        if let Some((origin, locked)) = registry.catalog().locked.get(row.path) {
            row.id.clone_from(&locked.name);
            row.version = Some(locked.version.to_string());
            row.registry = Some(locked.registry.clone());
            row.scope = origin.scope();
        }
    }
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    rows
}

pub(super) fn run(app: &App) -> Result<Exit> {
    let registry = app.registry()?;
    let rows = rows(&registry);
    if app.output.is_json() {
        app.output.value(&rows)?;
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        app.output
            .note("no plugins were found; codex-ml env shows where they are looked for");
        return Ok(Exit::Done);
    }
    let refused = rows.iter().filter(|row| row.state == "refused").count();
    app.output.table(
        ["id", "version", "kinds", "runtime", "state", "from", "path"],
        rows.into_iter().map(|row| {
            let kinds: Vec<&str> = row.kinds.iter().map(|kind| kind.as_str()).collect();
            let version = row.version.unwrap_or_else(|| "?".into());
            [
                row.id,
                version,
                kinds.join(", "),
                row.runtime.into(),
                row.state.into(),
                match (row.registry, row.scope) {
                    (Some(registry), Some(scope)) => format!("{registry} ({scope})"),
                    _ => String::new(),
                },
                row.path.display().to_string(),
            ]
        }),
    )?;
    if refused > 0 {
        app.output.note(format!(
            "{refused} refused: codex-ml plugin doctor says why"
        ));
    }
    Ok(Exit::Done)
}
