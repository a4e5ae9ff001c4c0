//! Columns with a number each, as compositions.

use std::ops::Range;

use candle_core::Tensor;

use crate::Result;

pub(crate) fn scale(
    x: &Tensor,
    columns: Range<usize>,
    factors: &[f32],
    addends: Option<&[f32]>,
) -> Result<()> {
    let row = |values: &[f32]| Tensor::from_slice(values, (1, values.len()), x.device());
    let mut part = x
        .narrow(1, columns.start, columns.len())?
        .broadcast_mul(&row(factors)?)?;
    if let Some(addends) = addends {
        part = part.broadcast_add(&row(addends)?)?;
    }
    Ok(x.slice_set(&part.contiguous()?, 1, columns.start)?)
}

pub(crate) fn sums(x: &Tensor, columns: Range<usize>, y: Option<&Tensor>) -> Result<Vec<f32>> {
    let part = x.narrow(1, columns.start, columns.len())?;
    let terms = match y {
        Some(y) => (part * y.reshape((x.dims2()?.0, columns.len()))?)?,
        None => part,
    };
    Ok(terms.sum(0)?.to_vec1()?)
}
