//! The last product of a language model, its bias and its cross-entropy in one: rows are taken a chunk at a time, so logits exist
//! for one chunk only and normalised ones never for all rows. Shifting labels by one token is left to the model.

use std::ops::Range;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::linear::add_rows;
use crate::matmul::{Matrix, parallel_accumulate, parallel_multiply};
use crate::rows::gather_into;
use crate::storage::{Read, write};
use crate::vectorized::{exp_shifted, maximum, scale, sum_exp_shifted, vectorized};
use crate::workspace::tensor_of;
use crate::{Error, Result, Workspace, composed};

/// The label of a row that has no target.
pub const IGNORE: i32 = -100;

/// Logits held at once, in elements: the weight is packed once for each chunk, which many rows have to pay for.
const CHUNK: usize = 1 << 22;

/// The loss of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Σ −log p(target), not scaled.
    pub sum: f64,
    /// How many rows had a target.
    pub targets: usize,
}

/// What the model thought of one target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The row of the target.
    pub row: usize,
    /// Natural logarithm of the target's probability.
    pub log_probability: f32,
    /// How many vocabulary entries had a higher logit; 0 when the target was the first choice.
    pub rank: u32,
}

vectorized! {
    fn count_above(logits: &[f32], limit: f32) -> u32 {
        logits.iter().map(|&logit| u32::from(logit > limit)).sum()
    }
}

/// The target as an index, if it is one of `classes`.
pub(crate) fn check_target(target: i32, classes: usize) -> Result<usize> {
    if target >= 0 && (target as usize) < classes {
        return Ok(target as usize);
    }
    Err(Error::Range {
        place: "label",
        value: target.to_string(),
        range: format!("0..{classes} (or {IGNORE} for none)"),
    })
}

/// The rows with targets, and how many of them make a chunk.
fn active(targets: &[i32], vocabulary: usize) -> Result<(Vec<u32>, usize)> {
    let mut rows = Vec::with_capacity(targets.len());
    for (row, &target) in (0u32..).zip(targets) {
        if target == IGNORE {
            continue;
        }
        check_target(target, vocabulary)?;
        rows.push(row);
    }
    let chunk = (CHUNK / vocabulary.max(1))
        .next_multiple_of(64)
        .clamp(64, 512);
    Ok((rows, chunk))
}

fn sizes(
    hidden: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    targets: &[i32],
) -> Result<(usize, usize, usize)> {
    let (tokens, width) = hidden.dims2()?;
    let (vocabulary, inner) = weight.dims2()?;
    same_size("language model head width", inner, width)?;
    same_size("labels", tokens, targets.len())?;
    if let Some(bias) = bias {
        same_size("language model head bias", vocabulary, bias.elem_count())?;
    }
    Ok((tokens, width, vocabulary))
}

/// Loss and gradients: returns the loss and the gradient of `hidden` `[tokens, hidden]`, and adds those of `weight`
/// `[vocabulary, hidden]` and `bias` `[vocabulary]` to theirs, if given; one that is `None` costs nothing. All gradients
/// are of `factor · sum`; give 1 / (targets of the whole step) for the mean. `targets[row]` is the id that row predicts,
/// or [`IGNORE`].
#[allow(
    clippy::too_many_arguments,
    reason = "a backward names its operands one by one"
)]
pub fn forward_backward(
    workspace: &Workspace,
    hidden: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    targets: &[i32],
    factor: f32,
    weight_gradient: Option<&Tensor>,
    bias_gradient: Option<&Tensor>,
) -> Result<(Loss, Tensor)> {
    let (tokens, width, vocabulary) = sizes(hidden, weight, bias, targets)?;
    let (rows, chunk) = active(targets, vocabulary)?;
    if composed::takes(hidden) {
        let (sum, d_hidden) = composed::linear_cross_entropy::forward_backward(
            hidden,
            weight,
            bias,
            targets,
            &rows,
            factor,
            weight_gradient,
            bias_gradient,
            workspace.precision(),
        )?;
        let targets = rows.len();
        return Ok((Loss { sum, targets }, d_hidden));
    }
    let (hidden, weight) = (Read::new(hidden)?, Read::new(weight)?);
    let bias = bias.map(Read::new).transpose()?;
    let bias = bias.as_deref();
    let all = rows.len() == tokens;
    let mut d_hidden = if all {
        workspace.take(tokens * width)
    } else {
        workspace.zeros(tokens * width)
    };
    let mut sum = 0.0;
    let mut logits = workspace.take(chunk.min(rows.len()) * vocabulary);
    let mut inputs = workspace.take(chunk.min(rows.len()) * width);
    let mut gradients = workspace.take(chunk.min(rows.len()) * width);
    for rows in rows.chunks(chunk) {
        let count = rows.len();
        let inputs = &mut inputs[..count * width];
        let logits = &mut logits[..count * vocabulary];
        let gradients = &mut gradients[..count * width];
        gather_into(inputs, &hidden, rows, width);
        let inputs = Matrix::new(inputs, count, width);
        let weight = Matrix::new(&weight, vocabulary, width);
        parallel_multiply(workspace, logits, inputs, weight.transposed(), bias);
        let losses: Vec<f64> = logits
            .par_chunks_mut(vocabulary)
            .zip(rows)
            .with_min_len(8)
            .map(|(logits, &row)| {
                let target = targets[row as usize] as usize;
                let largest = maximum(logits);
                let logit = logits[target] - largest;
                let sum = exp_shifted(logits, largest);
                scale(logits, factor / sum);
                logits[target] -= factor;
                f64::from(sum.ln() - logit)
            })
            .collect();
        sum += losses.iter().sum::<f64>();
        let slopes = Matrix::new(logits, count, vocabulary);
        parallel_multiply(workspace, gradients, slopes, weight, None);
        if let Some(gradient) = weight_gradient {
            write(gradient, |gradient| {
                parallel_accumulate(workspace, gradient, slopes.transposed(), inputs);
            })?;
        }
        if let Some(gradient) = bias_gradient {
            add_rows(workspace, logits, vocabulary, vocabulary, gradient)?;
        }
        for (gradient, &row) in gradients.chunks_exact(width).zip(rows) {
            d_hidden[row as usize * width..][..width].copy_from_slice(gradient);
        }
    }
    workspace.give(logits);
    workspace.give(inputs);
    workspace.give(gradients);
    let loss = Loss {
        sum,
        targets: rows.len(),
    };
    Ok((loss, tensor_of(d_hidden, (tokens, width))?))
}

/// Log-probability and rank of every target, in the order of the rows. No gradients.
pub fn scores(
    workspace: &Workspace,
    hidden: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    targets: &[i32],
) -> Result<Vec<Score>> {
    let (_, width, vocabulary) = sizes(hidden, weight, bias, targets)?;
    let (rows, chunk) = active(targets, vocabulary)?;
    if composed::takes(hidden) {
        let found = composed::linear_cross_entropy::scores(
            hidden,
            weight,
            bias,
            targets,
            &rows,
            workspace.precision(),
        )?;
        return Ok(found
            .into_iter()
            .zip(rows)
            .map(|((log_probability, rank), row)| Score {
                row: row as usize,
                log_probability,
                rank,
            })
            .collect());
    }
    let (hidden, weight) = (Read::new(hidden)?, Read::new(weight)?);
    let bias = bias.map(Read::new).transpose()?;
    let bias = bias.as_deref();
    let mut scores = Vec::with_capacity(rows.len());
    let mut logits = workspace.take(chunk.min(rows.len()) * vocabulary);
    let mut inputs = workspace.take(chunk.min(rows.len()) * width);
    let parts: Vec<Range<usize>> = (0..rows.len())
        .step_by(chunk)
        .map(|start| start..(start + chunk).min(rows.len()))
        .collect();
    for part in parts {
        let rows = &rows[part];
        let inputs = &mut inputs[..rows.len() * width];
        let logits = &mut logits[..rows.len() * vocabulary];
        gather_into(inputs, &hidden, rows, width);
        let inputs = Matrix::new(inputs, rows.len(), width);
        let weight = Matrix::new(&weight, vocabulary, width);
        parallel_multiply(workspace, logits, inputs, weight.transposed(), bias);
        scores.par_extend(logits.par_chunks(vocabulary).zip(rows).with_min_len(8).map(
            |(logits, &row)| {
                let logit = logits[targets[row as usize] as usize];
                let largest = maximum(logits);
                let sum = sum_exp_shifted(logits, largest);
                Score {
                    row: row as usize,
                    log_probability: logit - largest - sum.ln(),
                    rank: count_above(logits, logit),
                }
            },
        ));
    }
    workspace.give(logits);
    workspace.give(inputs);
    Ok(scores)
}
