//! An author's loop: build, hold against the contract, swap into this process, use; again after every change. [`watch`] sees
//! changes. What is used, and how errors are shown, is the command's own.
//!
//! A component in the sandbox is simply another one. A library is opened from a fresh copy, because a system's loader gives
//! the old one for a file that it has open; the old one is never closed, since threads and thread-locals may outlive every
//! handle. So each swap of a native plugin keeps some memory until the loop ends.

pub(crate) mod watch;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use codex_plugin_api::testing::{Outcome, Report};
use codex_plugin_api::{Context, Error, Kind, Result};
use serde_json::json;
use tempfile::TempDir;

use super::build::{self, Built};
use super::conformance::{self, Inputs};
use super::discover::{Catalog, Plugin, discover};
use super::registry::Registry;
use super::trial;
use crate::app::App;

/// A plugin that is worked on.
pub(crate) struct Workbench<'a> {
    folder: &'a Path,
    /// Whether it is granted all that it asks for.
    grant: bool,
    app: &'a App,
    /// Every copy that was opened, each in a folder of its own.
    copies: TempDir,
    turns: u32,
}

/// A plugin that was built, and how it kept its contract.
pub(crate) struct Turn {
    pub(crate) built: Built,
    pub(crate) plugin: Plugin,
    /// Only the checks that failed, each with its component; none when the contract is kept.
    pub(crate) broken: Vec<String>,
    /// How many checks it passed.
    pub(crate) passed: usize,
    number: u32,
}

impl<'a> Workbench<'a> {
    /// A workbench for the plugin in a folder.
    ///
    /// # Errors
    /// When no temporary folder can be made.
    pub(crate) fn new(folder: &'a Path, grant: bool, app: &'a App) -> Result<Self> {
        let copies = tempfile::Builder::new()
            .prefix("codex-ml-dev-")
            .tempdir()
            .or_error(|| Error::failed("cannot create a temporary folder"))?;
        Ok(Self {
            folder,
            grant,
            app,
            copies,
            turns: 0,
        })
    }

    /// Builds the plugin and holds it against its contract.
    ///
    /// # Errors
    /// What the compiler says, or why it cannot be loaded.
    pub(crate) fn turn(&mut self) -> Result<Turn> {
        self.turns += 1;
        let target = self.copies.path().join(self.turns.to_string());
        fs::create_dir(&target)
            .or_error(|| Error::failed(format!("cannot make the folder {}", target.display())))?;
        let request = build::Request {
            folder: self.folder,
            output: None,
        };
        let built = build::build(request, self.app)?;
        let copy = target.join(built.file.file_name().unwrap_or_default());
        copy_file(&built.file, &copy)?;
        let catalog = conformance::alone(&copy)?;
        let plugin =
            catalog.plugins.first().cloned().ok_or_else(|| {
                Error::failed(format!("{} holds no plugin", built.file.display()))
            })?;
        let registry = self.registry(catalog, &plugin)?;
        let (broken, passed) = checks(&registry, &plugin, self.app)?;
        Ok(Turn {
            built,
            plugin,
            broken,
            passed,
            number: self.turns,
        })
    }

    /// The app in which this turn's plugin stands in the place of any other of its id.
    ///
    /// # Errors
    /// When plugins cannot be looked for, or what it asks for cannot be granted.
    pub(crate) fn swap_in(&self, turn: &Turn) -> Result<App> {
        let mut catalog = discover(&self.app.plugin_dirs, &self.app.folders)?;
        let taken = |other: &Plugin| {
            let entries = &turn.plugin.manifest.components;
            other.id() == turn.plugin.id()
                || entries
                    .iter()
                    .any(|entry| other.manifest.component(entry.kind, &entry.name).is_some())
        };
        for other in catalog.plugins.iter().filter(|other| taken(other)) {
            if other.id() != turn.plugin.id() && turn.number == 1 {
                self.app.output.warn(format!(
                    "{} offers a component of the same name and is left out here",
                    other.title()
                ));
            }
        }
        catalog.plugins.retain(|other| !taken(other));
        catalog.plugins.insert(0, turn.plugin.clone());
        let registry = self.registry(catalog, &turn.plugin)?;
        let app = App::new(
            self.app.output.clone(),
            crate::interrupt::Interrupt::default(),
            self.app.plugin_dirs.clone(),
            self.app.threads,
        );
        Ok(app.with_registry(registry))
    }

    fn registry(&self, catalog: Catalog, plugin: &Plugin) -> Result<Arc<Registry>> {
        if self.grant {
            trial::granting(catalog, plugin, self.app)
        } else {
            Ok(Registry::of(catalog, self.app))
        }
    }
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).or_error(|| {
        Error::failed(format!(
            "cannot copy {} to {}",
            from.display(),
            to.display()
        ))
    })
}

/// The checks that failed, and how many passed. A command is not run here: what it does is the repeated line's to show.
fn checks(registry: &Registry, plugin: &Plugin, app: &App) -> Result<(Vec<String>, usize)> {
    let (mut broken, mut passed) = (Vec::new(), 0);
    for entry in &plugin.manifest.components {
        if app.interrupt.requested() {
            return Err(Error::interrupted());
        }
        // A model of the default size may take minutes to check; its smallest does as well.
        let config = match entry.kind {
            Kind::Model => small_model(registry, &entry.name)?,
            _ => json!({}),
        };
        let inputs = Inputs {
            config: &config,
            arguments: None,
        };
        let report: Report = conformance::check(registry, entry, inputs)?;
        for check in &report.checks {
            match &check.outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(why) => {
                    broken.push(format!(
                        "{} {}: {}: {why}",
                        entry.kind, entry.name, check.name
                    ));
                }
                Outcome::Skipped(_) => {}
            }
        }
    }
    Ok((broken, passed))
}

/// A configuration of a small model, as far as its schema has the usual keys.
fn small_model(registry: &Registry, name: &str) -> Result<serde_json::Value> {
    let schema = registry.schema(Kind::Model, name)?;
    let known = |key: &str| {
        schema
            .get("properties")
            .is_some_and(|keys| keys.get(key).is_some())
    };
    let usual = [
        ("vocab_size", json!(61)),
        ("sequence_length", json!(16)),
        ("hidden_size", json!(16)),
        ("layers", json!(2)),
        ("heads", json!(2)),
    ];
    Ok(usual
        .into_iter()
        .filter(|(key, _)| known(key))
        .map(|(key, value)| (key.to_owned(), value))
        .collect::<serde_json::Map<_, _>>()
        .into())
}
