//! Rotary positions as a composition; sizes and positions were checked.

use candle_core::Tensor;

use super::indices;
use crate::Result;

/// Rotates the first `heads` heads of each row of `x` in place, by rows of `cosines` and `sines` `[positions, half]`.
pub(crate) fn apply(
    x: &Tensor,
    heads: usize,
    positions: &[u32],
    (cosines, sines): (&Tensor, &Tensor),
    sign: f64,
) -> Result<()> {
    let (tokens, half) = (positions.len(), cosines.dims2()?.1);
    let positions = indices(positions, x.device())?;
    let shape = (tokens, 1, 1, half);
    let cosines = cosines.index_select(&positions, 0)?.reshape(shape)?;
    let sines = sines.index_select(&positions, 0)?.reshape(shape)?;
    let sines = sines.affine(sign, 0.0)?;
    let columns = heads * 2 * half;
    let parts = x.narrow(1, 0, columns)?.contiguous()?;
    let parts = parts.reshape((tokens, heads, 2, half))?;
    let (first, second) = (parts.narrow(2, 0, 1)?, parts.narrow(2, 1, 1)?);
    let a = (first.broadcast_mul(&cosines)? - second.broadcast_mul(&sines)?)?;
    let b = (second.broadcast_mul(&cosines)? + first.broadcast_mul(&sines)?)?;
    let rotated = Tensor::cat(&[a, b], 2)?.reshape((tokens, columns))?;
    Ok(x.slice_set(&rotated, 1, 0)?)
}
