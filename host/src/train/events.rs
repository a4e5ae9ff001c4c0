//! `events.ndjson`: every event of a run, one JSON object a line, only ever added to; and the trackers that hear of them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use codex_plugin_api::{Error, Result, RunInfo, Tracker};
use codex_redaction::Sanitizers;
use serde_json::{Map, Value};

use super::clock;
use super::durable::{io_error, probe};
use crate::app::App;
use crate::sanitize::clean_own;

/// The file's name in the run folder.
pub(super) const FILE: &str = "events.ndjson";

/// Trackers hear at least this often, or when this much is waiting.
const WAIT: Duration = Duration::from_secs(1);
const WAITING_BYTES: usize = 1 << 16;

/// The log of one run.
pub(super) struct Events {
    file: File,
    path: PathBuf,
    bytes: u64,
    trackers: Trackers,
    sanitizers: Arc<Sanitizers>,
}

impl Events {
    /// Opens the log and cuts it after `bytes`: what comes later was written by a process that did not live to
    /// record it in a checkpoint.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when the log is shorter than that.
    pub(super) fn open(
        path: &Path,
        bytes: u64,
        trackers: Trackers,
        sanitizers: Arc<Sanitizers>,
    ) -> Result<Self> {
        let failed = |error| io_error("write", path, &error);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if length < bytes {
            return Err(Error::data(format!(
                "{} has {length} bytes, but the checkpoint was written when it had {bytes}",
                path.display()
            ))
            .hint("events were lost: restore the file, or train again"));
        }
        file.set_len(bytes).map_err(failed)?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            bytes,
            trackers,
            sanitizers,
        })
    }

    /// Adds an event. It is in the file when this returns, so that a kill loses nothing.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] naming the file.
    pub(super) fn add(&mut self, event: &str, fields: Value, app: &App) -> Result<()> {
        let mut object = Map::new();
        object.insert("event".into(), event.into());
        object.insert("time".into(), clock::timestamp().into());
        // The trackers hear the same line.
        if let Value::Object(fields) = clean_own(&self.sanitizers, &fields) {
            object.extend(fields);
        }
        let mut line = Value::Object(object).to_string();
        line.push('\n');
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // Half a line would be the next reader's trouble; where even this fails, continuing cuts it off.
            let _ = self.file.set_len(self.bytes);
            return Err(io_error("write", &self.path, &error));
        }
        self.bytes += line.len() as u64;
        probe();
        self.trackers.hear(&line, app);
        Ok(())
    }

    /// How long the log is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes sure that the log is on the disk and the trackers know everything in it.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] naming the file.
    pub(super) fn flush(&mut self, app: &App) -> Result<()> {
        self.trackers.tell(app);
        self.file
            .sync_all()
            .map_err(|error| io_error("write", &self.path, &error))
    }

    /// Flushes, and lets the trackers finish.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub(super) fn finish(mut self, app: &App) -> Result<()> {
        let flushed = self.flush(app);
        self.trackers.finish(app);
        flushed
    }
}

/// The trackers of a run. One that fails is warned about once and hears no more; the run goes on.
#[derive(Default)]
pub(super) struct Trackers {
    active: Vec<(String, Box<dyn Tracker>)>,
    waiting: String,
    told: Option<Instant>,
}

impl Trackers {
    /// Starts the trackers.
    pub(super) fn start(
        trackers: Vec<(String, Box<dyn Tracker>)>,
        run: &RunInfo,
        app: &App,
    ) -> Self {
        let mut started = Self {
            active: trackers,
            ..Self::default()
        };
        started.each(app, |tracker| tracker.start(run));
        started
    }

    fn hear(&mut self, line: &str, app: &App) {
        if self.active.is_empty() {
            return;
        }
        self.waiting.push_str(line);
        let due = self.told.is_none_or(|told| told.elapsed() >= WAIT);
        if due || self.waiting.len() >= WAITING_BYTES {
            self.tell(app);
        }
    }

    fn tell(&mut self, app: &App) {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.each(app, |tracker| tracker.events(&waiting));
        }
        self.told = Some(Instant::now());
    }

    fn finish(&mut self, app: &App) {
        self.each(app, |tracker| tracker.finish());
    }

    fn each(&mut self, app: &App, mut call: impl FnMut(&mut Box<dyn Tracker>) -> Result<()>) {
        self.active
            .retain_mut(|(name, tracker)| match call(tracker) {
                Ok(()) => true,
                Err(error) => {
                    let text =
                        format!("tracker {name} failed and hears no more of this run: {error}");
                    app.output.warn_of(text, &error);
                    false
                }
            });
    }
}
