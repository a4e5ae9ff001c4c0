//! Texts, or pairs of texts, with a class or a value: what the model predicts beside what is right.

use codex_plugin_api::{Ids, Result, Samples, ScoreRequest, TextBuffer, TokenBatch};

use super::records::{Encoded, RecordReader};
use super::{Evaluation, broken_model};
use crate::data::{Label, Records, Template};
use crate::task::Task;

/// Records that are held, sorted by length and scored before metrics see them.
const HELD: usize = 1024;

/// What the model says of some records.
#[derive(Default)]
struct Predicted {
    values: Vec<f32>,
    log_probabilities: Vec<f32>,
    ranks: Vec<u32>,
}

/// One sequence of a batch.
struct Sequence {
    ids: Vec<u32>,
    token_types: Vec<u32>,
    label: f32,
}

impl Evaluation<'_> {
    pub(super) fn labelled(&mut self, records: &Records) -> Result<()> {
        let template = Template::of(self.tokenizer)?;
        template.check(records.text_columns().len(), self.longest)?;
        let mut reader = RecordReader::new(records, self.tokenizer, self.max_samples);
        let bar = self.app.output.bar(
            reader.rows(),
            "evaluating {wide_bar} {human_pos}/{human_len} texts, {eta} left",
        );
        loop {
            let held = reader.read(HELD)?;
            if held.is_empty() {
                break;
            }
            let sequences = held
                .iter()
                .map(|record| self.sequence(&template, record))
                .collect::<Result<Vec<_>>>()?;
            let predicted = self.predict(&sequences)?;
            self.feed(&held, &sequences, &predicted)?;
            bar.inc(held.len() as u64);
        }
        bar.finish_and_clear();
        if self.report.samples == 0 {
            return Err(reader.nothing());
        }
        self.report.metrics = self.metrics.compute(self.app)?;
        Ok(())
    }

    fn sequence(&self, template: &Template, record: &Encoded) -> Result<Sequence> {
        let (mut ids, mut token_types) = (Vec::new(), Vec::new());
        match record.texts.as_slice() {
            [first, second] => {
                template.pair([first, second], self.longest, &mut ids, &mut token_types);
            }
            texts => template.single(&texts[0], self.longest, &mut ids),
        }
        let label = match &record.record.label {
            Label::Class(name) => self.settings.classes.number(name)? as f32,
            Label::Value(value) => *value,
            Label::None => 0.0,
        };
        Ok(Sequence {
            ids,
            token_types,
            label,
        })
    }

    /// Scores sequences of like length together; gives the results in their order.
    fn predict(&mut self, sequences: &[Sequence]) -> Result<Predicted> {
        let needs = self.metrics.needs();
        let classes = self.settings.task == Task::Classification;
        let request = ScoreRequest {
            log_probabilities: classes && needs.log_probabilities,
            ranks: classes && needs.ranks,
            sequence_outputs: needs.labels,
        };
        let count = sequences.len();
        let mut predicted = Predicted::default();
        if request.sequence_outputs {
            predicted.values = vec![f32::NAN; count];
        }
        if request.log_probabilities {
            predicted.log_probabilities = vec![f32::NAN; count];
        }
        if request.ranks {
            predicted.ranks = vec![0; count];
        }
        // A stable sort, so that every run makes the same batches.
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(sequences[at].ids.len()));
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            self.check_interrupt()?;
            let mut tokens = 0;
            let fitting = rest.iter().take_while(|&&at| {
                tokens += sequences[at].ids.len();
                tokens <= self.batch_tokens
            });
            let (batch, after) = rest.split_at(fitting.count().max(1));
            self.predict_batch(sequences, batch, request, &mut predicted)?;
            rest = after;
        }
        Ok(predicted)
    }

    fn predict_batch(
        &mut self,
        sequences: &[Sequence],
        batch: &[usize],
        request: ScoreRequest,
        predicted: &mut Predicted,
    ) -> Result<()> {
        let (mut ids, mut offsets) = (Vec::new(), vec![0]);
        let (mut token_types, mut labels) = (Vec::new(), Vec::new());
        for &at in batch {
            ids.extend_from_slice(&sequences[at].ids);
            token_types.extend_from_slice(&sequences[at].token_types);
            offsets.push(ids.len() as u64);
            labels.push(sequences[at].label);
        }
        let tokens = TokenBatch {
            token_types: (!token_types.is_empty()).then_some(&token_types),
            sequence_labels: Some(&labels),
            ..TokenBatch::new(Ids::new(&ids, &offsets)?)
        };
        let scores = self.model.score(&tokens, request)?;
        let check = |name: &str, asked: bool, found: usize| {
            if asked && found != batch.len() {
                Err(broken_model(format!(
                    "the model gave {found} {name} for {} texts",
                    batch.len()
                )))
            } else {
                Ok(())
            }
        };
        let (log_probabilities, ranks) = (&scores.log_probabilities, &scores.ranks);
        check(
            "log probabilities",
            request.log_probabilities,
            log_probabilities.len(),
        )?;
        check("ranks", request.ranks, ranks.len())?;
        let outputs = &scores.sequence_outputs;
        let width = outputs.len() / batch.len();
        if request.sequence_outputs && (width == 0 || outputs.len() != width * batch.len()) {
            return Err(broken_model(format!(
                "the model gave {} outputs for {} texts",
                outputs.len(),
                batch.len()
            )));
        }
        for (row, &at) in batch.iter().enumerate() {
            if request.log_probabilities {
                predicted.log_probabilities[at] = log_probabilities[row];
            }
            if request.ranks {
                predicted.ranks[at] = ranks[row];
            }
            if request.sequence_outputs {
                let outputs = &outputs[row * width..(row + 1) * width];
                predicted.values[at] = match self.settings.task {
                    Task::Classification => highest(outputs) as f32,
                    _ => outputs[0],
                };
            }
        }
        Ok(())
    }

    fn feed(
        &mut self,
        held: &[Encoded],
        sequences: &[Sequence],
        predicted: &Predicted,
    ) -> Result<()> {
        let needs = self.metrics.needs();
        let mut labels: Vec<f32> = sequences.iter().map(|sequence| sequence.label).collect();
        // The one target of a text is its class.
        let scored = !predicted.log_probabilities.is_empty() || !predicted.ranks.is_empty();
        let (targets, target_offsets): (Vec<u32>, Vec<u64>) = if scored {
            (
                labels.iter().map(|&label| label as u32).collect(),
                (0..=labels.len() as u64).collect(),
            )
        } else {
            (Vec::new(), Vec::new())
        };
        let texts: TextBuffer = if needs.texts {
            held.iter()
                .map(|record| record.record.texts.join("\n"))
                .collect()
        } else {
            TextBuffer::new()
        };
        if !needs.labels {
            labels.clear();
        }
        for (record, sequence) in held.iter().zip(sequences) {
            self.report.bytes += record.bytes();
            self.report.tokens += sequence.ids.len() as u64;
        }
        self.report.samples += held.len() as u64;
        let samples = Samples {
            count: held.len(),
            targets: Ids::new(&targets, &target_offsets)?,
            log_probabilities: &predicted.log_probabilities,
            ranks: &predicted.ranks,
            texts: texts.as_texts(),
            labels: &labels,
            predicted_labels: &predicted.values,
            ..Samples::default()
        };
        self.metrics.update(&samples, self.app)
    }
}

/// The place of the highest output, the first of several.
fn highest(outputs: &[f32]) -> usize {
    let mut best = 0;
    for (at, output) in outputs.iter().enumerate() {
        if *output > outputs[best] {
            best = at;
        }
    }
    best
}
