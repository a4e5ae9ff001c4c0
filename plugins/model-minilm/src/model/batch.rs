//! From the host's ragged batch to packed tokens, checked so that nothing behind it can fail on data. What a batch asks
//! a network to learn is in [`super::targets`].

use std::borrow::Cow;

use codex_nn::Sequences;
use codex_plugin_api::{Error, Ids, Result, TokenBatch};

use crate::config::{Architecture, NetworkConfig};
use crate::failure::numeric;
use crate::pass::Tokens;

/// Ids with their sequences, positions and segments.
pub(super) struct Packed<'a> {
    ids: &'a [u32],
    sequences: Sequences,
    positions: Vec<u32>,
    types: Cow<'a, [u32]>,
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
            if before + ids.len() > config.head.max_tokens {
                return Err(Error::data(format!(
                    "sequence {index} of the batch has {} tokens, but the model reads at most {}",
                    before + ids.len(),
                    config.head.max_tokens
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
        let types = match config.architecture {
            Architecture::Bert => vec![0; sequences.ids().len()],
            Architecture::Gpt2 | Architecture::Llama => Vec::new(),
        };
        Ok(Self {
            ids: sequences.ids(),
            sequences: packed,
            positions,
            types: Cow::Owned(types),
        })
    }

    /// Also checks what else is in a batch.
    pub(super) fn of_batch(config: &NetworkConfig, batch: &TokenBatch<'a>) -> Result<Self> {
        batch.check()?;
        let mut packed = Self::new(config, batch.sequences)?;
        let Some(types) = batch.token_types else {
            return Ok(packed);
        };
        let known = config.type_vocab_size.max(1);
        if let Some(at) = types.iter().position(|&kind| kind as usize >= known) {
            if config.architecture != Architecture::Bert {
                return Err(Error::unsupported(
                    "a batch with token types in a causal model",
                ));
            }
            return Err(Error::data(format!(
                "token type {} at token {at} of the batch is beyond the {known} that the model has",
                types[at]
            ))
            .hint("use a model with a larger type_vocab_size"));
        }
        if config.architecture == Architecture::Bert {
            packed.types = Cow::Borrowed(types);
        }
        Ok(packed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn ids(&self) -> &[u32] {
        self.ids
    }

    pub(super) fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    pub(super) fn tokens(&self) -> Tokens<'_> {
        Tokens {
            ids: self.ids,
            sequences: &self.sequences,
            positions: &self.positions,
            types: &self.types,
        }
    }
}
