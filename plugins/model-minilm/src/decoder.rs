//! The trunk of a causal decoder: embeddings, blocks and the last norm, over packed sequences. One forward that keeps
//! what backward needs, one for everything else. Heads and losses are left to `heads`.

mod block;
mod layout;

use candle_core::Tensor;
use codex_nn::Result;
use codex_nn::attention::cached::Cache;
use codex_nn::embedding::{self, Lookup};
use codex_nn::rope::Rotation;

use crate::parameters::Slot;
use crate::parts::{Linear, Norm, NormSaved};
use crate::pass::{Depth, Pass, Place};
use block::{Block, Saved, Stream};

/// Where the parameters of a decoder are.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) tokens: Slot,
    positions: Option<Slot>,
    blocks: Vec<Block>,
    norm: Norm,
    pub(crate) rotation: Option<Rotation>,
}

/// What backward needs.
pub(crate) struct Trace {
    kept: Vec<Kept>,
    sum: Tensor,
    norm: NormSaved,
}

/// What is kept of a block.
enum Kept {
    All(Box<Saved>),
    /// Its input alone; the rest is computed again.
    Input(Tensor),
    /// Nothing: backward does not come this far.
    Nothing,
}

impl Decoder {
    /// The linear maps of all blocks.
    pub(crate) fn maps(&self) -> Vec<Linear> {
        self.blocks.iter().flat_map(Block::maps).collect()
    }

    fn embed(&self, pass: &Pass<'_>) -> Result<Tensor> {
        let tokens = pass.tokens;
        let mut lookups = vec![Lookup {
            ids: tokens.ids,
            table: pass.parameters.value(self.tokens),
        }];
        if let Some(positions) = self.positions {
            lookups.push(Lookup {
                ids: tokens.positions,
                table: pass.parameters.value(positions),
            });
        }
        embedding::forward(pass.workspace, &lookups)
    }

    fn depth(&self, pass: &Pass<'_>) -> Depth {
        let parameters = pass.parameters;
        let embeddings = parameters.trains(self.tokens)
            || self.positions.is_some_and(|slot| parameters.trains(slot));
        Depth::new(
            embeddings,
            self.blocks.iter().map(|block| block.trains(pass)),
        )
    }

    /// The last hidden states, normed: `[tokens, hidden]`. With `checkpoint`, each block's input is all that is kept of
    /// it.
    pub(crate) fn forward(&self, pass: &Pass<'_>, checkpoint: bool) -> Result<(Tensor, Trace)> {
        let ws = pass.workspace;
        let depth = self.depth(pass);
        let embedded = self.embed(pass)?;
        pass.drop(&embedded, Place::Embedding)?;
        let mut stream = Stream {
            sum: embedded,
            addition: None,
        };
        let mut kept = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (next, saved) = block.forward(pass, stream)?;
            stream = next;
            kept.push(if !depth.reaches(block.index) {
                ws.recycle(saved.into_input(pass));
                Kept::Nothing
            } else if checkpoint {
                Kept::Input(saved.into_input(pass))
            } else {
                Kept::All(Box::new(saved))
            });
        }
        let (sum, hidden, norm) = stream.norm(pass, &self.norm)?;
        Ok((hidden, Trace { kept, sum, norm }))
    }

    /// Adds all gradients to theirs, from that of the last hidden states.
    pub(crate) fn backward(&self, pass: &Pass<'_>, trace: Trace, d_hidden: Tensor) -> Result<()> {
        let ws = pass.workspace;
        let depth = self.depth(pass);
        self.norm
            .backward(pass, &d_hidden, &trace.sum, &trace.norm, None)?;
        ws.recycle(trace.sum);
        let mut d_stream = d_hidden;
        for (block, kept) in self.blocks.iter().zip(trace.kept).rev() {
            let saved = match kept {
                Kept::All(saved) => *saved,
                Kept::Input(sum) => {
                    let input = Stream {
                        sum,
                        addition: None,
                    };
                    block.forward(pass, input)?.1
                }
                Kept::Nothing => break,
            };
            match block.backward(pass, saved, d_stream, depth.below(block.index))? {
                Some(gradient) => d_stream = gradient,
                None => return Ok(()),
            }
        }
        if depth.embeddings {
            pass.drop_backward(&d_stream, Place::Embedding)?;
            if let Some(gradient) = pass.parameters.gradient(self.tokens) {
                embedding::backward(&d_stream, pass.tokens.ids, gradient)?;
            }
            if let Some(gradient) = self
                .positions
                .and_then(|slot| pass.parameters.gradient(slot))
            {
                embedding::backward(&d_stream, pass.tokens.positions, gradient)?;
            }
        }
        ws.recycle(d_stream);
        Ok(())
    }

    /// The last hidden states, normed: `[tokens, hidden]`. With `caches` (for each block, one for each sequence), the
    /// tokens follow those already read.
    pub(crate) fn infer(
        &self,
        pass: &Pass<'_>,
        mut caches: Option<Vec<Vec<&mut Cache>>>,
    ) -> Result<Tensor> {
        let mut stream = Stream {
            sum: self.embed(pass)?,
            addition: None,
        };
        for (index, block) in self.blocks.iter().enumerate() {
            let caches = caches.as_mut().map(|caches| caches[index].as_mut_slice());
            stream = block.infer(pass, stream, caches)?;
        }
        let (sum, hidden, _) = stream.norm(pass, &self.norm)?;
        pass.workspace.recycle(sum);
        Ok(hidden)
    }
}
