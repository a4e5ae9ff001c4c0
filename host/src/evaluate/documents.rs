//! Documents, for language models. Every token of a document is scored once.
//!
//! A causal model predicts every token, the end-of-text token included, the first one from the token that begins a text.
//! A masked one predicts the tokens that are hidden from it, which are always the same: they depend on the document's
//! place and on nothing else.

use codex_plugin_api::{Direction, Error, Ids, Result, Samples, ScoreRequest, TextBuffer};

use super::scoring::{Scored, Scorer};
use super::{Evaluation, FLOOR, NamedScore, Report};
use crate::data::{Document, DocumentReader, Documents, Framed, Framing, Masker, encode_documents};
use crate::task::Task;

/// Text that is held, sorted by length and scored before metrics see it.
const BUFFER_BYTES: u64 = 1 << 20;

/// Which tokens are hidden does not depend on the run, so that runs can be compared.
const MASKING_SEED: u64 = 0;

impl Evaluation<'_> {
    pub(super) fn documents(&mut self, documents: &Documents) -> Result<()> {
        let vocabulary = self.tokenizer.vocabulary()?;
        let (framing, masker) = match self.settings.task {
            Task::MaskedLm => (
                Framing::of_encoder(&vocabulary.special),
                Some(Masker::new(
                    self.settings.masking,
                    &vocabulary,
                    MASKING_SEED,
                )?),
            ),
            _ => (Framing::of(&vocabulary.special), None),
        };
        let needs = self.metrics.needs();
        let request = ScoreRequest {
            log_probabilities: needs.log_probabilities,
            ranks: needs.ranks,
            sequence_outputs: false,
        };
        let mut scorer = Scorer::new(self.model, request, self.batch_tokens, self.longest)?;
        let mut floor = Floor::default();

        let total = self.max_samples.min(documents.len());
        let bar = self.app.output.bar(
            total,
            "evaluating {wide_bar} {human_pos}/{human_len} documents, {eta} left",
        );
        let interrupt = &self.app.interrupt;
        let between = || {
            if interrupt.requested() {
                Err(Error::interrupted())
            } else {
                Ok(())
            }
        };
        let mut reader = DocumentReader::new(documents, Some(self.max_samples), BUFFER_BYTES);
        let mut place = 0;
        while let Some(buffer) = reader.read()? {
            let read = buffer.len() as u64;
            let (places, buffer): (Vec<u64>, Vec<Document>) = (place..)
                .zip(buffer)
                .filter(|(_, document)| !document.text.is_empty())
                .unzip();
            place += read;
            if !buffer.is_empty() {
                let mut framed = encode_documents(self.tokenizer, framing, &buffer)?;
                let labels = masker
                    .as_ref()
                    .map(|masker| hide(masker, &places, &mut framed));
                let scored = scorer.score(&framed, labels.as_deref(), between)?;
                for document in &buffer {
                    self.report.bytes += document.text.len() as u64;
                    floor.add(document);
                }
                self.report.samples += buffer.len() as u64;
                self.report.tokens += scored.targets.len() as u64;
                // The hidden tokens' losses are not those of the whole text, so there is nothing to divide by its bytes.
                let byte_lengths: Vec<u64> = match labels {
                    Some(_) => Vec::new(),
                    None => buffer
                        .iter()
                        .map(|document| document.text.len() as u64)
                        .collect(),
                };
                let texts: TextBuffer = if needs.texts {
                    buffer.iter().map(|document| &document.text).collect()
                } else {
                    TextBuffer::new()
                };
                let Scored {
                    targets,
                    target_offsets,
                    log_probabilities,
                    ranks,
                } = &scored;
                let samples = Samples {
                    count: buffer.len(),
                    byte_lengths: &byte_lengths,
                    targets: Ids::new(targets, target_offsets)?,
                    log_probabilities,
                    ranks,
                    texts: texts.as_texts(),
                    ..Samples::default()
                };
                self.metrics.update(&samples, self.app)?;
            }
            bar.inc(read);
        }
        bar.finish_and_clear();
        if self.report.samples == 0 {
            return Err(Error::data(format!(
                "none of the {total} documents holds any text in column {:?}",
                documents.column()
            ))
            .hint("`codex-ml data inspect` shows the columns and the first rows"));
        }
        self.report.metrics = self.metrics.compute(self.app)?;
        if masker.is_none() {
            floor.insert(&mut self.report);
        }
        Ok(())
    }
}

/// Hides tokens of every document; gives one label an id.
fn hide(masker: &Masker, places: &[u64], framed: &mut Framed) -> Vec<i64> {
    let mut labels = Vec::with_capacity(framed.ids.len());
    for (&place, range) in places.iter().zip(framed.offsets.windows(2)) {
        let ids = &mut framed.ids[range[0] as usize..range[1] as usize];
        labels.extend(masker.mask(place, ids, false).0);
    }
    labels
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
