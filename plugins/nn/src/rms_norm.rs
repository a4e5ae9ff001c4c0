//! The residual sum and its root-mean-square norm in one pass (Zhang and Sennrich 2019), as Llama uses it.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::{Read, write};
use crate::vectorized::{add, lane_sum, vectorized};
use crate::workspace::tensor_of;
use crate::{Result, Workspace, composed};

/// Rows of one piece of work; partial sums of the weight gradient are kept for each piece.
const ROWS: usize = 64;

/// What backward needs beside the input: the reciprocal root mean square of each row.
#[derive(Debug)]
pub struct Saved {
    scales: Vec<f32>,
    epsilon: f32,
}

vectorized! {
    fn forward_rows(out: &mut [f32], x: &[f32], weight: &[f32], epsilon: f32, scales: &mut [f32]) {
        let width = weight.len();
        for ((out, x), saved) in out
            .chunks_exact_mut(width)
            .zip(x.chunks_exact(width))
            .zip(scales.iter_mut())
        {
            let square = lane_sum(width, |i| x[i] * x[i]) / width as f32;
            let scale = 1.0 / (square + epsilon).sqrt();
            for ((out, &x), &weight) in out.iter_mut().zip(x).zip(weight) {
                *out = x * scale * weight;
            }
            *saved = scale;
        }
    }

    fn backward_rows(dy: &mut [f32], x: &[f32], weight: &[f32], scales: &[f32], d_weight: &mut [f32]) {
        let width = weight.len();
        for ((dy, x), &scale) in dy.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(scales) {
            for ((&dy, &x), d_weight) in dy.iter().zip(x).zip(d_weight.iter_mut()) {
                *d_weight += dy * x * scale;
            }
            let row = &*dy;
            let product = lane_sum(width, |i| row[i] * weight[i] * x[i]) * scale * scale / width as f32;
            for ((dy, &x), &weight) in dy.iter_mut().zip(x).zip(weight) {
                *dy = (*dy * weight - x * product) * scale;
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
    epsilon: f32,
) -> Result<(Tensor, Saved)> {
    if composed::takes(x) {
        let out = composed::norm::rms_norm(x, residual, weight, epsilon)?;
        return Ok((
            out,
            Saved {
                scales: Vec::new(),
                epsilon,
            },
        ));
    }
    let (tokens, width) = x.dims2()?;
    let weight = Read::new(weight)?;
    let weight = &*weight;
    same_size("rms norm weight", width, weight.len())?;
    let residual = residual.map(Read::new).transpose()?;
    let residual = residual.as_deref();
    if let Some(residual) = residual {
        same_size("rms norm residual", tokens * width, residual.len())?;
    }
    let mut out = workspace.take(tokens * width);
    let mut scales = vec![0.0; tokens];
    let piece = ROWS * width.max(1);
    write(x, |x| {
        out.par_chunks_mut(piece)
            .zip(x.par_chunks_mut(piece))
            .zip(scales.par_chunks_mut(ROWS))
            .enumerate()
            .for_each(|(index, ((out, x), scales))| {
                if let Some(residual) = residual {
                    add(x, &residual[index * piece..][..x.len()]);
                }
                forward_rows(out, x, weight, epsilon, scales);
            });
    })?;
    Ok((tensor_of(out, (tokens, width))?, Saved { scales, epsilon }))
}

/// Turns `dy`, the gradient of the norm, into that of the sum, in place, and adds `stream`, the gradient that reaches
/// the sum past the norm. `x` is the sum that forward left. Adds the weight's gradient to its own.
pub fn backward(
    workspace: &Workspace,
    dy: &Tensor,
    x: &Tensor,
    saved: &Saved,
    weight: &Tensor,
    stream: Option<&Tensor>,
    weight_gradient: Option<&Tensor>,
) -> Result<()> {
    if composed::takes(dy) {
        return composed::norm::rms_norm_backward(
            dy,
            x,
            weight,
            saved.epsilon,
            stream,
            weight_gradient,
        );
    }
    let (tokens, width) = x.dims2()?;
    let (x, weight) = (Read::new(x)?, Read::new(weight)?);
    let (x, weight) = (&*x, &*weight);
    same_size("rms norm weight", width, weight.len())?;
    let stream = stream.map(Read::new).transpose()?;
    let stream = stream.as_deref();
    if let Some(stream) = stream {
        same_size("rms norm stream", tokens * width, stream.len())?;
    }
    let pieces = tokens.div_ceil(ROWS);
    // Without sums to add to, the loop over them ends before it begins: a frozen weight costs nothing.
    let trains = weight_gradient.is_some();
    let mut partial = workspace.zeros(if trains { pieces * width } else { 0 });
    let mut sums: Vec<&mut [f32]> = partial.chunks_mut(width.max(1)).collect();
    sums.resize_with(pieces, Default::default);
    let piece = ROWS * width.max(1);
    write(dy, |dy| -> Result<()> {
        same_size("rms norm output gradient", tokens * width, dy.len())?;
        dy.par_chunks_mut(piece)
            .zip(x.par_chunks(piece))
            .zip(saved.scales.par_chunks(ROWS))
            .zip(sums)
            .enumerate()
            .for_each(|(index, (((dy, x), scales), sums))| {
                backward_rows(dy, x, weight, scales, sums);
                if let Some(stream) = stream {
                    add(dy, &stream[index * piece..][..dy.len()]);
                }
            });
        Ok(())
    })??;
    if let Some(gradient) = weight_gradient {
        write(gradient, |gradient| {
            partial
                .chunks(width.max(1))
                .for_each(|part| add(gradient, part));
        })?;
    }
    workspace.give(partial);
    Ok(())
}
