//! What the calls do.

use std::collections::BTreeMap;

use codex_guest::types::{
    Batch, Error, GradientSummary, Loss, ModelInfo, Parameter, ScoreRequest, Scores, TrainingPass,
    TrainingSettings,
};
use codex_guest::{pack, sequences, unpack};
use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::pattern;

/// The label of a place that does not count.
const IGNORED: i64 = -100;

/// What a model is made of, as the configuration and `config.json` have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) vocab_size: u32,
    pub(crate) sequence_length: u32,
    pub(crate) order: u32,
    pub(crate) discount: f64,
    pub(crate) bos_token_id: Option<u32>,
    pub(crate) eos_token_id: Option<u32>,
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        let Self {
            vocab_size,
            sequence_length,
            order,
            discount,
            ..
        } = *self;
        if vocab_size == 0 || !(1..=16).contains(&order) {
            return Err(
                Error::config(format!("vocab_size is {vocab_size} and order {order}"))
                    .with_hint("there must be a token, and an order of 1 to 16"),
            );
        }
        if !(discount > 0.0 && discount < 1.0) {
            return Err(Error::config(format!(
                "discount is {discount}, it must lie between 0 and 1"
            )));
        }
        if sequence_length < order {
            return Err(Error::config(format!(
                "sequence_length is {sequence_length}, and n-grams have up to {order} tokens"
            ))
            .with_hint("raise model.sequence_length, or lower model.order"));
        }
        Ok(())
    }
}

/// The component.
#[derive(Debug)]
pub(crate) struct Ngram {
    settings: Settings,
    counts: Counts,
    training: Option<Training>,
    sessions: BTreeMap<u64, Vec<u32>>,
    next_session: u64,
}

/// What was counted since the last optimizer step: this model's gradients.
#[derive(Debug)]
struct Training {
    fresh: Counts,
    loss_scale: f64,
    /// Whether n-grams of each length train, the shortest first.
    trains: Vec<bool>,
}

/// A sequence, and for each of its tokens what is to be predicted there from those before it.
struct Sequence {
    ids: Vec<u32>,
    labels: Vec<Option<u32>>,
}

impl Sequence {
    /// What came before each target, and the target.
    fn targets(&self) -> impl Iterator<Item = (&[u32], u32)> {
        let labelled = self.labels.iter().enumerate().skip(1);
        labelled.filter_map(|(at, label)| Some((&self.ids[..at], (*label)?)))
    }
}

fn name(length: usize) -> String {
    format!("counts.{length}")
}

fn not_begun() -> Error {
    Error::failed("training has not begun")
}

impl Ngram {
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        Ok(Self {
            settings,
            counts: Counts::new(settings.order as usize),
            training: None,
            sessions: BTreeMap::new(),
            next_session: 0,
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes over counts that were saved; what was counted since the last step is gone.
    pub(crate) fn replace(&mut self, counts: Counts) {
        self.counts = counts;
        if let Some(training) = &mut self.training {
            training.fresh = Counts::new(self.settings.order as usize);
        }
    }

    fn lengths(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.settings.order as usize
    }

    fn trains(&self, length: usize) -> bool {
        self.training
            .as_ref()
            .is_none_or(|training| training.trains[length - 1])
    }

    pub(crate) fn info(&self) -> ModelInfo {
        ModelInfo {
            architecture: crate::folder::MODEL_TYPE.to_owned(),
            parameters: self
                .lengths()
                .map(|length| self.counts.distinct(length))
                .sum(),
            vocab_size: self.settings.vocab_size,
            max_sequence_length: self.settings.sequence_length,
            hidden_size: 0,
            tasks: vec!["causal-lm".to_owned()],
            device: "cpu".to_owned(),
            precision: "f64".to_owned(),
        }
    }

    /// One parameter a length: as many numbers as there are different n-grams so far.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let parameter = |length| Parameter {
            name: name(length),
            shape: vec![self.counts.distinct(length)],
            dtype: "u32".to_owned(),
            trainable: self.trains(length),
        };
        self.lengths().map(parameter).collect()
    }

    /// The sequences of a batch, checked.
    fn read(&self, batch: &Batch) -> Result<Vec<Sequence>, Error> {
        let all = sequences(&batch.sequences)?;
        let count: usize = all.iter().map(Vec::len).sum();
        let mut labels = match &batch.labels {
            Some(labels) => Some(unpack::<i64>("labels", labels)?),
            None => None,
        };
        let given = labels.as_ref().map_or(count, ExactSizeIterator::len);
        if given != count {
            return Err(Error::data(format!("{given} labels come with {count} ids")));
        }
        let mut read = Vec::with_capacity(all.len());
        for (number, ids) in all.into_iter().enumerate() {
            self.check(number, &ids, 0)?;
            let labels = match &mut labels {
                None => ids.iter().map(|&id| Some(id)).collect(),
                Some(labels) => labels
                    .take(ids.len())
                    .map(|label| self.label(label))
                    .collect::<Result<_, _>>()?,
            };
            read.push(Sequence { ids, labels });
        }
        Ok(read)
    }

    /// Ids that come behind `read` others must be known, and fit.
    fn check(&self, number: usize, ids: &[u32], read: usize) -> Result<(), Error> {
        let (length, most) = (read + ids.len(), self.settings.sequence_length);
        if length > most as usize {
            return Err(Error::data(format!(
                "sequence {number} has {length} tokens, and the model reads {most} at most"
            ))
            .with_hint("shorten it, or raise model.sequence_length"));
        }
        match ids.iter().find(|&&id| id >= self.settings.vocab_size) {
            Some(id) => Err(self.unknown(i64::from(*id))),
            None => Ok(()),
        }
    }

    fn label(&self, label: i64) -> Result<Option<u32>, Error> {
        match u32::try_from(label) {
            Ok(id) if id < self.settings.vocab_size => Ok(Some(id)),
            _ if label == IGNORED => Ok(None),
            _ => Err(self.unknown(label)),
        }
    }

    fn unknown(&self, id: i64) -> Error {
        let size = self.settings.vocab_size;
        Error::data(format!("id {id} is not in the vocabulary of {size}"))
            .with_hint("use the tokenizer that the model was trained with")
    }

    /// ln p; rounding may lift a sure token above 0.
    fn log_probability(&self, before: &[u32], target: u32) -> f64 {
        let Settings {
            vocab_size,
            discount,
            ..
        } = self.settings;
        let probability = self
            .counts
            .probability(before, target, vocab_size, discount);
        probability.ln().min(0.0)
    }

    fn loss(&self, sequences: &[Sequence]) -> Loss {
        let mut loss = Loss {
            sum: 0.0,
            targets: 0,
        };
        for (before, target) in sequences.iter().flat_map(Sequence::targets) {
            loss.sum -= self.log_probability(before, target);
            loss.targets += 1;
        }
        loss
    }

    pub(crate) fn score(&self, batch: &Batch, request: ScoreRequest) -> Result<Scores, Error> {
        let sequences = self.read(batch)?;
        let loss = self.loss(&sequences);
        let (mut offsets, mut scores, mut ranks) = (vec![0], Vec::new(), Vec::new());
        let mut all = vec![0.0; self.settings.vocab_size as usize];
        let mut targets = 0_u64;
        for sequence in &sequences {
            for (before, target) in sequence.targets() {
                targets += 1;
                if request.contains(ScoreRequest::LOG_PROBABILITIES) {
                    scores.push(self.log_probability(before, target) as f32);
                }
                if request.contains(ScoreRequest::RANKS) {
                    self.counts
                        .distribution(before, self.settings.discount, &mut all);
                    let own = all[target as usize];
                    ranks.push(all.iter().filter(|&&other| other > own).count() as u32);
                }
            }
            offsets.push(targets);
        }
        Ok(Scores {
            target_offsets: pack(offsets),
            log_probabilities: pack(scores),
            ranks: pack(ranks),
            sequence_outputs: Vec::new(),
            loss,
        })
    }

    // Training.

    pub(crate) fn begin_training(&mut self, settings: &TrainingSettings) -> Result<(), Error> {
        if settings.task != "causal-lm" {
            return Err(Error::config(format!(
                "the task is {}, and n-grams can only do causal-lm",
                settings.task
            ))
            .with_hint("set training.task to causal-lm"));
        }
        let names: Vec<String> = self.lengths().map(name).collect();
        for pattern in &settings.freeze {
            if !names.iter().any(|name| pattern::fits(pattern, name)) {
                return Err(Error::config(format!(
                    "no parameter fits the freeze pattern {pattern:?}"
                ))
                .with_hint(format!("the parameters are {}", names.join(", "))));
            }
        }
        let trains = |name: &String| {
            !settings
                .freeze
                .iter()
                .any(|pattern| pattern::fits(pattern, name))
        };
        self.training = Some(Training {
            fresh: Counts::new(self.settings.order as usize),
            loss_scale: 0.0,
            trains: names.iter().map(trains).collect(),
        });
        Ok(())
    }

    pub(crate) fn forward_backward(
        &mut self,
        batch: &Batch,
        pass: &TrainingPass,
    ) -> Result<Loss, Error> {
        let sequences = self.read(batch)?;
        let loss = self.loss(&sequences);
        let training = self.training.as_mut().ok_or_else(not_begun)?;
        for (before, target) in sequences.iter().flat_map(Sequence::targets) {
            training.fresh.add(before, target);
        }
        // All passes of a step have the same scale.
        training.loss_scale = pass.loss_scale;
        Ok(loss)
    }

    pub(crate) fn gradients(&mut self) -> Result<Vec<GradientSummary>, Error> {
        let training = self.training.as_ref().ok_or_else(not_begun)?;
        let summary = |length| GradientSummary {
            name: name(length),
            norm: training.loss_scale * training.fresh.squares(length).sqrt(),
            received: training.fresh.distinct(length) > 0,
        };
        Ok(self
            .lengths()
            .filter(|&length| self.trains(length))
            .map(summary)
            .collect())
    }

    /// Adds what was counted to the model; gives the global norm of the counts, scaled as the loss is.
    pub(crate) fn optimizer_step(&mut self) -> Result<f64, Error> {
        let lengths = self.lengths();
        let training = self.training.as_mut().ok_or_else(not_begun)?;
        let trains = |length: usize| training.trains[length - 1];
        let squares: f64 = lengths
            .filter(|&length| trains(length))
            .map(|length| training.fresh.squares(length))
            .sum();
        self.counts.merge(&training.fresh, trains);
        training.fresh = Counts::new(self.settings.order as usize);
        Ok(training.loss_scale * squares.sqrt())
    }

    // Generation.

    pub(crate) fn open_session(&mut self) -> u64 {
        self.next_session += 1;
        self.sessions.insert(self.next_session, Vec::new());
        self.next_session
    }

    fn session(&mut self, number: u64) -> Result<&mut Vec<u32>, Error> {
        let session = self.sessions.get_mut(&number);
        session.ok_or_else(|| Error::failed(format!("there is no session {number}")))
    }

    /// Logits of the next token, one row a session. Nothing is read when anything is wrong.
    pub(crate) fn extend_sessions(
        &mut self,
        numbers: &[u64],
        parts: &[Vec<u32>],
    ) -> Result<Vec<f32>, Error> {
        if numbers.len() != parts.len() {
            return Err(Error::data(format!(
                "{} sessions come with {} sequences",
                numbers.len(),
                parts.len()
            )));
        }
        for (index, (&number, ids)) in numbers.iter().zip(parts).enumerate() {
            let read = self.session(number)?.len();
            self.check(index, ids, read)?;
            if ids.is_empty() || numbers[..index].contains(&number) {
                return Err(Error::data(format!(
                    "session {number} gets no ids, or is there twice"
                )));
            }
        }
        let mut all = vec![0.0; self.settings.vocab_size as usize];
        let mut logits = Vec::with_capacity(numbers.len() * all.len());
        for (&number, ids) in numbers.iter().zip(parts) {
            self.session(number)?.extend(ids);
            let before = &self.sessions[&number];
            self.counts
                .distribution(before, self.settings.discount, &mut all);
            logits.extend(all.iter().map(|probability| probability.ln() as f32));
        }
        Ok(logits)
    }

    pub(crate) fn truncate_session(&mut self, number: u64, length: u64) -> Result<(), Error> {
        let session = self.session(number)?;
        if length > session.len() as u64 {
            return Err(Error::data(format!(
                "session {number} has {} ids and cannot be cut to {length}",
                session.len()
            )));
        }
        session.truncate(length as usize);
        Ok(())
    }

    pub(crate) fn close_session(&mut self, number: u64) -> Result<(), Error> {
        self.session(number)?;
        self.sessions.remove(&number);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
