//! From hidden states to one vector a sequence (Reimers and Gurevych 2019, "Sentence-BERT"). There is no padding, so the
//! mean is over a sequence's own tokens. Normalisation is left to `l2_norm`.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::Read;
use crate::vectorized::{add, scale};
use crate::workspace::tensor_of;
use crate::{Result, Sequences, Workspace, composed};

/// How the tokens of a sequence become one vector. A sequence without tokens gives zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of all tokens: sentence-transformers' `mean`.
    Mean,
    /// The first token: sentence-transformers' `cls`.
    Cls,
}

/// `hidden` `[tokens, width]` → `[sequences, width]`.
pub fn forward(
    workspace: &Workspace,
    hidden: &Tensor,
    sequences: &Sequences,
    pooling: Pooling,
) -> Result<Tensor> {
    let (tokens, width) = hidden.dims2()?;
    same_size("pooling tokens", sequences.tokens(), tokens)?;
    if composed::takes(hidden) {
        return composed::pooling::forward(hidden, sequences, pooling);
    }
    let hidden = Read::new(hidden)?;
    let hidden = &*hidden;
    let mut out = workspace.take(sequences.count() * width);
    out.par_chunks_mut(width.max(1))
        .enumerate()
        .for_each(|(sequence, out)| {
            let range = sequences.range(sequence);
            let rows = &hidden[range.start * width..range.end * width];
            out.fill(0.0);
            match pooling {
                Pooling::Mean => {
                    for row in rows.chunks_exact(width) {
                        add(out, row);
                    }
                    scale(out, 1.0 / range.len().max(1) as f32);
                }
                Pooling::Cls => {
                    if let Some(first) = rows.get(..width) {
                        out.copy_from_slice(first);
                    }
                }
            }
        });
    tensor_of(out, (sequences.count(), width))
}

/// The gradient of `hidden` `[tokens, width]`, from that of the vectors `d_pooled` `[sequences, width]`.
pub fn backward(
    workspace: &Workspace,
    d_pooled: &Tensor,
    sequences: &Sequences,
    pooling: Pooling,
) -> Result<Tensor> {
    let (count, width) = d_pooled.dims2()?;
    same_size("pooled sequences", sequences.count(), count)?;
    if composed::takes(d_pooled) {
        return composed::pooling::backward(d_pooled, sequences, pooling);
    }
    let d_pooled = Read::new(d_pooled)?;
    let tokens = sequences.tokens();
    let mut out = workspace.take(tokens * width);
    let mut rest = out.as_mut_slice();
    let mut parts = Vec::with_capacity(count);
    for range in sequences.ranges() {
        let (part, after) = rest.split_at_mut(range.len() * width);
        parts.push(part);
        rest = after;
    }
    parts
        .into_par_iter()
        .zip(d_pooled.par_chunks(width.max(1)))
        .for_each(|(part, gradient)| match pooling {
            Pooling::Mean => {
                let factor = 1.0 / (part.len() / width).max(1) as f32;
                for row in part.chunks_exact_mut(width) {
                    for (value, &gradient) in row.iter_mut().zip(gradient) {
                        *value = gradient * factor;
                    }
                }
            }
            Pooling::Cls => {
                part.fill(0.0);
                if let Some(first) = part.get_mut(..width) {
                    first.copy_from_slice(gradient);
                }
            }
        });
    tensor_of(out, (tokens, width))
}
