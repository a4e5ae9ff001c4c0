//! Trains: from a configuration to a run folder with events, checkpoints and an exported model.
//!
//! [`start`] begins a run, [`resume`] takes one up again; both end in the same loop (`training_loop`), which reads from
//! top to bottom. Rows come from [`crate::data`], scores from [`crate::evaluate`], tensors stay in the model plugin.

mod adapter;
mod checkpoint;
mod clock;
mod components;
mod durable;
mod environment;
mod events;
mod examples;
mod export;
mod first_step;
mod folder;
mod model_card;
mod progress;
mod report;
pub mod runs;
mod schedule;
mod setup;
mod training_loop;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_plugin_api::{Error, ErrorKind, Result, RunInfo};
use codex_redaction::Format;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub use components::Components;
pub use folder::find;
pub use schedule::Schedule;

use self::checkpoint::{Scores, State};
use self::durable::write_file;
use self::events::{Events, Trackers};
use self::folder::{CONFIG, Draft, ENVIRONMENT, RunFolder, TOKENIZER};
use self::setup::{Setup, TokenizerSource};
use self::training_loop::{End, Loop};
use crate::app::App;
use crate::config::{self, Resolved};
use crate::sanitize::clean_own;
use crate::task::Task;

/// The key in `environment.json` for the settings whose values were redacted in `config.yaml`.
const REDACTED: &str = "redacted_settings";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All steps were made.
    Finished,
    /// The validation loss no longer fell; the best checkpoint was exported.
    StoppedEarly,
    /// The user asked to stop; the run can be continued.
    Interrupted,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The run's name.
    pub run: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What was learned.
    pub task: Task,
    /// How it ended.
    pub status: Status,
    /// Steps made in all.
    pub steps: u64,
    /// What the evaluation of the exported model found; empty without held-out documents.
    pub scores: Vec<(String, Option<f64>)>,
    /// The exported model; `None` when the run was interrupted.
    pub model: Option<PathBuf>,
}

impl Outcome {
    /// The scores as one JSON object.
    pub fn metrics(&self) -> Map<String, Value> {
        self.scores
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect()
    }
}

/// Begins a run.
///
/// # Errors
/// Before anything is written: the configuration's, the data's and the plugins' errors. Later also what the disk says,
/// and what the loop finds wrong with the training itself.
pub fn start(resolved: Resolved, components: &dyn Components, app: &App) -> Result<Outcome> {
    let draft = Draft::new(&resolved.config)?;
    let saved_tokenizer = draft.path().join(TOKENIZER);
    let source = TokenizerSource::Configured {
        save_to: &saved_tokenizer,
    };
    let setup = Setup::new(resolved, source, components, app)?;
    let (config, redacted) = setup
        .resolved
        .to_yaml_with(|values| clean_own(&setup.sanitizers, values));
    write_file(&draft.path().join(CONFIG), config.as_bytes())?;
    let mut environment = environment::describe(&setup, components, app);
    if !redacted.is_empty() {
        environment[REDACTED] = json!(redacted);
    }
    let environment = pretty(&clean_own(&setup.sanitizers, &environment))?;
    write_file(&draft.path().join(ENVIRONMENT), &environment)?;
    write_file(&draft.path().join(events::FILE), b"")?;
    let folder = draft.publish()?;
    report::begins(&setup, &folder, app);
    run(setup, &folder, State::default(), false, components, app)
}

/// Takes up a run in the folder `path` where its last good checkpoint stands. `now` is the configuration that the user
/// gave with it, if any: it must be the run's own.
///
/// # Errors
/// [`ErrorKind::Config`] when the run is finished, is being trained by another process, or has another configuration;
/// [`ErrorKind::Data`] when its data, tokenizer or checkpoints are not what they were.
pub fn resume(
    path: &Path,
    now: Option<&Resolved>,
    overrides: &[String],
    components: &dyn Components,
    app: &App,
) -> Result<Outcome> {
    let folder = RunFolder::open(path)?;
    let resolved = stored_config(&folder, now, overrides)?;
    let so_far = runs::read(path, app)?;
    if so_far.is_finished() {
        return Err(
            Error::config(format!("the run {} is finished", folder.name())).hint(format!(
                "to train its model further, start a run with model.path={}",
                folder.model().display()
            )),
        );
    }
    let saved_tokenizer = folder.path().join(TOKENIZER);
    let source = TokenizerSource::Saved(&saved_tokenizer);
    let mut setup = Setup::new(resolved, source, components, app)?;
    same_environment(&folder, &setup, app)?;
    let state = restore(&folder, &mut setup, app)?;
    app.output.note(format!(
        "continuing {} after step {} of {}",
        folder.name(),
        state.step,
        setup.steps
    ));
    run(setup, &folder, state, true, components, app)
}

/// The run's own configuration, which what the user gave must not contradict. What was redacted in it must be given again,
/// and must be what the run began with.
fn stored_config(
    folder: &RunFolder,
    now: Option<&Resolved>,
    overrides: &[String],
) -> Result<Resolved> {
    let file = folder.path().join(CONFIG);
    let stored = config::resolve_stored(&file, &[])?;
    let now = match now {
        Some(now) => now,
        None => &config::resolve_stored(&file, overrides)?,
    };
    let begun = read_environment(folder)?;
    let redacted: Vec<String> = begun
        .get(REDACTED)
        .and_then(|paths| serde_json::from_value(paths.clone()).ok())
        .unwrap_or_default();
    let stored = stored.with_values_of(now, &redacted)?;
    let differences = stored.differences(now);
    if !redacted.is_empty() && begun["config_hash"] != json!(stored.hash()) {
        return Err(Error::config(format!(
            "the run {} was begun with values that its configuration does not hold, for they were redacted: {}",
            folder.name(),
            redacted.join(", ")
        ))
        .hint(format!(
            "give them as they were: --resume {} {}=VALUE",
            folder.path().display(),
            redacted.join("=VALUE ")
        )));
    }
    if differences.is_empty() {
        return Ok(stored);
    }
    Err(Error::config(format!(
        "the run {} was begun with another configuration: {}",
        folder.name(),
        differences.join("; ")
    ))
    .hint("continue it without these settings, or start another run with them"))
}

/// What the run wrote down about how it began.
fn read_environment(folder: &RunFolder) -> Result<Value> {
    let path = folder.path().join(ENVIRONMENT);
    std::fs::read(&path)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .ok_or_else(|| Error::data(format!("{} is missing or damaged", path.display())))
}

/// Data and tokenizer must be those that the run began with.
fn same_environment(folder: &RunFolder, setup: &Setup, app: &App) -> Result<()> {
    let stored = read_environment(folder)?;
    for (key, what) in [
        ("train_fingerprint", "the training documents"),
        ("validation_fingerprint", "the held-out documents"),
        ("tokenizer_fingerprint", "the tokenizer"),
        ("steps", "the number of steps"),
        ("base_fingerprint", "the model that the adapter is for"),
    ] {
        let (before, now) = (&stored["data"][key], &setup.data[key]);
        if before != now {
            return Err(Error::data(format!(
                "{what} changed since the run {} began: {before} then, {now} now",
                folder.name()
            ))
            .hint("restore what was changed, or start another run"));
        }
    }
    if stored["threads"] != json!(app.threads) {
        app.output.warn(format!(
            "the run began with {} threads and goes on with {}: results may differ in the last digits",
            stored["threads"], app.threads
        ));
    }
    Ok(())
}

/// Loads the newest checkpoint that is whole; without any the run begins again.
fn restore(folder: &RunFolder, setup: &mut Setup, app: &App) -> Result<State> {
    let mut checkpoints = checkpoint::list(&folder.checkpoints())?;
    let mut first_error: Option<Error> = None;
    while let Some((step, path)) = checkpoints.pop() {
        match checkpoint::verify(&path) {
            Ok(state) => {
                setup.model.import_state(&checkpoint::path_text(&path)?)?;
                return Ok(state);
            }
            Err(error) => {
                let fallback = checkpoints.last().map(|(step, _)| *step);
                if let Some(earlier) = fallback {
                    app.output.warn(format!(
                        "checkpoint {step} is bad ({error}); going back to step {earlier}"
                    ));
                    // It must not be counted among the newest ones from here on.
                    checkpoint::reject(&path)?;
                }
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        None => Ok(State::default()),
        Some(error) => Err(Error::data(format!(
            "no checkpoint of {} is good: {error}",
            folder.name()
        ))
        .hint("restore the file from a copy, or train again")),
    }
}

fn run(
    mut setup: Setup,
    folder: &RunFolder,
    mut state: State,
    resumed: bool,
    components: &dyn Components,
    app: &App,
) -> Result<Outcome> {
    let info = RunInfo {
        name: setup.sanitizers.clean_log(&folder.name(), Format::Plain),
        folder: checkpoint::path_text(folder.path())?,
        resumed,
        config: clean_own(
            &setup.sanitizers,
            &Value::Object(setup.resolved.values().clone()),
        ),
    };
    let trackers = Trackers::start(std::mem::take(&mut setup.trackers), &info, app);
    let sanitizers = Arc::clone(&setup.sanitizers);
    let mut events = Events::open(&folder.events(), state.events_bytes, trackers, sanitizers)?;
    let ended = train(&mut setup, folder, &mut events, &mut state, components, app);
    let (status, word) = match &ended {
        Ok(status) => (Some(*status), json!(status)),
        Err(_) => (None, json!("failed")),
    };
    let mut event = json!({"status": word, "steps": state.step});
    match (&ended, status) {
        (Err(error), _) => event["error"] = json!(error.message()),
        (_, Some(Status::Interrupted)) => {}
        _ => event["model"] = json!(folder::MODEL),
    }
    // What went wrong first is what the user must hear; that a full disk takes no more events is the same trouble.
    let told = events.add("run_finished", event, app);
    let closed = events.finish(app);
    let status = ended?;
    told.and(closed)?;
    Ok(Outcome {
        run: folder.name(),
        folder: folder.path().to_path_buf(),
        task: setup.task.task,
        status,
        steps: state.step,
        scores: state.scores,
        model: (status != Status::Interrupted).then(|| folder.model()),
    })
}

/// The loop, and the export of what it made.
fn train(
    setup: &mut Setup,
    folder: &RunFolder,
    events: &mut Events,
    state: &mut State,
    components: &dyn Components,
    app: &App,
) -> Result<Status> {
    if events.bytes() == 0 {
        let event = json!({"name": folder.name(), "seed": setup.resolved.config.seed, "config_hash": setup.resolved.hash()});
        events.add("run_started", event, app)?;
        if !setup.sanitized.is_null() {
            events.add("sanitized", setup.sanitized.clone(), app)?;
        }
    }
    let end = Loop {
        setup: &mut *setup,
        folder,
        events: &mut *events,
        state: &mut *state,
        components,
        app,
    }
    .run()?;
    let status = match end {
        End::Interrupted => return Ok(Status::Interrupted),
        End::Finished => Status::Finished,
        End::StoppedEarly => Status::StoppedEarly,
    };
    let step = take_best(setup, folder, state)?;
    export::export(setup, folder, step, &state.scores, &components.in_use())?;
    Ok(status)
}

/// With early stopping, the model that is exported is the best one that was met. Gives the step that made its weights.
fn take_best(setup: &mut Setup, folder: &RunFolder, state: &mut State) -> Result<u64> {
    if setup.resolved.config.training.early_stopping.is_none() {
        return Ok(state.step);
    }
    let Some(best) = state.best.first().filter(|best| best.step != state.step) else {
        return Ok(state.step);
    };
    let path = folder.checkpoints().join(checkpoint::name(best.step));
    checkpoint::verify(&path)?;
    setup.model.import_state(&checkpoint::path_text(&path)?)?;
    state.scores = best.scores.clone();
    Ok(best.step)
}

/// Tells the user how the run ended, and what to type next.
///
/// # Errors
/// When standard output is closed.
pub fn tell(outcome: &Outcome, app: &App) -> Result<()> {
    report::ended(outcome, app)
}

fn pretty(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value)
        .map_err(|error| Error::new(ErrorKind::Failed, "cannot write JSON").because(&error))
}

/// A score by its name.
fn score(scores: &Scores, name: &str) -> Option<f64> {
    let found = scores.iter().find(|(known, _)| known == name);
    found.and_then(|(_, value)| *value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
