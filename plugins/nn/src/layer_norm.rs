//! The residual sum and its layer norm in one pass (Ba, Kiros and Hinton 2016). The variance is taken in a second
//! pass over the row, since `E[x²]`−mean² loses all digits where the mean is large. Dropout before it is left to others.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::{Read, write};
use crate::vectorized::{add, lane_sum, vectorized};
use crate::workspace::tensor_of;
use crate::{Result, Workspace, composed};

/// Rows of one piece of work; partial sums of the weight gradients are kept for each piece.
const ROWS: usize = 64;

/// What backward needs beside the input: mean and reciprocal deviation of each row.
#[derive(Debug)]
pub struct Saved {
    statistics: Vec<f32>,
    epsilon: f32,
}

vectorized! {
    fn forward_rows(out: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, statistics: &mut [f32]) {
        let width = weight.len();
        for ((out, x), statistics) in out
            .chunks_exact_mut(width)
            .zip(x.chunks_exact(width))
            .zip(statistics.chunks_exact_mut(2))
        {
            let mean = lane_sum(width, |i| x[i]) / width as f32;
            let variance = lane_sum(width, |i| (x[i] - mean) * (x[i] - mean)) / width as f32;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for (((out, &x), &weight), &bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                *out = (x - mean) * scale * weight + bias;
            }
            statistics[0] = mean;
            statistics[1] = scale;
        }
    }

    fn backward_rows(dy: &mut [f32], x: &[f32], weight: &[f32], statistics: &[f32], d_weight: &mut [f32], d_bias: &mut [f32]) {
        let width = weight.len();
        for ((dy, x), statistics) in dy
            .chunks_exact_mut(width)
            .zip(x.chunks_exact(width))
            .zip(statistics.chunks_exact(2))
        {
            let (mean, scale) = (statistics[0], statistics[1]);
            for (((&dy, &x), d_weight), d_bias) in
                dy.iter().zip(x).zip(d_weight.iter_mut()).zip(d_bias.iter_mut())
            {
                *d_weight += dy * (x - mean) * scale;
                *d_bias += dy;
            }
            let (row, normed) = (&*dy, |i: usize| (x[i] - mean) * scale);
            let sum = lane_sum(width, |i| row[i] * weight[i]) / width as f32;
            let product = lane_sum(width, |i| row[i] * weight[i] * normed(i)) / width as f32;
            for ((dy, &x), &weight) in dy.iter_mut().zip(x).zip(weight) {
                *dy = (*dy * weight - sum - (x - mean) * scale * product) * scale;
            }
        }
    }
}

/// Makes `x` `[tokens, hidden]` the sum `x + residual`, in place, and returns its norm.
pub fn forward(
    workspace: &Workspace,
    x: &Tensor,
    residual: Option<&Tensor>,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f32,
) -> Result<(Tensor, Saved)> {
    if composed::takes(x) {
        let out = composed::norm::layer_norm(x, residual, weight, bias, epsilon)?;
        return Ok((
            out,
            Saved {
                statistics: Vec::new(),
                epsilon,
            },
        ));
    }
    let (tokens, width) = x.dims2()?;
    let (weight, bias) = (Read::new(weight)?, Read::new(bias)?);
    let (weight, bias) = (&*weight, &*bias);
    same_size("layer norm weight", width, weight.len())?;
    same_size("layer norm bias", width, bias.len())?;
    let residual = residual.map(Read::new).transpose()?;
    let residual = residual.as_deref();
    if let Some(residual) = residual {
        same_size("layer norm residual", tokens * width, residual.len())?;
    }
    let mut out = workspace.take(tokens * width);
    let mut statistics = vec![0.0; 2 * tokens];
    let piece = ROWS * width.max(1);
    write(x, |x| {
        out.par_chunks_mut(piece)
            .zip(x.par_chunks_mut(piece))
            .zip(statistics.par_chunks_mut(2 * ROWS))
            .enumerate()
            .for_each(|(index, ((out, x), statistics))| {
                if let Some(residual) = residual {
                    add(x, &residual[index * piece..][..x.len()]);
                }
                forward_rows(out, x, weight, bias, epsilon, statistics);
            });
    })?;
    Ok((
        tensor_of(out, (tokens, width))?,
        Saved {
            statistics,
            epsilon,
        },
    ))
}

/// Turns `dy`, the gradient of the norm, into that of the sum, in place, and adds `stream`, the gradient that reaches
/// the sum past the norm. `x` is the sum that forward left. Adds the gradients of weight and bias to theirs.
#[allow(
    clippy::too_many_arguments,
    reason = "a backward names its operands one by one"
)]
pub fn backward(
    workspace: &Workspace,
    dy: &Tensor,
    x: &Tensor,
    saved: &Saved,
    weight: &Tensor,
    stream: Option<&Tensor>,
    weight_gradient: Option<&Tensor>,
    bias_gradient: Option<&Tensor>,
) -> Result<()> {
    if composed::takes(dy) {
        return composed::norm::layer_norm_backward(
            dy,
            x,
            weight,
            saved.epsilon,
            stream,
            weight_gradient,
            bias_gradient,
        );
    }
    let (tokens, width) = x.dims2()?;
    let (x, weight) = (Read::new(x)?, Read::new(weight)?);
    let (x, weight) = (&*x, &*weight);
    same_size("layer norm weight", width, weight.len())?;
    let stream = stream.map(Read::new).transpose()?;
    let stream = stream.as_deref();
    if let Some(stream) = stream {
        same_size("layer norm stream", tokens * width, stream.len())?;
    }
    let pieces = tokens.div_ceil(ROWS);
    // Without sums to add to, the loop over them ends before it begins: frozen weights cost nothing.
    let trains = weight_gradient.is_some() || bias_gradient.is_some();
    let mut partial = workspace.zeros(if trains { pieces * 2 * width } else { 0 });
    let mut sums: Vec<&mut [f32]> = partial.chunks_mut(2 * width.max(1)).collect();
    sums.resize_with(pieces, Default::default);
    let piece = ROWS * width.max(1);
    write(dy, |dy| -> Result<()> {
        same_size("layer norm output gradient", tokens * width, dy.len())?;
        dy.par_chunks_mut(piece)
            .zip(x.par_chunks(piece))
            .zip(saved.statistics.par_chunks(2 * ROWS))
            .zip(sums)
            .enumerate()
            .for_each(|(index, (((dy, x), statistics), sums))| {
                let (d_weight, d_bias) = sums.split_at_mut(sums.len() / 2);
                backward_rows(dy, x, weight, statistics, d_weight, d_bias);
                if let Some(stream) = stream {
                    add(dy, &stream[index * piece..][..dy.len()]);
                }
            });
        Ok(())
    })??;
    for (gradient, columns) in [
        (weight_gradient, 0..width),
        (bias_gradient, width..2 * width),
    ] {
        if let Some(gradient) = gradient {
            write(gradient, |gradient| {
                for part in partial.chunks(2 * width.max(1)) {
                    add(gradient, &part[columns.clone()]);
                }
            })?;
        }
    }
    workspace.give(partial);
    Ok(())
}
