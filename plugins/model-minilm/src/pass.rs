//! What one pass through a network carries from part to part: the tokens, where the parameters and buffers are, and
//! everything random. Which parts there are is left to `network`.

use candle_core::Tensor;
use codex_nn::attention::Heads;
use codex_nn::dropout::{self, Dropout};
use codex_nn::random::Key;
use codex_nn::rope::Rotation;
use codex_nn::{Result, Sequences, Workspace};

use crate::adapters::Adapters;
use crate::parameters::Parameters;

/// Packed tokens of one pass, checked against the network's limits by the caller.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub(crate) ids: &'a [u32],
    pub(crate) sequences: &'a Sequences,
    /// Position of each token in its sequence.
    pub(crate) positions: &'a [u32],
    /// Segment of each token (BERT); empty for decoders.
    pub(crate) types: &'a [u32],
}

/// What is the same for all parts in one pass.
pub(crate) struct Pass<'a> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) adapters: &'a Adapters,
    pub(crate) workspace: &'a Workspace,
    pub(crate) tokens: Tokens<'a>,
    pub(crate) heads: Heads,
    pub(crate) rotation: Option<&'a Rotation>,
    /// Set in training passes.
    pub(crate) random: Option<Randomness>,
}

/// Dropout of one pass.
#[derive(Clone, Copy)]
pub(crate) struct Randomness {
    pub(crate) key: Key,
    /// Probability after the embeddings.
    pub(crate) embedding: f32,
    /// Probability of attention probabilities.
    pub(crate) attention: f32,
    /// Probability of what each half of a block adds.
    pub(crate) residual: f32,
    /// Probability before a classifier.
    pub(crate) classifier: f32,
}

/// Where dropout stands.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Embedding,
    Attention { block: usize },
    AfterAttention { block: usize },
    AfterMlp { block: usize },
    Classifier,
}

impl Pass<'_> {
    /// The dropout of a place, if there is any in this pass.
    pub(crate) fn dropout(&self, place: Place) -> Option<Dropout> {
        let random = self.random?;
        let in_block = |block: usize, place: u64| random.key.with(block as u64 + 1).with(place);
        let (probability, key) = match place {
            Place::Embedding => (random.embedding, random.key.with(0)),
            Place::Attention { block } => (random.attention, in_block(block, 0)),
            Place::AfterAttention { block } => (random.residual, in_block(block, 1)),
            Place::AfterMlp { block } => (random.residual, in_block(block, 2)),
            Place::Classifier => (random.classifier, random.key.with(u64::MAX)),
        };
        (probability > 0.0).then_some(Dropout { probability, key })
    }

    /// Drops elements of `x` in place.
    pub(crate) fn drop(&self, x: &Tensor, place: Place) -> Result<()> {
        match self.dropout(place) {
            Some(drop) => dropout::forward(x, &drop),
            None => Ok(()),
        }
    }

    /// The gradient before dropout from that after it, in place.
    pub(crate) fn drop_backward(&self, dy: &Tensor, place: Place) -> Result<()> {
        match self.dropout(place) {
            Some(drop) => dropout::backward(dy, &drop),
            None => Ok(()),
        }
    }

    /// The same in a copy, for a gradient that something else needs unmasked; `None` where nothing was dropped.
    pub(crate) fn masked(&self, gradient: &Tensor, place: Place) -> Result<Option<Tensor>> {
        let Some(drop) = self.dropout(place) else {
            return Ok(None);
        };
        let copy = self.workspace.copy(gradient)?;
        dropout::backward(&copy, &drop)?;
        Ok(Some(copy))
    }

    /// Gives the buffer back, if there is one.
    pub(crate) fn recycle(&self, tensor: Option<Tensor>) {
        if let Some(tensor) = tensor {
            self.workspace.recycle(tensor);
        }
    }
}

/// How far down a backward pass has to go: no further than the lowest part that trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Whether anything before the blocks trains.
    pub(crate) embeddings: bool,
    /// The lowest block that has to be gone through; the number of blocks when none has to.
    pub(crate) first: usize,
}

impl Depth {
    /// From what trains, bottom up.
    pub(crate) fn new(embeddings: bool, blocks: impl ExactSizeIterator<Item = bool>) -> Self {
        let count = blocks.len();
        let first = if embeddings {
            0
        } else {
            blocks
                .enumerate()
                .find(|(_, trains)| *trains)
                .map_or(count, |(index, _)| index)
        };
        Self { embeddings, first }
    }

    /// Whether the backward pass goes through this block.
    pub(crate) fn reaches(self, block: usize) -> bool {
        block >= self.first
    }

    /// Whether anything below this block needs its input's gradient.
    pub(crate) fn below(self, block: usize) -> bool {
        self.embeddings || block > self.first
    }
}
