//! `codex-ml plugin info`.

use codex_plugin_api::{Error, Result};
use serde_json::{Value, json};

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::nearest::nearest;
use crate::plugins::{Plugin, Registry};

/// Arguments of `plugin info`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugin's id.
    id: String,
    /// Show the configuration keys of its components too; this loads the plugin.
    #[arg(long)]
    config: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let registry = app.registry()?;
    let plugin = find(&registry, &args.id)?;
    let sha256 = plugin.digest()?;
    let mut schemas = Vec::new();
    if args.config {
        for entry in &plugin.manifest.components {
            schemas.push((entry, registry.schema(entry.kind, &entry.name)?));
        }
    }
    if app.output.is_json() {
        let schemas: Vec<Value> = schemas
            .iter()
            .map(
                |(entry, schema)| json!({"kind": entry.kind, "name": entry.name, "schema": schema}),
            )
            .collect();
        let mut value = json!({
            "id": plugin.id(), "version": plugin.manifest.plugin.version, "path": plugin.path, "library": plugin.library,
            "sha256": sha256, "runtime": "native", "origin": plugin.origin, "build": plugin.build, "manifest": plugin.manifest,
        });
        if args.config {
            value["schemas"] = schemas.into();
        }
        app.output.value(&value)?;
        return Ok(Exit::Done);
    }
    app.output.line(text(plugin, &sha256))?;
    for (entry, schema) in schemas {
        app.output
            .line(keys(&format!("{} {}", entry.kind, entry.name), schema))?;
    }
    Ok(Exit::Done)
}

fn find<'a>(registry: &'a Registry, id: &str) -> Result<&'a Plugin> {
    if let Some(plugin) = registry.plugins().iter().find(|plugin| plugin.id() == id) {
        return Ok(plugin);
    }
    let mut refused = registry.refused().iter();
    if let Some(stopped) = refused.find(|stopped| {
        stopped
            .manifest
            .as_ref()
            .is_some_and(|manifest| manifest.plugin.id == id)
    }) {
        return Err(stopped.refusal.to_error());
    }
    let error = Error::config(format!("there is no plugin {id:?}"));
    Err(
        match nearest(id, registry.plugins().iter().map(Plugin::id)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("codex-ml plugin list shows what there is"),
        },
    )
}

fn text(plugin: &Plugin, sha256: &str) -> String {
    let about = &plugin.manifest.plugin;
    let mut lines = vec![format!("{}: {}", plugin.title(), about.description)];
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:9} {value}"));
        }
    };
    row("path", plugin.library.display().to_string());
    row("sha256", sha256.to_owned());
    row(
        "built",
        format!(
            "with plugin API {}, {}, for {}",
            plugin.build.api_version, plugin.build.rustc, plugin.build.target
        ),
    );
    row("authors", about.authors.join(", "));
    row("licence", about.license.clone().unwrap_or_default());
    row("homepage", about.homepage.clone().unwrap_or_default());
    lines.push("offers".to_owned());
    lines.extend(plugin.manifest.components.iter().map(|entry| {
        let line = format!("  {} {}  {}", entry.kind, entry.name, entry.description);
        line.trim_end().to_owned()
    }));
    lines.push("may".to_owned());
    lines.extend(
        authority(plugin)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    plain(&lines.join("\n"))
}

/// What the plugin can touch, one line each: what a user should read before installing it.
pub(super) fn authority(plugin: &Plugin) -> Vec<String> {
    let mut lines = vec!["native code: it runs with your full authority".to_owned()];
    let asked = plugin.manifest.permissions.lines();
    lines.extend(
        asked
            .into_iter()
            .map(|(what, why)| format!("it says that it will {what}: {why}")),
    );
    lines
}

/// The keys of a component's configuration, from its schema's first level.
fn keys(component: &str, schema: &Value) -> String {
    let Some(properties) = schema
        .get("properties")
        .and_then(Value::as_object)
        .filter(|all| !all.is_empty())
    else {
        return format!("{component} has no configuration");
    };
    let mut lines = vec![format!("configuration of {component}")];
    for (key, property) in properties {
        let default = property
            .get("default")
            .map(|default| format!(" = {default}"))
            .unwrap_or_default();
        let help = property
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        lines.push(format!("  {key}{default}"));
        let help = help.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.extend(help.map(|line| format!("      {line}")));
    }
    plain(&lines.join("\n"))
}
