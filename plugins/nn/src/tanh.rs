//! The hyperbolic tangent of BERT's pooler. It sees one row a sequence, so it is exact rather than fast.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::{Read, write};
use crate::workspace::tensor_of;
use crate::{Result, Workspace, composed};

/// Elements of one piece of work.
const PIECE: usize = 1 << 12;

/// tanh of every element of `x`, of any shape.
pub fn forward(workspace: &Workspace, x: &Tensor) -> Result<Tensor> {
    if composed::takes(x) {
        return Ok(x.tanh()?);
    }
    let values = Read::new(x)?;
    let mut out = workspace.take(values.len());
    out.par_chunks_mut(PIECE)
        .zip(values.par_chunks(PIECE))
        .for_each(|(out, x)| {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = x.tanh();
            }
        });
    tensor_of(out, x.shape())
}

/// Turns the gradient of the output into that of the input, in place. `y` is forward's output.
pub fn backward(dy: &Tensor, y: &Tensor) -> Result<()> {
    if composed::takes(dy) {
        return composed::activation::tanh_backward(dy, y);
    }
    let y = Read::new(y)?;
    write(dy, |dy| {
        same_size("tanh output gradient", y.len(), dy.len())?;
        for (dy, &y) in dy.iter_mut().zip(&*y) {
            *dy *= 1.0 - y * y;
        }
        Ok(())
    })?
}
