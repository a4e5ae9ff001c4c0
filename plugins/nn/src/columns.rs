//! Some columns of a matrix, each with a number of its own: the scaling of a map's outputs or inputs (IA3, Liu et al.
//! 2022; DoRA's magnitude, Liu et al. 2024) and the sums over tokens that its gradients are. What the numbers are is left
//! to the model.

use std::ops::Range;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::{Read, write};
use crate::vectorized::vectorized;
use crate::workspace::tensor_of;
use crate::{Error, Result, Workspace, composed};

/// Rows of one piece of work, and of one partial sum.
const ROWS: usize = 64;

vectorized! {
    fn scale_row(values: &mut [f32], factors: &[f32]) {
        for (value, factor) in values.iter_mut().zip(factors) {
            *value *= factor;
        }
    }

    fn scale_add_row(values: &mut [f32], factors: &[f32], addends: &[f32]) {
        for ((value, factor), addend) in values.iter_mut().zip(factors).zip(addends) {
            *value = *value * factor + addend;
        }
    }

    fn add_products(sums: &mut [f32], a: &[f32], b: &[f32]) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
}

fn check(columns: &Range<usize>, width: usize) -> Result<()> {
    if columns.start <= columns.end && columns.end <= width {
        return Ok(());
    }
    Err(Error::Range {
        place: "columns",
        value: format!("{columns:?}"),
        range: format!("0..{width}"),
    })
}

/// Columns `columns` of `x` `[rows, width]` times `factors`, plus `addends` if there are any, in place.
///
/// # Errors
/// When the columns lie outside `x`, or there is not one factor and one addend for each.
pub fn scale(
    x: &Tensor,
    columns: Range<usize>,
    factors: &[f32],
    addends: Option<&[f32]>,
) -> Result<()> {
    let (_, width) = x.dims2()?;
    check(&columns, width)?;
    same_size("factors of columns", columns.len(), factors.len())?;
    if let Some(addends) = addends {
        same_size("addends of columns", columns.len(), addends.len())?;
    }
    if composed::takes(x) {
        return composed::columns::scale(x, columns, factors, addends);
    }
    write(x, |values| {
        values.par_chunks_mut(ROWS * width.max(1)).for_each(|rows| {
            for row in rows.chunks_exact_mut(width.max(1)) {
                let row = &mut row[columns.clone()];
                match addends {
                    Some(addends) => scale_add_row(row, factors, addends),
                    None => scale_row(row, factors),
                }
            }
        });
    })
}

/// Columns `columns` of `x` `[rows, width]` as a matrix of their own.
///
/// # Errors
/// When the columns lie outside `x`.
pub fn copy(workspace: &Workspace, x: &Tensor, columns: Range<usize>) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    check(&columns, width)?;
    if composed::takes(x) {
        let part = x.narrow(1, columns.start, columns.len())?;
        return Ok(part.force_contiguous()?);
    }
    let values = Read::new(x)?;
    let mut out = workspace.take(rows * columns.len());
    out.par_chunks_mut(columns.len().max(1))
        .zip(values.par_chunks(width.max(1)))
        .with_min_len(ROWS)
        .for_each(|(out, row)| out.copy_from_slice(&row[columns.clone()]));
    drop(values);
    tensor_of(out, (rows, columns.len()))
}

/// Σ over rows of columns `columns` of `x` `[rows, width]` times `y` `[rows, columns]`, or of the columns alone: one
/// number a column, summed in an order fixed by the shape.
///
/// # Errors
/// When the columns lie outside `x`, or `y` does not fit them.
pub fn sums(x: &Tensor, columns: Range<usize>, y: Option<&Tensor>) -> Result<Vec<f32>> {
    let (rows, width) = x.dims2()?;
    check(&columns, width)?;
    if let Some(y) = y {
        same_size("factors of sums", rows * columns.len(), y.elem_count())?;
    }
    if composed::takes(x) {
        return composed::columns::sums(x, columns, y);
    }
    let count = columns.len();
    let x = Read::new(x)?;
    let y = y.map(Read::new).transpose()?;
    let ones = vec![1.0; if y.is_some() { 0 } else { count }];
    let partial: Vec<Vec<f32>> = x
        .par_chunks(ROWS * width.max(1))
        .enumerate()
        .map(|(piece, rows)| {
            let mut sums = vec![0.0; count];
            for (index, row) in rows.chunks_exact(width.max(1)).enumerate() {
                let factors = match &y {
                    Some(y) => &y[(piece * ROWS + index) * count..][..count],
                    None => &ones[..],
                };
                add_products(&mut sums, &row[columns.clone()], factors);
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; count];
    for piece in &partial {
        crate::vectorized::add(&mut sums, piece);
    }
    Ok(sums)
}
