//! Layer norm, RMS norm and rows of length 1 as compositions. Backward computes the statistics again.

use candle_core::{D, Tensor};

use super::{add_to, overwrite};
use crate::Result;

/// Makes `x` the sum with `residual`, in place.
fn add_residual(x: &Tensor, residual: Option<&Tensor>) -> Result<()> {
    match residual {
        Some(residual) => add_to(x, residual),
        None => Ok(()),
    }
}

/// (x − mean) / deviation and 1 / deviation of each row.
fn standardise(x: &Tensor, epsilon: f32) -> Result<(Tensor, Tensor)> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let scale = reciprocal_root(&centred, epsilon)?;
    Ok((centred.broadcast_mul(&scale)?, scale))
}

/// 1 / √(mean of squares + epsilon) of each row.
fn reciprocal_root(x: &Tensor, epsilon: f32) -> Result<Tensor> {
    let square = x.sqr()?.mean_keepdim(D::Minus1)?;
    Ok(square.affine(1.0, f64::from(epsilon))?.sqrt()?.recip()?)
}

fn add_sum(gradient: Option<&Tensor>, rows: &Tensor) -> Result<()> {
    match gradient {
        Some(gradient) => add_to(gradient, &rows.sum(0)?),
        None => Ok(()),
    }
}

fn finish(dy: &Tensor, dx: Tensor, stream: Option<&Tensor>) -> Result<()> {
    match stream {
        Some(stream) => overwrite(dy, &(dx + stream)?),
        None => overwrite(dy, &dx),
    }
}

pub(crate) fn layer_norm(
    x: &Tensor,
    residual: Option<&Tensor>,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f32,
) -> Result<Tensor> {
    add_residual(x, residual)?;
    let (normed, _) = standardise(x, epsilon)?;
    Ok(normed.broadcast_mul(weight)?.broadcast_add(bias)?)
}

#[allow(
    clippy::too_many_arguments,
    reason = "a backward names its operands one by one"
)]
pub(crate) fn layer_norm_backward(
    dy: &Tensor,
    x: &Tensor,
    weight: &Tensor,
    epsilon: f32,
    stream: Option<&Tensor>,
    weight_gradient: Option<&Tensor>,
    bias_gradient: Option<&Tensor>,
) -> Result<()> {
    let (normed, scale) = standardise(x, epsilon)?;
    if weight_gradient.is_some() {
        add_sum(weight_gradient, &(dy * &normed)?)?;
    }
    add_sum(bias_gradient, dy)?;
    let slope = dy.broadcast_mul(weight)?;
    let along = (&slope * &normed)?.mean_keepdim(D::Minus1)?;
    let dx = slope
        .broadcast_sub(&slope.mean_keepdim(D::Minus1)?)?
        .sub(&normed.broadcast_mul(&along)?)?
        .broadcast_mul(&scale)?;
    finish(dy, dx, stream)
}

pub(crate) fn rms_norm(
    x: &Tensor,
    residual: Option<&Tensor>,
    weight: &Tensor,
    epsilon: f32,
) -> Result<Tensor> {
    add_residual(x, residual)?;
    let scale = reciprocal_root(x, epsilon)?;
    Ok(x.broadcast_mul(&scale)?.broadcast_mul(weight)?)
}

pub(crate) fn rms_norm_backward(
    dy: &Tensor,
    x: &Tensor,
    weight: &Tensor,
    epsilon: f32,
    stream: Option<&Tensor>,
    weight_gradient: Option<&Tensor>,
) -> Result<()> {
    let scale = reciprocal_root(x, epsilon)?;
    let normed = x.broadcast_mul(&scale)?;
    if weight_gradient.is_some() {
        add_sum(weight_gradient, &(dy * &normed)?)?;
    }
    let slope = dy.broadcast_mul(weight)?;
    let along = (&slope * &normed)?.mean_keepdim(D::Minus1)?;
    let dx = slope
        .sub(&normed.broadcast_mul(&along)?)?
        .broadcast_mul(&scale)?;
    finish(dy, dx, stream)
}
