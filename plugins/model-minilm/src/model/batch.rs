//! From the host's ragged batch to packed tokens and targets, checked so that nothing behind it can fail on data.

use codex_nn::Sequences;
use codex_nn::linear_cross_entropy::IGNORE;
use codex_plugin_api::{Error, IGNORE_LABEL, Ids, Result, TokenBatch};

use crate::config::NetworkConfig;
use crate::failure::numeric;
use crate::pass::Tokens;

/// Ids with their sequences and positions.
pub(super) struct Packed<'a> {
    ids: &'a [u32],
    sequences: Sequences,
    positions: Vec<u32>,
}

impl<'a> Packed<'a> {
    /// Checks ids and lengths.
    pub(super) fn new(config: &NetworkConfig, sequences: Ids<'a>) -> Result<Self> {
        Self::after(config, sequences, &[])
    }

    /// The same for sequences that follow `earlier` tokens each.
    pub(super) fn after(
        config: &NetworkConfig,
        sequences: Ids<'a>,
        earlier: &[usize],
    ) -> Result<Self> {
        for (index, ids) in sequences.iter().enumerate() {
            let before = earlier.get(index).copied().unwrap_or(0);
            if before + ids.len() > config.max_positions {
                return Err(Error::data(format!(
                    "sequence {index} of the batch has {} tokens, but the model reads at most {}",
                    before + ids.len(),
                    config.max_positions
                ))
                .hint("shorten the text, or use a model with a longer sequence_length"));
            }
            if let Some(at) = ids.iter().position(|&id| id as usize >= config.vocab_size) {
                return Err(Error::data(format!(
                    "id {} at position {at} of sequence {index} is beyond the vocabulary of {}",
                    ids[at], config.vocab_size
                ))
                .hint("use the tokenizer that the model was made for"));
            }
        }
        let offsets: Vec<usize> = match sequences.sequence_offsets() {
            [] => vec![0],
            offsets => offsets.iter().map(|&offset| offset as usize).collect(),
        };
        let packed = numeric(Sequences::new(offsets))?;
        let mut positions = packed.positions();
        for (range, &before) in packed.ranges().zip(earlier) {
            positions[range]
                .iter_mut()
                .for_each(|position| *position += before as u32);
        }
        Ok(Self {
            ids: sequences.ids(),
            sequences: packed,
            positions,
        })
    }

    /// Also checks what else is in a batch.
    pub(super) fn of_batch(config: &NetworkConfig, batch: &TokenBatch<'a>) -> Result<Self> {
        batch.check()?;
        if batch
            .token_types
            .is_some_and(|types| types.iter().any(|&kind| kind != 0))
        {
            return Err(Error::unsupported(
                "a batch with token types in a causal model",
            ));
        }
        if batch.sequence_labels.is_some() {
            return Err(Error::unsupported("a batch with a label for each sequence"));
        }
        Self::new(config, batch.sequences)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    pub(super) fn tokens(&self) -> Tokens<'_> {
        Tokens {
            ids: self.ids,
            sequences: &self.sequences,
            positions: &self.positions,
        }
    }

    /// What each row predicts: the next id of its sequence, or that id's label.
    pub(super) fn targets(
        &self,
        config: &NetworkConfig,
        batch: &TokenBatch<'_>,
    ) -> Result<Vec<i32>> {
        let mut targets = vec![IGNORE; self.ids.len()];
        for range in self.sequences.ranges() {
            for row in range.start..range.end.saturating_sub(1) {
                targets[row] = match batch.labels {
                    None => self.ids[row + 1] as i32,
                    Some(labels) => label(config, labels[row + 1], row + 1)?,
                };
            }
        }
        Ok(targets)
    }

    /// How many targets lie before each sequence, and in all.
    pub(super) fn target_offsets(&self, targets: &[i32]) -> Vec<u64> {
        let mut offsets = vec![0];
        let mut count = 0;
        for range in self.sequences.ranges() {
            count += targets[range]
                .iter()
                .filter(|&&target| target != IGNORE)
                .count() as u64;
            offsets.push(count);
        }
        offsets
    }
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
