//! `codex-ml runs`: what the run folders tell.

use std::path::PathBuf;

use codex_plugin_api::Result;
use serde_json::Value;

use crate::app::App;
use crate::exit::Exit;
use crate::train;
use crate::train::runs::{self, Run};

/// Arguments of `runs`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that holds the runs.
    #[arg(long, global = true, default_value = "runs", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the runs, oldest first.
    List,
    /// Show one run: status, scores, checkpoints.
    Show {
        /// The run's name or folder.
        run: String,
    },
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    match &args.action {
        Action::List => list(&runs::list(&args.dir, app)?, app)?,
        Action::Show { run } => {
            let folder = train::find(&args.dir, Some(run), app)?;
            show(&runs::read(&folder, app)?, app)?;
        }
    }
    Ok(Exit::Done)
}

fn list(runs: &[Run], app: &App) -> Result<()> {
    if app.output.is_json() {
        return app.output.value(&runs);
    }
    let rows = runs.iter().map(|run| {
        [
            run.name.clone(),
            run.status.clone(),
            run.started.clone().unwrap_or_default(),
            run.steps.to_string(),
            score(run, "loss"),
            score(run, "bits_per_byte"),
        ]
    });
    let headers = [
        "run",
        "status",
        "started",
        "steps",
        "validation loss",
        "bits per byte",
    ];
    app.output.table(headers, rows)
}

fn show(run: &Run, app: &App) -> Result<()> {
    if app.output.is_json() {
        return app.output.value(run);
    }
    let mut rows = vec![
        ["run".to_owned(), run.name.clone()],
        ["folder".to_owned(), run.path.display().to_string()],
        ["status".to_owned(), run.status.clone()],
        [
            "started".to_owned(),
            run.started.clone().unwrap_or_default(),
        ],
        ["steps".to_owned(), run.steps.to_string()],
    ];
    if let Some(loss) = run.loss {
        rows.push(["training loss".to_owned(), format!("{loss:.4}")]);
    }
    for name in run.metrics.keys() {
        rows.push([name.clone(), score(run, name)]);
    }
    rows.push(["checkpoints".to_owned(), run.checkpoints.join(" ")]);
    let model = run.model.as_ref().map(|model| model.display().to_string());
    rows.push([
        "model".to_owned(),
        model.unwrap_or_else(|| "not exported".to_owned()),
    ]);
    app.output.table(["", ""], rows)
}

fn score(run: &Run, name: &str) -> String {
    let value = run.metrics.get(name).and_then(Value::as_f64);
    value.map_or_else(String::new, |value| format!("{value:.4}"))
}
