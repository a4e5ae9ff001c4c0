//! The trunk of BERT: embeddings of words, positions and segments, a norm, and blocks that norm after each sum. Heads and
//! losses are left to `heads`.

mod block;
mod layout;

use candle_core::Tensor;
use codex_nn::Result;
use codex_nn::embedding::{self, Lookup};

use crate::parameters::Slot;
use crate::parts::{Linear, Norm, NormSaved};
use crate::pass::{Depth, Pass, Place};
use block::{Block, Saved};

/// Where the parameters of an encoder are.
#[derive(Debug)]
pub(crate) struct Encoder {
    pub(crate) words: Slot,
    positions: Slot,
    types: Slot,
    norm: Norm,
    blocks: Vec<Block>,
}

/// What backward needs.
pub(crate) struct Trace {
    embedded: Tensor,
    norm: NormSaved,
    kept: Vec<Kept>,
}

/// What is kept of a block.
enum Kept {
    All(Box<Saved>),
    /// Its input alone; the rest is computed again.
    Input(Tensor),
    /// Nothing: backward does not come this far.
    Nothing,
}

impl Encoder {
    /// The linear maps of all blocks.
    pub(crate) fn maps(&self) -> Vec<Linear> {
        self.blocks.iter().flat_map(Block::maps).collect()
    }

    /// The tables and the ids that are looked up in them.
    fn tables<'a>(&self, pass: &Pass<'a>) -> [(Slot, &'a [u32]); 3] {
        let tokens = pass.tokens;
        [
            (self.words, tokens.ids),
            (self.positions, tokens.positions),
            (self.types, tokens.types),
        ]
    }

    fn embed(&self, pass: &Pass<'_>) -> Result<Tensor> {
        let lookups = self.tables(pass).map(|(slot, ids)| Lookup {
            ids,
            table: pass.parameters.value(slot),
        });
        embedding::forward(pass.workspace, &lookups)
    }

    fn depth(&self, pass: &Pass<'_>) -> Depth {
        let parameters = pass.parameters;
        let tables = [self.words, self.positions, self.types];
        let embeddings =
            self.norm.trains(parameters) || tables.iter().any(|&slot| parameters.trains(slot));
        Depth::new(
            embeddings,
            self.blocks.iter().map(|block| block.trains(pass)),
        )
    }

    /// The last hidden states: `[tokens, hidden]`. With `checkpoint`, each block's input is all that is kept of it.
    pub(crate) fn forward(&self, pass: &Pass<'_>, checkpoint: bool) -> Result<(Tensor, Trace)> {
        let ws = pass.workspace;
        let depth = self.depth(pass);
        let embedded = self.embed(pass)?;
        let (mut hidden, norm) = self.norm.forward(pass, &embedded, None)?;
        pass.drop(&hidden, Place::Embedding)?;
        let mut kept = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (next, saved) = block.forward(pass, hidden)?;
            hidden = next;
            kept.push(if !depth.reaches(block.index) {
                ws.recycle(saved.into_input(pass));
                Kept::Nothing
            } else if checkpoint {
                Kept::Input(saved.into_input(pass))
            } else {
                Kept::All(Box::new(saved))
            });
        }
        let trace = Trace {
            embedded,
            norm,
            kept,
        };
        Ok((hidden, trace))
    }

    /// Adds all gradients to theirs, from that of the last hidden states.
    pub(crate) fn backward(&self, pass: &Pass<'_>, trace: Trace, d_hidden: Tensor) -> Result<()> {
        let ws = pass.workspace;
        let depth = self.depth(pass);
        let mut d_hidden = d_hidden;
        for (block, kept) in self.blocks.iter().zip(trace.kept).rev() {
            let saved = match kept {
                Kept::All(saved) => *saved,
                Kept::Input(input) => {
                    let (output, saved) = block.forward(pass, input)?;
                    ws.recycle(output);
                    saved
                }
                Kept::Nothing => break,
            };
            match block.backward(pass, saved, d_hidden, depth.below(block.index))? {
                Some(gradient) => d_hidden = gradient,
                None => return Ok(()),
            }
        }
        if depth.embeddings {
            pass.drop_backward(&d_hidden, Place::Embedding)?;
            self.norm
                .backward(pass, &d_hidden, &trace.embedded, &trace.norm, None)?;
            for (slot, ids) in self.tables(pass) {
                if let Some(gradient) = pass.parameters.gradient(slot) {
                    embedding::backward(&d_hidden, ids, gradient)?;
                }
            }
        }
        ws.recycle(trace.embedded);
        ws.recycle(d_hidden);
        Ok(())
    }

    /// The last hidden states: `[tokens, hidden]`, keeping nothing.
    pub(crate) fn infer(&self, pass: &Pass<'_>) -> Result<Tensor> {
        let embedded = self.embed(pass)?;
        let (mut hidden, _) = self.norm.forward(pass, &embedded, None)?;
        pass.workspace.recycle(embedded);
        for block in &self.blocks {
            hidden = block.infer(pass, hidden)?;
        }
        Ok(hidden)
    }
}
