//! Scores a model on documents with any number of metrics.
//!
//! Every document is scored whole: each of its tokens once, the end-of-text token included, the first one from the token
//! that begins a text. The model scores, the metrics judge; this room decides what is scored together and in which order
//! metrics see it, and neither changes a result from one run to the next.

mod metrics;
mod report;
mod scoring;

use codex_plugin_api::{
    Direction, Error, ErrorKind, Ids, Metric, Model, Result, Samples, Score, ScoreRequest,
    TextBuffer, Tokenizer,
};

use self::metrics::Metrics;
pub use self::report::{NamedScore, Report};
use self::scoring::Scorer;
use crate::app::App;
use crate::data::{Document, DocumentReader, Documents, Framed, Framing, encode_documents};

/// Text that is held, sorted by length and scored before metrics see it.
const BUFFER_BYTES: u64 = 1 << 20;

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
    pub documents: &'a Documents,
    /// Only the first so many documents.
    pub max_documents: Option<u64>,
    /// About how many tokens the model gets at once.
    pub batch_tokens: usize,
}

/// Evaluates. A metric that fails, or needs what scoring texts does not give, is left out with a warning.
///
/// # Errors
/// [`ErrorKind::Data`] when no document holds text or an id is beyond the model's vocabulary, [`ErrorKind::Interrupted`],
/// what model, tokenizer and dataset say, and a metric's failure when no metric is left.
pub fn evaluate(request: Request<'_>, app: &App) -> Result<Report> {
    let Request {
        model,
        tokenizer,
        metrics,
        documents,
        max_documents,
        batch_tokens,
    } = request;
    let framing = Framing::of(&tokenizer.vocabulary()?.special);
    let mut metrics = Metrics::new(metrics, app)?;
    let needs = metrics.needs();
    let score_request = ScoreRequest {
        log_probabilities: needs.log_probabilities,
        ranks: needs.ranks,
        sequence_outputs: false,
    };
    let mut scorer = Scorer::new(model, score_request, batch_tokens)?;
    let mut floor = Floor::default();
    let mut report = Report::default();

    let total = max_documents.unwrap_or(u64::MAX).min(documents.len());
    let bar = app.output.bar(
        total,
        "evaluating {wide_bar} {human_pos}/{human_len} documents, {eta} left",
    );
    let mut reader = DocumentReader::new(documents, max_documents, BUFFER_BYTES);
    while let Some(mut buffer) = reader.read()? {
        let read = buffer.len() as u64;
        buffer.retain(|document| !document.text.is_empty());
        if !buffer.is_empty() {
            let framed = encode_documents(tokenizer, framing, &buffer)?;
            let scored = scorer.score(&framed, || {
                if app.interrupt.requested() {
                    return Err(Error::interrupted());
                }
                Ok(())
            })?;
            for document in &buffer {
                report.bytes += document.text.len() as u64;
                floor.add(document);
            }
            report.samples += buffer.len() as u64;
            report.tokens += scored.targets.len() as u64;
            feed(&mut metrics, &buffer, &framed, &scored, app)?;
        }
        bar.inc(read);
    }
    bar.finish_and_clear();
    if report.samples == 0 {
        return Err(Error::data(format!(
            "none of the {total} documents holds any text in column {:?}",
            documents.column()
        ))
        .hint("`codex-ml data inspect` shows the columns and the first rows"));
    }
    report.metrics = metrics.compute(app)?;
    floor.insert(&mut report);
    Ok(report)
}

fn feed(
    metrics: &mut Metrics,
    buffer: &[Document],
    framed: &Framed,
    scored: &scoring::Scored,
    app: &App,
) -> Result<()> {
    debug_assert_eq!(framed.offsets.len(), scored.target_offsets.len());
    let byte_lengths: Vec<u64> = buffer
        .iter()
        .map(|document| document.text.len() as u64)
        .collect();
    let texts: TextBuffer = if metrics.needs().texts {
        buffer.iter().map(|document| &document.text).collect()
    } else {
        TextBuffer::new()
    };
    metrics.update(
        &Samples {
            count: buffer.len(),
            byte_lengths: &byte_lengths,
            targets: Ids::new(&scored.targets, &scored.target_offsets)?,
            log_probabilities: &scored.log_probabilities,
            ranks: &scored.ranks,
            texts: texts.as_texts(),
            ..Samples::default()
        },
        app,
    )
}

/// The entropy floor: what the process that made the texts would itself score.
#[derive(Debug, Default)]
struct Floor {
    nats: f64,
    bytes: u64,
    unknown: bool,
}

impl Floor {
    fn add(&mut self, document: &Document) {
        match document.log_probability {
            Some(value) => self.nats -= value,
            None => self.unknown = true,
        }
        self.bytes += document.text.len() as u64;
    }

    /// Puts the floor behind the bits per byte that it belongs to.
    fn insert(&self, report: &mut Report) {
        if self.unknown || self.bytes == 0 {
            return;
        }
        let scores = &mut report.metrics;
        let at = scores
            .iter()
            .position(|score| score.name == "bits_per_byte")
            .map_or(scores.len(), |at| at + 1);
        scores.insert(
            at,
            NamedScore {
                name: FLOOR.to_owned(),
                value: self.nats / std::f64::consts::LN_2 / self.bytes as f64,
                direction: Direction::Lower,
            },
        );
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
