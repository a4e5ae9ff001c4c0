//! Gradients that reach one tensor along two ways, where no norm sums them in passing.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::{Read, write};
use crate::{Result, composed, vectorized};

/// Elements of one piece of work.
const PIECE: usize = 1 << 14;

/// Adds `addition` to `sum` of the same shape, in place.
pub fn add(sum: &Tensor, addition: &Tensor) -> Result<()> {
    if composed::takes(sum) {
        return composed::add_to(sum, addition);
    }
    let addition = Read::new(addition)?;
    write(sum, |sum| -> Result<()> {
        same_size("residual sum", sum.len(), addition.len())?;
        sum.par_chunks_mut(PIECE)
            .zip(addition.par_chunks(PIECE))
            .for_each(|(sum, addition)| vectorized::add(sum, addition));
        Ok(())
    })?
}
