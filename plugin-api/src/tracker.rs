//! The tracker kind: receives what happens in a run.

use serde::{Deserialize, Serialize};

use crate::Result;

/// The run that a tracker is to follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The run's name.
    pub name: String,
    /// The run's folder; a tracker with files of its own puts them below it.
    pub folder: String,
    /// Whether the run continues an earlier one: earlier events were already sent.
    pub resumed: bool,
    /// The resolved configuration as JSON.
    pub config: serde_json::Value,
}

/// Receives run events in batches; may fail without hurting the run.
///
/// The host calls from one thread, `start` first and `finish` last, and goes on without the tracker after an error.
/// Events are the lines of the run's `events.ndjson`, which stays the source of truth: a tracker derives from it and
/// must cope with events that it does not know.
///
/// ```
/// use codex_plugin_api::{Result, RunInfo, Tracker};
///
/// #[derive(Default)]
/// struct Count(usize);
///
/// impl Tracker for Count {
///     fn start(&mut self, _run: &RunInfo) -> Result<()> {
///         Ok(())
///     }
///     fn events(&mut self, ndjson: &str) -> Result<()> {
///         self.0 += ndjson.lines().count();
///         Ok(())
///     }
///     fn finish(&mut self) -> Result<()> {
///         Ok(())
///     }
/// }
/// ```
pub trait Tracker: Send {
    /// A run begins or is taken up again.
    ///
    /// # Errors
    /// When the tracker cannot follow this run.
    fn start(&mut self, run: &RunInfo) -> Result<()>;

    /// Some events: one JSON object a line, whole lines only.
    ///
    /// # Errors
    /// When the events cannot be recorded; the host warns once and goes on without this tracker.
    fn events(&mut self, ndjson: &str) -> Result<()>;

    /// The run ended, well or not; everything must be on disk or sent when this returns.
    ///
    /// # Errors
    /// When something could not be recorded.
    fn finish(&mut self) -> Result<()>;
}
