//! What a batch asks the network to learn or to be measured by, task by task: which tokens, which pairs, which labels.

use codex_nn::in_batch_negatives::Options;
use codex_nn::linear_cross_entropy::IGNORE;
use codex_plugin_api::{Error, IGNORE_LABEL, Result, TokenBatch};

use super::batch::Packed;
use crate::config::NetworkConfig;
use crate::config::task::Task;
use crate::heads::{self, Truth};

/// The targets of a batch, checked.
pub(super) enum Targets {
    /// The id that each token's row predicts, or [`IGNORE`].
    Tokens(Vec<i32>),
    /// Anchors, positives and perhaps negatives, in this many equal parts.
    Parts(usize),
    /// A class for each sequence.
    Classes(Vec<i32>),
    /// A value for each sequence.
    Values(Vec<f32>),
    /// Sequences whose labels are not known.
    Unknown,
}

impl Targets {
    /// The targets of `batch` for the task that the network is for.
    pub(super) fn new(
        config: &NetworkConfig,
        packed: &Packed<'_>,
        batch: &TokenBatch<'_>,
    ) -> Result<Self> {
        let task = config.head.task;
        if batch.sequence_labels.is_some() && !task.is_for_sequences() {
            return Err(Error::unsupported(format!(
                "a batch with a label for each sequence in {}",
                task.word()
            )));
        }
        match task {
            Task::CausalLm => next_ids(config, packed, batch).map(Self::Tokens),
            Task::MaskedLm => masked_ids(config, batch).map(Self::Tokens),
            Task::Embedding => parts(packed, batch).map(Self::Parts),
            Task::Classification | Task::Regression => sequence_labels(config, packed, batch),
        }
    }

    /// The targets as the head takes them.
    pub(super) fn for_head<'a>(&'a self, options: &'a Options) -> heads::Targets<'a> {
        match self {
            Self::Tokens(targets) => heads::Targets::Tokens(targets),
            Self::Parts(parts) => heads::Targets::Parts(*parts, options),
            Self::Classes(classes) => heads::Targets::Sequences(Truth::Classes(classes)),
            Self::Values(values) => heads::Targets::Sequences(Truth::Values(values)),
            Self::Unknown => heads::Targets::Sequences(Truth::Unknown),
        }
    }

    /// How many targets there are.
    pub(super) fn count(&self, packed: &Packed<'_>) -> u64 {
        self.offsets(packed).last().copied().unwrap_or(0)
    }

    /// How many targets lie before each sequence, and in all.
    pub(super) fn offsets(&self, packed: &Packed<'_>) -> Vec<u64> {
        let sequences = packed.sequences();
        let anchors = match self {
            Self::Parts(parts) => sequences.count() / parts,
            _ => 0,
        };
        let mut offsets = vec![0];
        let mut count = 0;
        for (index, range) in sequences.ranges().enumerate() {
            count += match self {
                Self::Tokens(targets) => targets[range]
                    .iter()
                    .filter(|&&target| target != IGNORE)
                    .count() as u64,
                Self::Parts(_) => u64::from(index < anchors),
                Self::Classes(_) | Self::Values(_) => 1,
                Self::Unknown => 0,
            };
            offsets.push(count);
        }
        offsets
    }
}

/// What each row of a causal model predicts: the next id of its sequence, or that id's label.
fn next_ids(
    config: &NetworkConfig,
    packed: &Packed<'_>,
    batch: &TokenBatch<'_>,
) -> Result<Vec<i32>> {
    let mut targets = vec![IGNORE; packed.ids().len()];
    for range in packed.sequences().ranges() {
        for row in range.start..range.end.saturating_sub(1) {
            targets[row] = match batch.labels {
                None => packed.ids()[row + 1] as i32,
                Some(labels) => label(config, labels[row + 1], row + 1)?,
            };
        }
    }
    Ok(targets)
}

/// What each row of a masked model predicts: its own label.
fn masked_ids(config: &NetworkConfig, batch: &TokenBatch<'_>) -> Result<Vec<i32>> {
    let labels = batch.labels.ok_or_else(|| {
        Error::data("a batch for masked-lm has no labels").hint(
            "labels say which tokens were masked, and what they were; elsewhere they are -100",
        )
    })?;
    labels
        .iter()
        .enumerate()
        .map(|(at, &one)| label(config, one, at))
        .collect()
}

fn label(config: &NetworkConfig, label: i64, at: usize) -> Result<i32> {
    match label {
        IGNORE_LABEL => Ok(IGNORE),
        0.. if (label as u64) < config.vocab_size as u64 => Ok(label as i32),
        _ => Err(Error::data(format!(
            "label {label} at token {at} of the batch is beyond the vocabulary of {}",
            config.vocab_size
        ))
        .hint(format!(
            "labels are ids, or {IGNORE_LABEL} where nothing is to be predicted"
        ))),
    }
}

/// In how many parts the sequences of an embedding batch come.
fn parts(packed: &Packed<'_>, batch: &TokenBatch<'_>) -> Result<usize> {
    match batch.parts {
        parts @ 2..=3 => Ok(parts as usize),
        parts => Err(Error::data(format!(
            "a batch for embedding has its {} sequences in {} parts, expected 2 or 3",
            packed.sequences().count(),
            parts.max(1)
        ))
        .hint("embeddings learn from anchors, then positives, then perhaps hard negatives")),
    }
}

fn sequence_labels(
    config: &NetworkConfig,
    packed: &Packed<'_>,
    batch: &TokenBatch<'_>,
) -> Result<Targets> {
    if let Some(index) = packed
        .sequences()
        .ranges()
        .position(|range| range.is_empty())
    {
        return Err(Error::data(format!(
            "sequence {index} of the batch has no token to read a label from"
        ))
        .hint("leave empty texts out"));
    }
    let Some(labels) = batch.sequence_labels else {
        return Ok(Targets::Unknown);
    };
    let known = config.head.labels.len();
    if config.head.task == Task::Regression {
        if known != 1 {
            return Err(Error::unsupported(format!(
                "a batch with one value for each sequence in a regression of {known} values"
            )));
        }
        return match labels.iter().position(|value| !value.is_finite()) {
            None => Ok(Targets::Values(labels.to_vec())),
            Some(index) => Err(Error::data(format!(
                "the value of sequence {index} of the batch is {}",
                labels[index]
            ))
            .hint("a value to learn has to be a finite number")),
        };
    }
    let classes = labels.iter().enumerate().map(|(index, &label)| {
        if label.fract() == 0.0 && label >= 0.0 && (label as usize) < known {
            return Ok(label as i32);
        }
        Err(Error::data(format!(
            "the label of sequence {index} of the batch is {label}, but the model knows the classes 0 to {}",
            known - 1
        ))
        .hint("set model.labels to the number of classes"))
    });
    classes.collect::<Result<_>>().map(Targets::Classes)
}
