//! `codex-ml config`: what a run would be told, where each value comes from, and what could be said instead.

use std::path::PathBuf;

use codex_plugin_api::{Kind, Result};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::config::{self, Published};
use crate::exit::Exit;

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print the resolved configuration, each value with its origin.
    Show(Show),
    /// Print the JSON Schema of the configuration, with the keys of the installed plugins.
    Schema,
    /// List the ready-made runs and the files that groups can be picked from.
    List,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// A run file, or the name of a ready-made run.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Settings that override the config; a group's name picks a file of it: model=minilm-small.
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    match &args.action {
        Action::Show(args) => show(args, app)?,
        Action::Schema => app.output.value(&config::merged_schema(&published(app)?))?,
        Action::List => list(app)?,
    }
    Ok(Exit::Done)
}

fn show(args: &Show, app: &App) -> Result<()> {
    let resolved = config::resolve(args.config.as_deref(), &args.settings)?;
    if !app.output.is_json() {
        return app.output.write(&resolved.to_yaml());
    }
    let origins: Map<String, Value> = resolved
        .origins()
        .into_iter()
        .map(|(path, (_, origin))| (path, origin.into()))
        .collect();
    app.output
        .value(&json!({"config": resolved.values(), "origins": origins}))
}

/// The schemas of everything installed; a plugin that cannot be loaded is warned about and left out.
fn published(app: &App) -> Result<Vec<Published>> {
    let registry = app.registry()?;
    let mut published = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Command) {
        for name in registry.names(kind) {
            match registry.schema(kind, name) {
                Ok(schema) => published.push(Published {
                    kind,
                    name: name.to_owned(),
                    schema: schema.clone(),
                }),
                Err(error) => app
                    .output
                    .warn(format!("the schema leaves out {kind} {name}: {error}")),
            }
        }
    }
    Ok(published)
}

fn list(app: &App) -> Result<()> {
    let all = config::list();
    if app.output.is_json() {
        return app.output.value(&all);
    }
    let rows = all.into_iter().map(|listed| {
        let pick = match &listed.group {
            Some(group) => format!("{group}={}", listed.name),
            None => format!("--config {}", listed.name),
        };
        let place = listed
            .path
            .map_or_else(|| "built in".to_owned(), |path| path.display().to_string());
        [pick, listed.description, place]
    });
    app.output.table(["pick", "what it is", "where"], rows)
}
