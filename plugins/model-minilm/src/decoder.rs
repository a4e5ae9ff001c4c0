//! A causal decoder: embeddings, blocks, the last norm and the head, over packed sequences. One forward for training
//! that keeps what backward needs, one for everything else. Files are left to `folder`, the optimizer to `training`.

mod layout;

use candle_core::Tensor;
use codex_nn::attention::cached::Cache;
use codex_nn::dropout::{self, Dropout};
use codex_nn::embedding::{self, Lookup};
use codex_nn::linear::{self, Orientation};
use codex_nn::linear_cross_entropy::{self, Score};
use codex_nn::random::Key;
use codex_nn::rope::Rotation;
use codex_nn::{Result, Sequences, Workspace};

use crate::block::{Block, Norm, Pass, Randomness, Saved, Stream};
use crate::config::DecoderConfig;
use crate::parameters::{Parameters, Slot};

/// Packed tokens of one pass, checked against the decoder's limits by the caller.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub(crate) ids: &'a [u32],
    pub(crate) sequences: &'a Sequences,
    /// Position of each token in its sequence.
    pub(crate) positions: &'a [u32],
}

/// The parameters and functions of one decoder.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) config: DecoderConfig,
    pub(crate) parameters: Parameters,
    pub(crate) workspace: Workspace,
    tokens: Slot,
    positions: Option<Slot>,
    blocks: Vec<Block>,
    norm: Norm,
    head: Slot,
    rotation: Option<Rotation>,
}

/// What training adds to a forward pass.
#[derive(Clone, Copy)]
pub(crate) struct TrainingPass {
    /// Everything random in the pass.
    pub(crate) key: Key,
    /// Gradients are those of `factor` · Σ losses.
    pub(crate) factor: f32,
    /// Keep only each block's input, and compute the rest again in backward.
    pub(crate) checkpoint: bool,
}

/// A block's saved values, or its input alone.
enum Kept {
    All(Box<Saved>),
    Input(Tensor),
}

impl Decoder {
    fn pass<'a>(&'a self, tokens: &Tokens<'a>, random: Option<Key>) -> Pass<'a> {
        let config = &self.config;
        Pass {
            parameters: &self.parameters,
            workspace: &self.workspace,
            sequences: tokens.sequences,
            positions: tokens.positions,
            heads: config.heads,
            rotation: self.rotation.as_ref(),
            random: random
                .filter(|_| config.attention_dropout > 0.0 || config.residual_dropout > 0.0)
                .map(|key| Randomness {
                    key,
                    attention: config.attention_dropout,
                    residual: config.residual_dropout,
                }),
        }
    }

    fn embed(&self, tokens: &Tokens<'_>) -> Result<Tensor> {
        let mut lookups = vec![Lookup {
            ids: tokens.ids,
            table: self.parameters.value(self.tokens),
        }];
        if let Some(positions) = self.positions {
            lookups.push(Lookup {
                ids: tokens.positions,
                table: self.parameters.value(positions),
            });
        }
        embedding::forward(&self.workspace, &lookups)
    }

    fn embedding_dropout(&self, key: Key) -> Option<Dropout> {
        let probability = self.config.embedding_dropout;
        (probability > 0.0).then(|| Dropout {
            probability,
            key: key.with(0),
        })
    }

    /// One training pass: the loss of `targets` (what each row predicts), with all gradients added to theirs.
    pub(crate) fn forward_backward(
        &self,
        tokens: &Tokens<'_>,
        targets: &[i32],
        training: TrainingPass,
    ) -> Result<linear_cross_entropy::Loss> {
        let ws = &self.workspace;
        let pass = self.pass(tokens, Some(training.key));
        let embedded = self.embed(tokens)?;
        let dropped = self.embedding_dropout(training.key);
        if let Some(dropped) = &dropped {
            dropout::forward(&embedded, dropped)?;
        }
        let mut stream = Stream {
            sum: embedded,
            addition: None,
        };
        let mut kept = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (next, saved) = block.forward(&pass, stream)?;
            stream = next;
            kept.push(if training.checkpoint {
                Kept::Input(saved.into_input(ws))
            } else {
                Kept::All(Box::new(saved))
            });
        }
        let (sum, hidden, norm) = stream.norm(&pass, &self.norm)?;
        let head = self.parameters.value(self.head);
        let head_gradient = self.parameters.gradient(self.head);
        let (loss, d_hidden) = linear_cross_entropy::forward_backward(
            ws,
            &hidden,
            head,
            targets,
            training.factor,
            head_gradient,
        )?;
        ws.recycle(hidden);
        self.norm.backward(&pass, &d_hidden, &sum, &norm, None)?;
        ws.recycle(sum);
        let mut d_stream = d_hidden;
        for (block, kept) in self.blocks.iter().zip(kept).rev() {
            let saved = match kept {
                Kept::All(saved) => *saved,
                Kept::Input(sum) => {
                    let input = Stream {
                        sum,
                        addition: None,
                    };
                    block.forward(&pass, input)?.1
                }
            };
            d_stream = block.backward(&pass, saved, d_stream)?;
        }
        if let Some(dropped) = &dropped {
            dropout::backward(&d_stream, dropped)?;
        }
        if let Some(gradient) = self.parameters.gradient(self.tokens) {
            embedding::backward(&d_stream, tokens.ids, gradient)?;
        }
        if let Some(gradient) = self
            .positions
            .and_then(|slot| self.parameters.gradient(slot))
        {
            embedding::backward(&d_stream, tokens.positions, gradient)?;
        }
        ws.recycle(d_stream);
        Ok(loss)
    }

    /// The last hidden states, normed: `[tokens, hidden]`. With `caches` (for each block, one for each sequence), the
    /// tokens follow those already read.
    pub(crate) fn hidden(
        &self,
        tokens: &Tokens<'_>,
        mut caches: Option<Vec<Vec<&mut Cache>>>,
    ) -> Result<Tensor> {
        let pass = self.pass(tokens, None);
        let mut stream = Stream {
            sum: self.embed(tokens)?,
            addition: None,
        };
        for (index, block) in self.blocks.iter().enumerate() {
            let caches = caches.as_mut().map(|caches| caches[index].as_mut_slice());
            stream = block.infer(&pass, stream, caches)?;
        }
        let (sum, hidden, _) = stream.norm(&pass, &self.norm)?;
        self.workspace.recycle(sum);
        Ok(hidden)
    }

    /// Log-probability and rank of every target.
    pub(crate) fn scores(&self, tokens: &Tokens<'_>, targets: &[i32]) -> Result<Vec<Score>> {
        let hidden = self.hidden(tokens, None)?;
        let head = self.parameters.value(self.head);
        let scores = linear_cross_entropy::scores(&self.workspace, &hidden, head, targets)?;
        self.workspace.recycle(hidden);
        Ok(scores)
    }

    /// Logits of rows of hidden states: `[rows, vocabulary]`.
    pub(crate) fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let head = self.parameters.value(self.head);
        linear::forward(&self.workspace, hidden, head, None, Orientation::OutIn)
    }
}
