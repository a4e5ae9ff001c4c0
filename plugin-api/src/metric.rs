//! The metric kind: named scores from what a model predicted.

use serde::{Deserialize, Serialize};

use crate::{Error, Ids, Result, Texts};

/// What a metric wants to see; the host computes nothing that no metric asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// Natural-log probability of every target token.
    pub log_probabilities: bool,
    /// Rank of every target token among the vocabulary (0: the model's first choice).
    pub ranks: bool,
    /// Ids of the target tokens.
    pub ids: bool,
    /// The texts that were scored, and their length in bytes.
    pub texts: bool,
    /// What the model generated or predicted as text, beside a reference.
    pub predictions: bool,
    /// One label and one predicted label (or value) a sample.
    pub labels: bool,
    /// One embedding a sample.
    pub embeddings: bool,
}

/// What one call of [`Metric::update`] sees: `n` samples. A part that was not asked for, or does not exist for the
/// task, is empty. A metric that needs what its task does not give is left out with a warning.
///
/// | task | a sample is | targets, with their log-probabilities and ranks | labels, predicted labels | embeddings |
/// |---|---|---|---|---|
/// | `causal-lm` | a document | all of its tokens, the end included | | |
/// | `masked-lm` | a document | its hidden tokens | | |
/// | `embedding` | a text | of a pair's first text one: its second, among those of the batch | the number of its pair | one |
/// | `classification` | a text, or two joined by a line break | one: the right class | class numbers | |
/// | `regression` | a text, or two joined by a line break | | values | |
///
/// For `embedding` the texts of a pair follow each other: the anchor, its positive, and where there is one a text that
/// does not belong to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Samples<'a> {
    /// How many samples this call holds.
    pub count: usize,
    /// `n` lengths of the samples' texts in bytes, where the targets stand for the whole text (`causal-lm`): what nats are
    /// divided by to compare tokenizers.
    pub byte_lengths: &'a [u64],
    /// `n` sequences of target ids; its offsets also divide `log_probabilities` and `ranks`.
    pub targets: Ids<'a>,
    /// Natural-log probability of every target.
    pub log_probabilities: &'a [f32],
    /// Number of vocabulary entries that the model found more likely than the target.
    pub ranks: &'a [u32],
    /// `n` texts.
    pub texts: Texts<'a>,
    /// `n` generated texts.
    pub predictions: Texts<'a>,
    /// `n` reference texts.
    pub references: Texts<'a>,
    /// `n` true labels: class numbers, values, or numbers of pairs.
    pub labels: &'a [f32],
    /// `n` predicted labels.
    pub predicted_labels: &'a [f32],
    /// `n · dimensions` values, row-major.
    pub embeddings: &'a [f32],
    /// Width of an embedding.
    pub dimensions: u32,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A higher score is better.
    Higher,
    /// A lower score is better.
    Lower,
}

/// One named result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// `snake_case`, unique within the metric.
    pub name: String,
    /// The value; NaN when there was nothing to compute it from.
    pub value: f64,
    /// Which way is better.
    pub direction: Direction,
}

impl Score {
    /// A score that is better when higher.
    pub fn higher(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value,
            direction: Direction::Higher,
        }
    }

    /// A score that is better when lower.
    pub fn lower(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value,
            direction: Direction::Lower,
        }
    }
}

/// Accumulates over samples, then gives named scores.
///
/// The host creates one instance an evaluation and calls it from one thread. Splitting the samples among several
/// instances and merging their states must give the same scores as one instance that saw them all (up to rounding):
/// that is what makes evaluation parallel and resumable. The crate's front page has a whole metric.
pub trait Metric: Send {
    /// What the metric wants to see; the same at every call.
    fn needs(&self) -> Needs;

    /// Takes some samples into account.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when the samples make no sense for this metric.
    fn update(&mut self, samples: &Samples<'_>) -> Result<()>;

    /// Everything accumulated so far, in the metric's own format.
    ///
    /// # Errors
    /// When the state cannot be written down.
    fn state(&self) -> Result<Vec<u8>>;

    /// Adds another instance's state to this one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when the bytes are not a state of this metric.
    fn merge(&mut self, state: &[u8]) -> Result<()>;

    /// The scores of all samples seen. Without any sample the values are NaN or a neutral value, never an error.
    ///
    /// # Errors
    /// When the scores cannot be computed.
    fn compute(&self) -> Result<Vec<Score>>;
}

/// Reads a metric state that consists of `N` little-endian `u64` counters.
///
/// # Errors
/// [`crate::ErrorKind::Data`] when `state` is not exactly `8 · N` bytes long.
pub fn counters<const N: usize>(state: &[u8]) -> Result<[u64; N]> {
    let (chunks, rest) = state.as_chunks::<8>();
    if chunks.len() != N || !rest.is_empty() {
        return Err(Error::data(format!(
            "a metric state of {} bytes where {} are due",
            state.len(),
            8 * N
        )));
    }
    let mut values = [0; N];
    for (value, chunk) in values.iter_mut().zip(chunks) {
        *value = u64::from_le_bytes(*chunk);
    }
    Ok(values)
}
