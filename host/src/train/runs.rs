//! What there is to know of a run from its folder alone: `runs list` and `runs show`, and which run to continue.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use codex_plugin_api::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use super::durable::io_error;
use super::events::FILE;
use super::folder::{CHECKPOINTS, CONFIG, MODEL};
use crate::app::App;

/// A run as its folder tells it.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// `finished`, `stopped_early`, `interrupted`, `failed`, or `unfinished` for one that runs or was killed.
    pub status: String,
    /// When it began, in UTC.
    pub started: Option<String>,
    /// The last step on record.
    pub steps: u64,
    /// The last step's training loss.
    pub loss: Option<f64>,
    /// What the last evaluation found.
    pub metrics: Map<String, Value>,
    /// The checkpoints, oldest first.
    pub checkpoints: Vec<String>,
    /// The exported model.
    pub model: Option<PathBuf>,
    /// When its events were last written.
    #[serde(skip)]
    pub modified: Option<SystemTime>,
}

impl Run {
    /// Whether there is nothing left to continue.
    pub fn is_finished(&self) -> bool {
        matches!(self.status.as_str(), "finished" | "stopped_early")
    }
}

/// Every run below a folder, oldest first; none when the folder is not there.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(dir: &Path, app: &App) -> Result<Vec<Run>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| io_error("read", dir, &error))?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| io_error("read", dir, &error))?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.join(CONFIG).is_file() {
            runs.push(read(&path, app)?);
        }
    }
    runs.sort_by(|a, b| (&a.started, &a.name).cmp(&(&b.started, &b.name)));
    Ok(runs)
}

/// One run.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] when it is no run folder, `Failed` when its events cannot be read.
pub fn read(path: &Path, app: &App) -> Result<Run> {
    if !path.join(CONFIG).is_file() {
        return Err(
            Error::config(format!("{} is not a run folder", path.display()))
                .hint("codex-ml runs list shows the runs"),
        );
    }
    let events = path.join(FILE);
    let text = fs::read_to_string(&events).map_err(|error| io_error("read", &events, &error))?;
    let model = path.join(MODEL);
    let mut run = Run {
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        path: path.to_path_buf(),
        status: "unfinished".into(),
        started: None,
        steps: 0,
        loss: None,
        metrics: Map::new(),
        checkpoints: checkpoints(path),
        model: model.is_dir().then_some(model),
        modified: fs::metadata(&events)
            .and_then(|metadata| metadata.modified())
            .ok(),
    };
    for (number, line) in text.lines().enumerate() {
        match serde_json::from_str::<Value>(line) {
            Ok(event) => run.take(&event),
            // The last line of a run that was killed may be cut off.
            Err(error) if text.lines().count() > number + 1 => app.output.warn(format!(
                "{}:{} is no event: {error}",
                events.display(),
                number + 1
            )),
            Err(_) => {}
        }
    }
    Ok(run)
}

impl Run {
    fn take(&mut self, event: &Value) {
        let text = |key: &str| event[key].as_str().map(str::to_owned);
        match event["event"].as_str() {
            Some("run_started") => self.started = text("time"),
            Some("step") => {
                self.steps = event["step"].as_u64().unwrap_or(self.steps);
                self.loss = event["loss"].as_f64();
            }
            Some("evaluation") => {
                if let Value::Object(metrics) = &event["metrics"] {
                    self.metrics.clone_from(metrics);
                }
            }
            Some("run_finished") => {
                if let Some(status) = text("status") {
                    self.status = status;
                }
            }
            _ => {}
        }
    }
}

fn checkpoints(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.join(CHECKPOINTS)).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("step-"))
        .collect();
    names.sort();
    names
}
