//! Linear maps as compositions: the products are the device's own.

use candle_core::Tensor;

use super::add_to;
use crate::Result;
use crate::linear::Orientation;

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
) -> Result<Tensor> {
    let out = x.matmul(&in_out(weight, orientation)?)?;
    Ok(match bias {
        Some(bias) => out.broadcast_add(bias)?,
        None => out,
    })
}

pub(crate) fn backward_input(
    dy: &Tensor,
    weight: &Tensor,
    orientation: Orientation,
) -> Result<Tensor> {
    Ok(dy.matmul(&in_out(weight, orientation)?.t()?)?)
}

pub(crate) fn backward_weight(
    dy: &Tensor,
    x: &Tensor,
    gradient: Option<&Tensor>,
    bias_gradient: Option<&Tensor>,
    orientation: Orientation,
) -> Result<()> {
    if let Some(gradient) = gradient {
        let product = match orientation {
            Orientation::OutIn => dy.t()?.matmul(x)?,
            Orientation::InOut => x.t()?.matmul(dy)?,
        };
        add_to(gradient, &product)?;
    }
    if let Some(gradient) = bias_gradient {
        add_to(gradient, &dy.sum(0)?)?;
    }
    Ok(())
}
