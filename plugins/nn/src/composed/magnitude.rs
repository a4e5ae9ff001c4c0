//! Norms of an adapted weight as a composition: with the sum that the CPU does without, freed again at once.

use std::ops::Range;

use candle_core::Tensor;

use crate::Result;
use crate::linear::Orientation;
use crate::magnitude::Addition;

pub(crate) fn norms(
    weight: &Tensor,
    outputs: Range<usize>,
    orientation: Orientation,
    addition: Option<Addition<'_>>,
) -> Result<Vec<f32>> {
    let mut rows = match orientation {
        Orientation::OutIn => weight.narrow(0, outputs.start, outputs.len())?,
        Orientation::InOut => weight.narrow(1, outputs.start, outputs.len())?.t()?,
    };
    if let Some(Addition { a, b, factor }) = addition {
        rows = (rows + b.matmul(a)?.affine(f64::from(factor), 0.0)?)?;
    }
    Ok(rows.sqr()?.sum(1)?.sqrt()?.to_vec1()?)
}
