//! Holds a plugin's components against the contracts of their kinds, whatever runs them: the conformance kit of
//! `codex-plugin-api` on components that the registry creates.

mod completion;

use std::fs;
use std::path::Path;

use codex_plugin_api::manifest::ComponentEntry;
use codex_plugin_api::testing::{self, Check, Outcome, Report};
use codex_plugin_api::{Command, Context, Error, Kind, Result};
use serde_json::Value;

use super::discover::{Catalog, Plugin};
use super::gates;
use super::registry::Registry;
use super::search::{Candidate, MANIFEST, Origin};
pub(crate) use completion::PATIENCE;

/// How the components are made and used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    /// The configuration; it should make a small component.
    pub(crate) config: &'a Value,
    /// What a command is run with; without arguments it is not run.
    pub(crate) arguments: Option<&'a Value>,
}

/// A catalogue of one plugin: a built file, or a folder with `plugin.toml` and one.
///
/// # Errors
/// When there is no such file, or a gate refuses it.
pub(crate) fn alone(path: &Path) -> Result<Catalog> {
    let unreadable = || {
        Error::config(format!("cannot read {}", path.display()))
            .hint("give a built plugin, a folder with plugin.toml and one, or the id of one that is installed")
    };
    let metadata = fs::metadata(path).or_error(unreadable)?;
    if metadata.is_dir() && !path.join(MANIFEST).is_file() {
        return Err(
            Error::config(format!("folder {} holds no {MANIFEST}", path.display()))
                .hint("give a built plugin, or a folder with plugin.toml and one"),
        );
    }
    let candidate = Candidate {
        path: std::path::absolute(path).or_error(unreadable)?,
        is_folder: metadata.is_dir(),
        origin: Origin::Option,
    };
    let passed = gates::examine(&candidate)
        .outcome
        .map_err(|stopped| stopped.refusal.to_error())?;
    Ok(Catalog {
        plugins: vec![Plugin::new(&candidate, passed)],
        ..Catalog::default()
    })
}

/// Runs the checks of a component's kind.
///
/// # Errors
/// When the plugin cannot be loaded: none of its promises can be looked at then. What the component itself does wrong is
/// in the report.
pub(crate) fn check(
    registry: &Registry,
    entry: &ComponentEntry,
    inputs: Inputs<'_>,
) -> Result<Report> {
    let (kind, name) = (entry.kind, entry.name.as_str());
    let schema = registry.schema(kind, name)?.clone();
    registry.check_config(kind, name, inputs.config, "config")?;
    let config = |folder: Option<&str>| with_path(inputs.config, folder);
    let mut report = match kind {
        Kind::Tokenizer => {
            testing::tokenizer(&mut |folder| registry.create_tokenizer(name, &config(folder)))
        }
        Kind::Model => testing::model(&mut |folder| registry.create_model(name, &config(folder))),
        Kind::Dataset => testing::dataset(&mut || registry.create_dataset(name, inputs.config)),
        Kind::Metric => testing::metric(&mut || registry.create_metric(name, inputs.config)),
        Kind::Tracker => testing::tracker(&mut || registry.create_tracker(name, inputs.config)),
        Kind::Sanitizer => {
            testing::sanitizer(&mut || registry.create_sanitizer(name, inputs.config))
        }
        Kind::Adapter => testing::adapter(&mut || registry.create_adapter(name, inputs.config)),
        Kind::Command => command(registry, entry, inputs),
        other => {
            let why = format!("this host has no checks for a {other}");
            Report {
                checks: vec![result("it keeps its contract", Outcome::Skipped(why))],
            }
        }
    };
    report.checks.push(of_schema(&schema));
    Ok(report)
}

/// A command does whatever it likes when it runs, so it only runs when the user says with what. To be asked for values is
/// harmless by contract, so that is always tried.
fn command(registry: &Registry, entry: &ComponentEntry, inputs: Inputs<'_>) -> Report {
    let mut create = || registry.create_command(&entry.name, inputs.config);
    let mut report = match inputs.arguments {
        Some(arguments) => testing::command(&mut create, arguments),
        None => created(create()),
    };
    if let Some(outcome) = completion::check(registry, entry, inputs.config) {
        let name = "it proposes values for the arguments that ask for some";
        report.checks.push(result(name, outcome));
    }
    report
}

/// The report of a command that is not run.
fn created(command: Result<Box<dyn Command>>) -> Report {
    let outcome = match command {
        Ok(_) => Outcome::Passed,
        Err(error) => Outcome::Failed(in_one_line(&error)),
    };
    let not_run = "what to run it with was not given: --arguments JSON".to_owned();
    Report {
        checks: vec![
            result("it is created", outcome),
            result("it runs", Outcome::Skipped(not_run)),
        ],
    }
}

fn in_one_line(error: &Error) -> String {
    let hint = error.hint_text().map(|hint| format!("; {hint}"));
    format!("{error}{}", hint.unwrap_or_default())
}

fn of_schema(schema: &Value) -> Check {
    let outcome = match schema.get("type").and_then(Value::as_str) {
        Some("object") => Outcome::Passed,
        _ => Outcome::Failed(format!(
            "the schema is {schema}: use a struct with named fields"
        )),
    };
    result("the configuration has a schema of an object", outcome)
}

fn result(name: &'static str, outcome: Outcome) -> Check {
    Check { name, outcome }
}

/// The configuration with `path` set, as a run opens a saved folder.
fn with_path(config: &Value, folder: Option<&str>) -> Value {
    let mut config = config.clone();
    if let (Some(folder), Some(keys)) = (folder, config.as_object_mut()) {
        keys.insert("path".to_owned(), folder.into());
    }
    config
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_saved_folder_is_named_beside_the_other_keys() {
        let config = json!({"order": 2});
        assert_eq!(with_path(&config, None), config);
        assert_eq!(
            with_path(&config, Some("/t")),
            json!({"order": 2, "path": "/t"})
        );
    }

    #[test]
    fn a_schema_is_of_an_object() {
        assert_eq!(
            of_schema(&json!({"type": "object"})).outcome,
            Outcome::Passed
        );
        assert!(matches!(
            of_schema(&json!({"type": "string"})).outcome,
            Outcome::Failed(_)
        ));
    }

    #[test]
    fn what_is_no_plugin_is_refused_with_a_mend() {
        let folder = tempfile::tempdir().unwrap();
        let error = alone(&folder.path().join("none.wasm")).unwrap_err();
        assert!(
            error.message().ends_with("none.wasm") && error.hint_text().is_some(),
            "{error}"
        );
        let error = alone(folder.path()).unwrap_err();
        assert!(error.message().ends_with("holds no plugin.toml"), "{error}");
        let file = folder.path().join("notes.txt");
        fs::write(&file, "notes").unwrap();
        let error = alone(&file).unwrap_err();
        assert_eq!(error.kind(), codex_plugin_api::ErrorKind::Plugin, "{error}");
    }
}
