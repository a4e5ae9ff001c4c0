//! `codex-ml plugin test`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_plugin_api::testing::{Outcome, Report};
use codex_plugin_api::{Error, Kind, Result};
use serde_json::{Value, json};

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::conformance::{Inputs, alone, check};
use crate::plugins::nearest::nearest;
use crate::plugins::trial::granting;
use crate::plugins::{Plugin, Registry};

/// Arguments of `plugin test`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A built plugin, a folder with plugin.toml and one, or the id of a plugin that was found.
    #[arg(value_name = "FILE|ID", value_hint = clap::ValueHint::AnyPath)]
    plugin: PathBuf,
    /// Only the component of this name.
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// The configuration, a JSON object; it should make a small component (a model of two layers, some hundred rows).
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = object)]
    config: Value,
    /// Run commands with these arguments, a JSON object; without them a command is created and not run.
    #[arg(long, value_name = "JSON", value_parser = object)]
    arguments: Option<Value>,
    /// Grant a file or folder in the sandbox all that it asks for, for this test alone.
    #[arg(long)]
    grant: bool,
}

/// A JSON object.
fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("it is JSON, but no object like {\"rows\": 100}".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let registry = registry(args, app)?;
    let plugin = find(&registry, &args.plugin)?;
    let entries: Vec<_> = plugin
        .manifest
        .components
        .iter()
        .filter(|entry| {
            args.component
                .as_ref()
                .is_none_or(|name| *name == entry.name)
        })
        .collect();
    if entries.is_empty() {
        let names: Vec<&str> = plugin
            .manifest
            .components
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        let message = format!(
            "{} has no component {:?}",
            plugin.title(),
            args.component.as_deref().unwrap_or_default()
        );
        return Err(Error::config(message).hint(format!("it has {}", names.join(", "))));
    }
    let inputs = Inputs {
        config: &args.config,
        arguments: args.arguments.as_ref(),
    };
    let mut reports = Vec::with_capacity(entries.len());
    for entry in entries {
        if app.interrupt.requested() {
            return Err(Error::interrupted());
        }
        app.output
            .note(format!("checking {} {}", entry.kind, entry.name));
        reports.push((
            entry.kind,
            entry.name.as_str(),
            check(&registry, entry, inputs)?,
        ));
    }
    let passed = reports.iter().all(|(_, _, report)| report.passed());
    if app.output.is_json() {
        app.output.value(&json!({
            "id": plugin.id(), "version": plugin.manifest.plugin.version, "passed": passed,
            "components": reports.iter().map(component).collect::<Vec<_>>(),
        }))?;
    } else {
        for (kind, name, report) in &reports {
            app.output
                .line(plain(format!("{kind} {name}\n{report}").trim_end()))?;
        }
        app.output.note(summary(&reports));
    }
    Ok(if passed { Exit::Done } else { Exit::Plugin })
}

/// A file stands alone; a plugin that was found may use what was found with it.
fn registry(args: &Args, app: &App) -> Result<Arc<Registry>> {
    let plugin = args.plugin.as_path();
    if !is_path(plugin) {
        return if args.grant {
            Err(Error::config(format!(
                "--grant is for a file or a folder, and {} is the id of an installed plugin",
                plugin.display()
            ))
            .hint(format!("codex-ml plugin grant {} --all", plugin.display())))
        } else {
            app.registry()
        };
    }
    let catalog = alone(plugin)?;
    match catalog.plugins.first().cloned() {
        Some(plugin) if args.grant => granting(catalog, &plugin, app),
        _ => Ok(Registry::of(catalog, app)),
    }
}

/// Whether a word is meant as a path: ids have no dots or slashes.
fn is_path(plugin: &Path) -> bool {
    plugin.exists() || plugin.to_string_lossy().contains(['/', '\\', '.'])
}

fn find<'a>(registry: &'a Registry, plugin: &Path) -> Result<&'a Plugin> {
    if let ([only], true) = (registry.plugins(), is_path(plugin)) {
        return Ok(only);
    }
    let id = plugin.to_string_lossy();
    if let Some(found) = registry.plugins().iter().find(|found| found.id() == id) {
        return Ok(found);
    }
    let refused = registry.refused().iter().find(|stopped| {
        let manifest = stopped.manifest.as_ref();
        manifest.is_some_and(|manifest| manifest.plugin.id == id)
    });
    if let Some(stopped) = refused {
        return Err(stopped.refusal.to_error());
    }
    let error = Error::config(format!("there is no plugin {id:?} and no such file"));
    Err(
        match nearest(&id, registry.plugins().iter().map(Plugin::id)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("codex-ml plugin list shows what there is"),
        },
    )
}

fn component((kind, name, report): &(Kind, &str, Report)) -> Value {
    let checks: Vec<Value> = report
        .checks
        .iter()
        .map(|check| match &check.outcome {
            Outcome::Passed => json!({"name": check.name, "outcome": "passed"}),
            Outcome::Skipped(why) => json!({"name": check.name, "outcome": "skipped", "why": why}),
            Outcome::Failed(why) => json!({"name": check.name, "outcome": "failed", "why": why}),
        })
        .collect();
    json!({"kind": kind, "name": name, "checks": checks})
}

fn summary(reports: &[(Kind, &str, Report)]) -> String {
    let count = |wanted: fn(&Outcome) -> bool| {
        let checks = reports.iter().flat_map(|(_, _, report)| &report.checks);
        checks.filter(|check| wanted(&check.outcome)).count()
    };
    format!(
        "{} checks passed, {} failed, {} skipped",
        count(|outcome| *outcome == Outcome::Passed),
        count(|outcome| matches!(outcome, Outcome::Failed(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped(_)))
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_an_object() {
        assert_eq!(object("{\"rows\": 3}").unwrap(), json!({"rows": 3}));
        assert!(object("[3]").unwrap_err().contains("no object"));
        assert!(object("{rows").unwrap_err().contains("no JSON"));
    }

    #[test]
    fn ids_are_no_paths() {
        for (word, path) in [
            ("metric-lm", false),
            ("metric-lm.wasm", true),
            ("./metric-lm", true),
        ] {
            assert_eq!(is_path(Path::new(word)), path, "{word}");
        }
    }
}
