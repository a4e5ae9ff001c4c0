//! `codex-ml plugin info`.

use codex_plugin_api::{Error, Result};
use serde_json::{Value, json};

use super::{grant, limit};
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::grants::limit::in_force;
use crate::plugins::grants::{Grants, command_line, requests};
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
    let grants = plugin.is_sandboxed().then(|| decisions(app));
    let locked = registry.catalog().locked.get(&plugin.path);
    if app.output.is_json() {
        let schemas: Vec<Value> = schemas
            .iter()
            .map(
                |(entry, schema)| json!({"kind": entry.kind, "name": entry.name, "schema": schema}),
            )
            .collect();
        let mut value = json!({
            "id": plugin.id(), "version": plugin.manifest.plugin.version, "path": plugin.path, "library": plugin.library,
            "sha256": sha256, "runtime": plugin.runtime(), "origin": plugin.origin, "build": plugin.build, "manifest": plugin.manifest,
        });
        if let Some((origin, locked)) = &locked {
            value["registry"] =
                json!({"name": locked.registry, "url": locked.url, "key": locked.key});
            value["scope"] = json!(origin.scope());
        }
        if let Some(grants) = &grants {
            value["grant"] = grant::decision(plugin, grants);
            value["limits"] = json!(in_force(plugin, grants));
        }
        if args.config {
            value["schemas"] = schemas.into();
        }
        app.output.value(&value)?;
        return Ok(Exit::Done);
    }
    let source = locked.map(|(origin, locked)| {
        let scope = origin.scope().unwrap_or_default();
        format!(
            "{} ({}), by the {scope}'s lock, signed with key {}",
            locked.registry, locked.url, locked.key
        )
    });
    app.output
        .line(text(plugin, &sha256, source, grants.as_ref()))?;
    for (entry, schema) in schemas {
        app.output
            .line(keys(&format!("{} {}", entry.kind, entry.name), schema))?;
    }
    Ok(Exit::Done)
}

/// The user's decisions; without a file that can be trusted nothing is granted, and the rest can be shown all the same.
fn decisions(app: &App) -> Grants {
    let grants = Grants::open(app.folders.data.as_deref());
    if let Some(problem) = grants.problem() {
        let hint = problem.hint_text().unwrap_or_default();
        app.output.warn(format!("{problem}; {hint}"));
    }
    grants
}

pub(super) fn find<'a>(registry: &'a Registry, id: &str) -> Result<&'a Plugin> {
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

fn text(plugin: &Plugin, sha256: &str, source: Option<String>, grants: Option<&Grants>) -> String {
    let about = &plugin.manifest.plugin;
    let mut lines = vec![format!("{}: {}", plugin.title(), about.description)];
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:9} {value}"));
        }
    };
    row("path", plugin.library.display().to_string());
    row("sha256", sha256.to_owned());
    row("registry", source.unwrap_or_default());
    let build = &plugin.build;
    row(
        "built",
        if plugin.is_sandboxed() {
            format!("for plugin API {}", build.api_version)
        } else {
            format!(
                "with plugin API {}, {}, for {}",
                build.api_version, build.rustc, build.target
            )
        },
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
    let may = grants.map_or_else(|| authority(plugin), |grants| granted(plugin, grants));
    lines.extend(may.into_iter().map(|line| format!("  {line}")));
    if let Some(grants) = grants {
        lines.push("limits".to_owned());
        lines.extend(in_force(plugin, grants).iter().map(|limit| {
            let origin = limit::origin(limit, &plugin.manifest);
            format!("  {:14}  {:8}  {origin}", limit.key, limit.value)
        }));
    }
    plain(&lines.join("\n"))
}

/// What a sandboxed plugin can touch: what it asks for, and what became of it.
fn granted(plugin: &Plugin, grants: &Grants) -> Vec<String> {
    let mut lines = vec![SANDBOXED.to_owned()];
    lines.extend(grant::lines_of(plugin, grants));
    let standing = grants.standing(plugin);
    if let Some(remark) = grant::remark(&standing) {
        lines.push(remark.to_owned());
        lines.push(command_line(&plugin.manifest));
    }
    lines
}

const SANDBOXED: &str = "compute in a sandbox, and nothing else that you do not grant";

/// What the plugin can touch, one line each: what a user should read before installing it.
pub(super) fn authority(plugin: &Plugin) -> Vec<String> {
    if plugin.is_sandboxed() {
        let mut lines = vec![format!("it may {SANDBOXED}")];
        let requests = requests(&plugin.manifest);
        lines.extend(
            requests
                .iter()
                .map(|request| match request.reason.as_str() {
                    "" => format!("it asks to {}", request.what),
                    reason => format!("it asks to {}: {reason}", request.what),
                }),
        );
        if !requests.is_empty() {
            lines.push(format!("decide: codex-ml plugin grant {}", plugin.id()));
        }
        return lines;
    }
    let mut lines = vec!["native code: it runs with your full authority".to_owned()];
    lines.extend(
        plugin
            .manifest
            .permissions
            .lines()
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
