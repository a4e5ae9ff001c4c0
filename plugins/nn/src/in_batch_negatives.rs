//! The loss of sentence embeddings in which every other pair of the batch is a negative: cross-entropy of the scaled
//! cosines of an anchor with all positives and all hard negatives, the anchor's own positive being the target
//! (Henderson et al. 2017; sentence-transformers' `MultipleNegativesRankingLoss`), and its sum over prefixes of the
//! vectors (Kusupati et al. 2022, "Matryoshka representation learning"). The cosines of all pairs are one product with
//! cross-entropy behind it, so `linear_cross_entropy` takes them a chunk at a time. Pooling is left to `pooling`.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::linear_cross_entropy::{self, Loss, Score};
use crate::storage::{Read, write};
use crate::vectorized::add;
use crate::workspace::tensor_of;
use crate::{Error, Result, Workspace, composed, l2_norm};

/// How cosines become logits, and which prefixes of the vectors take part.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What cosines are multiplied by: 1 / temperature. sentence-transformers takes 20.
    pub scale: f32,
    /// Widths of the prefixes; none means the whole width alone.
    pub dimensions: Vec<usize>,
    /// Weight of each prefix's loss; none means 1 for each.
    pub weights: Vec<f32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scale: 20.0,
            dimensions: Vec::new(),
            weights: Vec::new(),
        }
    }
}

impl Options {
    /// Width and weight of each prefix of vectors of `width`.
    fn prefixes(&self, width: usize) -> Result<Vec<(usize, f32)>> {
        if self.dimensions.is_empty() {
            crate::error::same_size("matryoshka weights", 0, self.weights.len())?;
            return Ok(vec![(width, 1.0)]);
        }
        if let Some(wrong) = self.dimensions.iter().find(|&&d| d == 0 || d > width) {
            return Err(Error::Range {
                place: "matryoshka dimension",
                value: wrong.to_string(),
                range: format!("1..={width}"),
            });
        }
        if self.weights.is_empty() {
            return Ok(self.dimensions.iter().map(|&d| (d, 1.0)).collect());
        }
        let (dimensions, weights) = (self.dimensions.len(), self.weights.len());
        crate::error::same_size("matryoshka weights", dimensions, weights)?;
        let weights = self.weights.iter().copied();
        Ok(self.dimensions.iter().copied().zip(weights).collect())
    }
}

/// Anchors in a batch of `rows` vectors in `parts` blocks.
fn anchors(rows: usize, parts: usize) -> Result<usize> {
    if parts < 2 || !rows.is_multiple_of(parts) {
        return Err(Error::Range {
            place: "parts of a batch of pairs",
            value: format!("{parts} of {rows} vectors"),
            range: "2 equal blocks (anchors, positives) or more (hard negatives)".to_owned(),
        });
    }
    Ok(rows / parts)
}

/// The first `columns` of each row, as a matrix of their own.
fn prefix(workspace: &Workspace, x: &Tensor, columns: usize) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let values = Read::new(x)?;
    let mut out = workspace.take(rows * columns);
    out.par_chunks_mut(columns.max(1))
        .zip(values.par_chunks(width.max(1)))
        .with_min_len(64)
        .for_each(|(out, row)| out.copy_from_slice(&row[..columns]));
    tensor_of(out, (rows, columns))
}

/// Normalised vectors as the operands of one product: anchors times `scale`, and all candidates.
fn operands(workspace: &Workspace, y: &Tensor, n: usize, scale: f32) -> Result<(Tensor, Tensor)> {
    let (rows, _) = y.dims2()?;
    if composed::takes(y) {
        let anchors = y.narrow(0, 0, n)?.affine(f64::from(scale), 0.0)?;
        return Ok((anchors, y.narrow(0, n, rows - n)?));
    }
    let anchors = workspace.copy(&y.narrow(0, 0, n)?)?;
    write(&anchors, |values| {
        crate::vectorized::scale(values, scale);
    })?;
    Ok((anchors, y.narrow(0, n, rows - n)?))
}

/// Loss and gradient of `pooled` `[parts · n, width]`: `n` anchors, then their positives in the same order, then, if
/// there are more parts, their hard negatives. The vectors need not be normalised: each prefix is, here.
///
/// The sum of the loss is Σ over the prefixes of weight · Σ over the anchors of −log p(own positive), its targets are
/// the `n` anchors; the gradient is that of `factor · sum`.
///
/// # Errors
/// When the vectors do not divide into at least two parts, or the options do not fit the width.
pub fn forward_backward(
    workspace: &Workspace,
    pooled: &Tensor,
    parts: usize,
    options: &Options,
    factor: f32,
) -> Result<(Loss, Tensor)> {
    let (rows, width) = pooled.dims2()?;
    let n = anchors(rows, parts)?;
    let targets: Vec<i32> = (0..n as i32).collect();
    let mut loss = Loss {
        sum: 0.0,
        targets: n,
    };
    if composed::takes(pooled) {
        let prefixes = options.prefixes(width)?;
        let (sum, d_pooled) = composed::in_batch_negatives::forward_backward(
            workspace,
            pooled,
            n,
            &prefixes,
            options.scale,
            factor,
        )?;
        loss.sum = sum;
        return Ok((loss, d_pooled));
    }
    let mut d_pooled = workspace.zeros(rows * width);
    for (columns, weight) in options.prefixes(width)? {
        let x = prefix(workspace, pooled, columns)?;
        let (y, saved) = l2_norm::forward(workspace, &x)?;
        workspace.recycle(x);
        let (anchors, candidates) = operands(workspace, &y, n, options.scale)?;
        let d_candidates = tensor_of(workspace.zeros((rows - n) * columns), (rows - n, columns))?;
        let (part, d_anchors) = linear_cross_entropy::forward_backward(
            workspace,
            &anchors,
            &candidates,
            None,
            &targets,
            factor * weight,
            Some(&d_candidates),
            None,
        )?;
        loss.sum += f64::from(weight) * part.sum;
        write(&d_anchors, |values| {
            crate::vectorized::scale(values, options.scale);
        })?;
        let mut dy = workspace.take(rows * columns);
        let (first, rest) = dy.split_at_mut(n * columns);
        first.copy_from_slice(&Read::new(&d_anchors)?);
        rest.copy_from_slice(&Read::new(&d_candidates)?);
        let dy = tensor_of(dy, (rows, columns))?;
        let dx = l2_norm::backward(workspace, &dy, &y, &saved)?;
        let d_prefix = Read::new(&dx)?;
        for (target, source) in d_pooled
            .chunks_exact_mut(width.max(1))
            .zip(d_prefix.chunks_exact(columns.max(1)))
        {
            add(&mut target[..columns], source);
        }
        drop((d_prefix, candidates));
        for tensor in [anchors, d_anchors, d_candidates, dy, dx, y] {
            workspace.recycle(tensor);
        }
    }
    Ok((loss, tensor_of(d_pooled, (rows, width))?))
}

/// What the whole vectors say of each anchor's own positive among all candidates, in the order of the anchors. Prefixes
/// take no part.
pub fn scores(
    workspace: &Workspace,
    pooled: &Tensor,
    parts: usize,
    options: &Options,
) -> Result<Vec<Score>> {
    let n = anchors(pooled.dims2()?.0, parts)?;
    let targets: Vec<i32> = (0..n as i32).collect();
    let (y, _) = l2_norm::forward(workspace, pooled)?;
    let (anchors, candidates) = operands(workspace, &y, n, options.scale)?;
    let scores = linear_cross_entropy::scores(workspace, &anchors, &candidates, None, &targets)?;
    drop(candidates);
    workspace.recycle(anchors);
    workspace.recycle(y);
    Ok(scores)
}
