//! Low-rank additions as compositions; what is one product there is left to `low_rank`.

use candle_core::Tensor;

use super::add_to;
use crate::Result;
use crate::low_rank::Pair;

pub(crate) fn outer(y: &Tensor, h: &Tensor, pair: &Pair<'_>) -> Result<()> {
    let h = h.narrow(0, pair.ranks.start, pair.ranks.len())?;
    let addition = h
        .t()?
        .matmul(&pair.b.t()?)?
        .affine(f64::from(pair.factor), 0.0)?;
    let columns = y.narrow(1, pair.outputs.start, pair.outputs.len())?;
    let sum = (columns + addition)?.contiguous()?;
    Ok(y.slice_set(&sum, 1, pair.outputs.start)?)
}

pub(crate) fn backward_outer(
    dy: &Tensor,
    h: &Tensor,
    pairs: &[Pair<'_>],
    gradients: &[Option<&Tensor>],
) -> Result<Tensor> {
    let dh = h.zeros_like()?;
    for (pair, gradient) in pairs.iter().zip(gradients) {
        let dy = dy
            .narrow(1, pair.outputs.start, pair.outputs.len())?
            .affine(f64::from(pair.factor), 0.0)?;
        let part = |h: &Tensor| h.narrow(0, pair.ranks.start, pair.ranks.len());
        if let Some(gradient) = gradient {
            add_to(gradient, &dy.t()?.matmul(&part(h)?.t()?)?)?;
        }
        let change = pair.b.t()?.matmul(&dy.t()?)?;
        let sum = (part(&dh)? + change)?.contiguous()?;
        dh.slice_set(&sum, 0, pair.ranks.start)?;
    }
    Ok(dh)
}
