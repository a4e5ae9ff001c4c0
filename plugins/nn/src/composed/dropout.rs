//! Dropout as a composition. The masks are the CPU's own, made on the host from the same counters and copied, so that
//! a run drops the same elements wherever it is; that costs the host time, as `docs/gpu.md` says.

use candle_core::{DType, Device, Shape, Tensor};
use rayon::prelude::*;

use super::overwrite;
use crate::Result;
use crate::dropout::Dropout;
use crate::random::column_bits;

/// Masks of zeros and 1/(1−p) of `shape`, whose rows have these keys, one behind the other.
pub(crate) fn masks(
    dropout: &Dropout,
    rows: &[(u32, u32)],
    shape: impl Into<Shape>,
    device: &Device,
) -> Result<Tensor> {
    let shape = shape.into();
    let width = shape.elem_count() / rows.len().max(1);
    let (threshold, factor) = dropout.terms();
    let mut kept = vec![0u8; shape.elem_count()];
    kept.par_chunks_mut(width.max(1))
        .zip(rows)
        .with_min_len(16)
        .for_each(|(kept, &key)| {
            for (column, kept) in (0u32..).zip(kept) {
                *kept = u8::from(column_bits(key, column) >= threshold);
            }
        });
    let kept = Tensor::from_vec(kept, shape, device)?;
    Ok(kept.to_dtype(DType::F32)?.affine(f64::from(factor), 0.0)?)
}

pub(crate) fn forward(x: &Tensor, dropout: &Dropout) -> Result<()> {
    let (rows, width) = x.dims2()?;
    let keys: Vec<(u32, u32)> = (0..rows).map(|row| dropout.row(row)).collect();
    let masks = masks(dropout, &keys, (rows, width), x.device())?;
    overwrite(x, &(x * masks)?)
}
