//! Linear maps as compositions: the products are the device's own.

use candle_core::Tensor;

use super::{add_to, product};
use crate::linear::Orientation;
use crate::{Precision, Result};

/// The weight as `[in, out]`.
fn in_out(weight: &Tensor, orientation: Orientation) -> Result<Tensor> {
    Ok(match orientation {
        Orientation::OutIn => weight.t()?,
        Orientation::InOut => weight.clone(),
    })
}

pub(crate) fn forward(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    orientation: Orientation,
    precision: Precision,
) -> Result<Tensor> {
    let out = product(x, &in_out(weight, orientation)?, precision)?;
    Ok(match bias {
        Some(bias) => out.broadcast_add(bias)?,
        None => out,
    })
}

pub(crate) fn backward_input(
    dy: &Tensor,
    weight: &Tensor,
    orientation: Orientation,
    precision: Precision,
) -> Result<Tensor> {
    product(dy, &in_out(weight, orientation)?.t()?, precision)
}

pub(crate) fn backward_weight(
    dy: &Tensor,
    x: &Tensor,
    gradient: Option<&Tensor>,
    bias_gradient: Option<&Tensor>,
    orientation: Orientation,
    precision: Precision,
) -> Result<()> {
    if let Some(gradient) = gradient {
        let (a, b) = match orientation {
            Orientation::OutIn => (dy.t()?, x),
            Orientation::InOut => (x.t()?, dy),
        };
        add_to(gradient, &product(&a, b, precision)?)?;
    }
    if let Some(gradient) = bias_gradient {
        add_to(gradient, &dy.sum(0)?)?;
    }
    Ok(())
}
