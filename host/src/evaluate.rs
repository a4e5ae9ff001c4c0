//! Scores a model on held-out rows with any number of metrics.
//!
//! The model scores, the metrics judge; this room decides what is scored together and in which order metrics see it, and
//! neither changes a result from one run to the next. `documents` is for language models, `pairs` for embeddings,
//! `labelled` for classes and values.

mod documents;
mod labelled;
mod metrics;
mod pairs;
mod records;
mod report;
mod scoring;

use codex_plugin_api::{Error, ErrorKind, Metric, Model, Needs, Result, Score, Tokenizer};

use self::metrics::Metrics;
pub use self::report::{NamedScore, Report};
use crate::app::App;
use crate::config::Masking;
use crate::data::{Classes, Corpus};
use crate::task::Task;

/// The floor's name in reports.
pub(crate) const FLOOR: &str = "bits_per_byte_floor";

/// What to evaluate.
pub struct Request<'a> {
    /// The model.
    pub model: &'a mut dyn Model,
    /// Its tokenizer.
    pub tokenizer: &'a dyn Tokenizer,
    /// The metrics by name, fresh ones.
    pub metrics: Vec<(String, Box<dyn Metric>)>,
    /// On what.
    pub corpus: &'a Corpus,
    /// As what.
    pub task: &'a TaskSettings,
    /// Only the first so many rows.
    pub max_samples: Option<u64>,
    /// About how many tokens the model gets at once, where the task leaves that open.
    pub batch_tokens: usize,
}

/// What training and evaluation must agree on, so that their numbers can be compared.
#[derive(Clone, Debug, Default)]
pub struct TaskSettings {
    /// The task.
    pub task: Task,
    /// `masked-lm`: which tokens are hidden.
    pub masking: Masking,
    /// All but `causal-lm`: the longest sequence in tokens; the model's longest when absent.
    pub sequence_length: Option<u32>,
    /// `embedding`: how many pairs compete with each other.
    pub batch_size: u32,
    /// `classification`: the classes.
    pub classes: Classes,
}

/// Evaluates. A metric that fails, or needs what the task does not give, is left out with a warning.
///
/// # Errors
/// [`ErrorKind::Data`] when no row holds any text or an id is beyond the model's vocabulary, [`ErrorKind::Interrupted`],
/// what model, tokenizer and dataset say, and a metric's failure when no metric is left.
pub fn evaluate(request: Request<'_>, app: &App) -> Result<Report> {
    let task = request.task.task;
    let metrics = Metrics::new(request.metrics, task, app)?;
    let mut evaluation = Evaluation {
        longest: longest(request.model, request.task)?,
        model: request.model,
        tokenizer: request.tokenizer,
        metrics,
        settings: request.task,
        max_samples: request.max_samples.unwrap_or(u64::MAX),
        batch_tokens: request.batch_tokens,
        report: Report::default(),
        app,
    };
    match (request.corpus, task) {
        (Corpus::Documents(documents), _) => evaluation.documents(documents)?,
        (Corpus::Records(records), Task::Embedding) => evaluation.pairs(records)?,
        (Corpus::Records(records), _) => evaluation.labelled(records)?,
    }
    Ok(evaluation.report)
}

/// An evaluation at work.
struct Evaluation<'a> {
    model: &'a mut dyn Model,
    tokenizer: &'a dyn Tokenizer,
    metrics: Metrics,
    settings: &'a TaskSettings,
    longest: usize,
    max_samples: u64,
    batch_tokens: usize,
    report: Report,
    app: &'a App,
}

impl Evaluation<'_> {
    fn check_interrupt(&self) -> Result<()> {
        if self.app.interrupt.requested() {
            return Err(Error::interrupted());
        }
        Ok(())
    }
}

/// The longest sequence in tokens. A causal model reads as much as it can.
fn longest(model: &dyn Model, settings: &TaskSettings) -> Result<usize> {
    let longest = model.info()?.max_sequence_length;
    Ok(match (settings.task, settings.sequence_length) {
        (Task::CausalLm, _) | (_, None) => longest as usize,
        (_, Some(length)) => length.min(longest) as usize,
    })
}

/// What evaluating a task can give to metrics.
fn gives(task: Task) -> Needs {
    let texts = Needs {
        texts: true,
        ..Needs::default()
    };
    let scores = Needs {
        log_probabilities: true,
        ranks: true,
        ids: true,
        ..texts
    };
    match task {
        Task::CausalLm | Task::MaskedLm => scores,
        Task::Embedding => Needs {
            labels: true,
            embeddings: true,
            ..scores
        },
        Task::Classification => Needs {
            labels: true,
            ..scores
        },
        Task::Regression => Needs {
            labels: true,
            ..texts
        },
    }
}

impl From<Score> for NamedScore {
    fn from(score: Score) -> Self {
        Self {
            name: score.name,
            value: score.value,
            direction: score.direction,
        }
    }
}

/// A model that does not do what its contract says.
fn broken_model(what: String) -> Error {
    Error::new(ErrorKind::Plugin, what)
        .hint("the model plugin is at fault: `codex-ml plugin list` shows which one it is")
}

#[cfg(test)]
mod tests;
