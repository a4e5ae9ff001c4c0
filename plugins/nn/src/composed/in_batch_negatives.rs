//! The loss of sentence embeddings with in-batch negatives as a composition; parts and prefixes were checked. The
//! products and the cross-entropy behind them are `linear_cross_entropy`'s.

use candle_core::Tensor;

use super::linear_cross_entropy;
use crate::{Result, Workspace, l2_norm};

/// Σ over the prefixes (columns and weight) of weight · Σ −log p(own positive), and the gradient of `factor` times it.
pub(crate) fn forward_backward(
    workspace: &Workspace,
    pooled: &Tensor,
    n: usize,
    prefixes: &[(usize, f32)],
    scale: f32,
    factor: f32,
) -> Result<(f64, Tensor)> {
    let (rows, width) = pooled.dims2()?;
    let targets: Vec<i32> = (0..n as i32).collect();
    let all: Vec<u32> = (0..n as u32).collect();
    let mut sum = 0.0;
    let mut d_pooled = pooled.zeros_like()?;
    for &(columns, weight) in prefixes {
        let x = pooled.narrow(1, 0, columns)?.contiguous()?;
        let (y, saved) = l2_norm::forward(workspace, &x)?;
        let anchors = y.narrow(0, 0, n)?.affine(f64::from(scale), 0.0)?;
        let candidates = y.narrow(0, n, rows - n)?.contiguous()?;
        let d_candidates = candidates.zeros_like()?;
        let (loss, d_anchors) = linear_cross_entropy::forward_backward(
            &anchors,
            &candidates,
            None,
            &targets,
            &all,
            factor * weight,
            Some(&d_candidates),
            None,
            workspace.precision(),
        )?;
        sum += f64::from(weight) * loss;
        let d_anchors = d_anchors.affine(f64::from(scale), 0.0)?;
        let dy = Tensor::cat(&[d_anchors, d_candidates], 0)?;
        let dx = l2_norm::backward(workspace, &dy, &y, &saved)?;
        let rest = width - columns;
        let dx = if rest > 0 {
            dx.pad_with_zeros(1, 0, rest)?
        } else {
            dx
        };
        d_pooled = (d_pooled + dx)?;
    }
    Ok((sum, d_pooled))
}
