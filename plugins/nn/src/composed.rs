//! Every training function once more, for the devices that have no kernels of our own, such as GPUs: put together from
//! candle's tensor operations, with the same hand-written backwards and the same results within rounding. candle's
//! own backward has no part in it. Each function of the crate looks at where its tensors are and comes here when that
//! is not the CPU; how tensors get to a device is left to the model.
//!
//! What forward would save for backward is computed again there, since launches are cheaper than memory on a GPU.
//! Indices (which rows go where) are made on the host: they follow from ids and lengths, which are there anyway.

use std::cell::Cell;

use candle_core::{D, DType, Device, Tensor};

use crate::{Precision, Result};

pub(crate) mod activation;
pub(crate) mod adamw;
pub(crate) mod attention;
pub(crate) mod cached;
pub(crate) mod columns;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod in_batch_negatives;
pub(crate) mod linear;
pub(crate) mod linear_cross_entropy;
pub(crate) mod low_rank;
pub(crate) mod magnitude;
pub(crate) mod norm;
pub(crate) mod pooling;
pub(crate) mod rope;
pub(crate) mod segments;
pub(crate) mod sequence_loss;

/// Added to attention scores that are not seen: e to the power of it is 0.
const UNSEEN: f64 = -1e30;

thread_local! {
    static FORCED: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread computes CPU tensors as it would a GPU's, or no longer. For tests of these compositions on
/// machines without a GPU: on the CPU they are slow and of no other use.
pub fn force(forced: bool) {
    FORCED.set(forced);
}

/// Whether a function on `tensor` is computed here.
pub(crate) fn takes(tensor: &Tensor) -> bool {
    !tensor.device().is_cpu() || FORCED.get()
}

/// Makes `target` equal `values`, in place; views of the same storage see it.
fn overwrite(target: &Tensor, values: &Tensor) -> Result<()> {
    Ok(target.slice_set(&values.contiguous()?, 0, 0)?)
}

/// `target += values`, in place.
pub(crate) fn add_to(target: &Tensor, values: &Tensor) -> Result<()> {
    overwrite(target, &(target + values)?)
}

/// Row numbers on `device`.
fn indices(rows: &[u32], device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_slice(rows, rows.len(), device)?)
}

/// `x` `[rows, width]` with a row of zeros at its end.
fn with_zero_row(x: &Tensor) -> Result<Tensor> {
    let (_, width) = x.dims2()?;
    let zero = Tensor::zeros((1, width), x.dtype(), x.device())?;
    Ok(Tensor::cat(&[x, &zero], 0)?)
}

/// Rows of `x` `[count, width]` by number, where number `count` stands for a row of zeros.
fn select(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let (count, width) = x.dims2()?;
    if rows.is_empty() {
        return Ok(Tensor::zeros((0, width), x.dtype(), x.device())?);
    }
    let identity = rows.len() == count && (0u32..).zip(rows).all(|(at, &row)| at == row);
    if identity {
        // A copy, since results must not share the storage of their inputs: either may be recycled.
        return Ok(x.force_contiguous()?);
    }
    let all = if rows.iter().any(|&row| row as usize == count) {
        with_zero_row(x)?
    } else {
        x.contiguous()?
    };
    Ok(all.index_select(&indices(rows, x.device())?, 0)?)
}

/// The product of two matrices, whose operands (and, where that is less than f32, result) are rounded to `precision`.
fn product(a: &Tensor, b: &Tensor, precision: Precision) -> Result<Tensor> {
    match precision {
        Precision::F32 => Ok(a.matmul(b)?),
        Precision::Bf16 => {
            let product = a.to_dtype(DType::BF16)?.matmul(&b.to_dtype(DType::BF16)?)?;
            Ok(product.to_dtype(DType::F32)?)
        }
    }
}

/// 1 / (1 + e⁻ˣ), by way of tanh, which does not overflow.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok(x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)?)
}

/// Softmax over the last dimension.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let shifted = scores
        .broadcast_sub(&scores.max_keepdim(D::Minus1)?)?
        .exp()?;
    Ok(shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?)
}
