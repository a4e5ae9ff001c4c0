//! Losses with one target a sequence as compositions; targets were checked.

use candle_core::{DType, Tensor};

use super::{indices, linear_cross_entropy, segments, select};
use crate::Result;

/// Σ −log p and the gradient of `factor` times it; `rows` are those with targets.
pub(crate) fn cross_entropy(
    logits: &Tensor,
    targets: &[i32],
    rows: &[u32],
    factor: f32,
) -> Result<(f64, Tensor)> {
    let (count, classes) = logits.dims2()?;
    if rows.is_empty() {
        let none = Tensor::zeros((count, classes), DType::F32, logits.device())?;
        return Ok((0.0, none));
    }
    let chosen: Vec<u32> = rows
        .iter()
        .map(|&row| targets[row as usize] as u32)
        .collect();
    let chosen = indices(&chosen, logits.device())?.reshape((rows.len(), 1))?;
    let (losses, slopes) = linear_cross_entropy::slopes(&select(logits, rows)?, &chosen, factor)?;
    let losses = losses.flatten_all()?.to_vec1::<f32>()?;
    let sum = losses.into_iter().map(f64::from).sum();
    Ok((sum, segments::scatter(&slopes, rows, count)?))
}

/// Σ over the rows of the mean square over the width, and the gradient of `factor` times it. `values` and `kept`, 1 for
/// a row with a target and else 0, are of the outputs' rows.
pub(crate) fn squared_error(
    outputs: &Tensor,
    values: &[f32],
    kept: &[f32],
    factor: f32,
) -> Result<(f64, Tensor)> {
    let (rows, width) = outputs.dims2()?;
    let device = outputs.device();
    let kept = Tensor::from_slice(kept, (rows, 1), device)?;
    let values = Tensor::from_slice(values, (rows, width), device)?;
    let errors = (outputs - values)?.broadcast_mul(&kept)?;
    let width = width.max(1) as f64;
    let squares = errors.sqr()?.sum(1)?.to_vec1::<f32>()?;
    let sum = squares.into_iter().map(f64::from).sum::<f64>() / width;
    Ok((sum, errors.affine(2.0 * f64::from(factor) / width, 0.0)?))
}
