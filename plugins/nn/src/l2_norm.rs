//! Rows of length 1: x / max(‖x‖, 1e-12), as `torch.nn.functional.normalize`. Pooling before it and cosines after it are
//! left to others.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::Read;
use crate::vectorized::{dot, vectorized};
use crate::workspace::tensor_of;
use crate::{Result, Workspace, composed};

/// The least length that a row is divided by; a row of zeros stays zero.
const LEAST: f32 = 1e-12;

/// What backward needs beside the output: the length of each row.
#[derive(Debug)]
pub struct Saved {
    lengths: Vec<f32>,
}

vectorized! {
    fn divide_row(out: &mut [f32], x: &[f32], length: f32) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x / length;
        }
    }

    fn backward_row(dx: &mut [f32], dy: &[f32], y: &[f32], along: f32, length: f32) {
        for ((dx, &dy), &y) in dx.iter_mut().zip(dy).zip(y) {
            *dx = (dy - y * along) / length;
        }
    }
}

/// The length of `row`, also where the squares of its elements leave the range of `f32`.
fn length(row: &[f32]) -> f32 {
    let square = dot(row, row);
    if square.is_normal() {
        return square.sqrt();
    }
    row.iter()
        .map(|&x| f64::from(x) * f64::from(x))
        .sum::<f64>()
        .sqrt() as f32
}

/// Each row of `x` `[rows, width]` divided by its length.
pub fn forward(workspace: &Workspace, x: &Tensor) -> Result<(Tensor, Saved)> {
    let (rows, width) = x.dims2()?;
    if composed::takes(x) {
        let lengths = composed::pooling::lengths(x)?;
        let out = composed::pooling::divide(x, &lengths, LEAST)?;
        return Ok((out, Saved { lengths }));
    }
    let values = Read::new(x)?;
    let mut out = workspace.take(rows * width);
    let mut lengths = vec![0.0; rows];
    out.par_chunks_mut(width.max(1))
        .zip(values.par_chunks(width.max(1)))
        .zip(&mut lengths)
        .with_min_len(16)
        .for_each(|((out, x), saved)| {
            *saved = length(x);
            divide_row(out, x, saved.max(LEAST));
        });
    Ok((tensor_of(out, (rows, width))?, Saved { lengths }))
}

/// The gradient of the input, from that of the output `dy`; `y` and `saved` are forward's.
pub fn backward(workspace: &Workspace, dy: &Tensor, y: &Tensor, saved: &Saved) -> Result<Tensor> {
    let (rows, width) = y.dims2()?;
    if composed::takes(dy) {
        return composed::pooling::divide_backward(dy, y, &saved.lengths, LEAST);
    }
    let (dy, y) = (Read::new(dy)?, Read::new(y)?);
    same_size("normalised output gradient", rows * width, dy.len())?;
    same_size("normalised rows", saved.lengths.len(), rows)?;
    let mut dx = workspace.take(rows * width);
    dx.par_chunks_mut(width.max(1))
        .zip(dy.par_chunks(width.max(1)))
        .zip(y.par_chunks(width.max(1)))
        .zip(&saved.lengths)
        .with_min_len(16)
        .for_each(|(((dx, dy), y), &length)| {
            // Below the least length the divisor is a constant, so nothing is taken away along the row.
            let along = if length < LEAST { 0.0 } else { dot(dy, y) };
            backward_row(dx, dy, y, along, length.max(LEAST));
        });
    tensor_of(dx, (rows, width))
}
