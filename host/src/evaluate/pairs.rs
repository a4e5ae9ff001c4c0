//! Pairs and triplets of texts, for embeddings. The loss is that of training: each anchor must find its positive among
//! those of its batch. Batches are always the same, and all of one size: the last one is filled up with records that were
//! judged before, which are not judged again. Every text's embedding goes to the metrics as well.

use codex_plugin_api::{Error, Ids, Result, Samples, ScoreRequest, TextBuffer, TokenBatch};

use super::records::{Encoded, RecordReader};
use super::{Evaluation, broken_model};
use crate::data::{Records, Template};

impl Evaluation<'_> {
    pub(super) fn pairs(&mut self, records: &Records) -> Result<()> {
        let template = Template::of(self.tokenizer)?;
        template.check(1, self.longest)?;
        let size = self.settings.batch_size.max(2) as usize;
        let mut reader = RecordReader::new(records, self.tokenizer, self.max_samples);
        let bar = self.app.output.bar(
            reader.rows(),
            "evaluating {wide_bar} {human_pos}/{human_len} pairs, {eta} left",
        );
        let mut batch: Vec<Encoded> = Vec::new();
        loop {
            self.check_interrupt()?;
            let fresh = reader.read(size)?;
            if fresh.is_empty() {
                break;
            }
            let kept = (size - fresh.len()).min(batch.len());
            batch.drain(..batch.len() - kept);
            let count = fresh.len();
            batch.extend(fresh);
            self.judge(&template, &batch, kept)?;
            bar.inc(count as u64);
        }
        bar.finish_and_clear();
        if self.report.samples == 0 {
            return Err(reader.nothing());
        }
        self.report.metrics = self.metrics.compute(self.app)?;
        Ok(())
    }

    /// Scores a batch and hands all but its first `kept` records to the metrics.
    fn judge(&mut self, template: &Template, batch: &[Encoded], kept: usize) -> Result<()> {
        let (count, fresh) = (batch.len(), batch.len() - kept);
        let parts = batch[0].texts.len();
        let (mut ids, mut offsets) = (Vec::new(), vec![0]);
        for part in 0..parts {
            for record in batch {
                template.single(&record.texts[part], self.longest, &mut ids);
                offsets.push(ids.len() as u64);
            }
        }
        let sequences = Ids::new(&ids, &offsets)?;
        let needs = self.metrics.needs();
        let mut targets = Vec::new();
        let mut target_offsets = Vec::new();
        let (mut log_probabilities, mut ranks) = (Vec::new(), Vec::new());
        if needs.log_probabilities || needs.ranks {
            let tokens = TokenBatch {
                parts: parts as u32,
                ..TokenBatch::new(sequences)
            };
            let request = ScoreRequest {
                log_probabilities: needs.log_probabilities,
                ranks: needs.ranks,
                sequence_outputs: false,
            };
            let mut scores = self.model.score(&tokens, request)?;
            for (name, asked, found) in [
                (
                    "log probabilities",
                    needs.log_probabilities,
                    scores.log_probabilities.len(),
                ),
                ("ranks", needs.ranks, scores.ranks.len()),
            ] {
                if asked && found != count {
                    return Err(broken_model(format!(
                        "the model gave {found} {name} for {count} pairs"
                    )));
                }
            }
            let fresh_of = |length: usize| kept.min(length);
            log_probabilities = scores
                .log_probabilities
                .split_off(fresh_of(scores.log_probabilities.len()));
            ranks = scores.ranks.split_off(fresh_of(scores.ranks.len()));
            // Only a pair's first text has a target: the place of its second among the batch's.
            targets = (kept as u32..count as u32).collect();
            target_offsets.push(0);
            for pair in 0..fresh as u64 {
                target_offsets.extend(std::iter::repeat_n(pair + 1, parts));
            }
        }
        let (embeddings, dimensions) = if needs.embeddings {
            self.embeddings(sequences, parts, kept)?
        } else {
            (Vec::new(), 0)
        };
        let first = self.report.samples;
        let labels: Vec<f32> = (0..fresh as u64)
            .flat_map(|pair| std::iter::repeat_n((first + pair) as f32, parts))
            .collect();
        let fresh_records = &batch[kept..];
        let texts: TextBuffer = if needs.texts {
            fresh_records
                .iter()
                .flat_map(|record| &record.record.texts)
                .collect()
        } else {
            TextBuffer::new()
        };
        for record in fresh_records {
            self.report.bytes += record.bytes();
        }
        self.report.samples += fresh as u64;
        self.report.tokens += (0..parts)
            .flat_map(|part| (kept..count).map(move |at| part * count + at))
            .map(|at| offsets[at + 1] - offsets[at])
            .sum::<u64>();
        let samples = Samples {
            count: fresh * parts,
            targets: Ids::new(&targets, &target_offsets)?,
            log_probabilities: &log_probabilities,
            ranks: &ranks,
            texts: texts.as_texts(),
            labels: if needs.labels { &labels } else { &[] },
            embeddings: &embeddings,
            dimensions,
            ..Samples::default()
        };
        self.metrics.update(&samples, self.app)
    }

    /// The embeddings of all texts but those of the first `kept` records, record by record, and their width.
    fn embeddings(
        &mut self,
        sequences: Ids<'_>,
        parts: usize,
        kept: usize,
    ) -> Result<(Vec<f32>, u32)> {
        let all = self
            .model
            .embed(sequences)
            .map_err(|error: Error| error.context("the model gives no embeddings"))?;
        let count = sequences.len() / parts;
        let width = all.len() / sequences.len();
        if width == 0 || !all.len().is_multiple_of(sequences.len()) {
            return Err(broken_model(format!(
                "the model gave {} values as the embeddings of {} texts",
                all.len(),
                sequences.len()
            )));
        }
        let mut embeddings = Vec::with_capacity(all.len());
        for at in kept..count {
            for part in 0..parts {
                let row = part * count + at;
                embeddings.extend_from_slice(&all[row * width..(row + 1) * width]);
            }
        }
        Ok((embeddings, width as u32))
    }
}
