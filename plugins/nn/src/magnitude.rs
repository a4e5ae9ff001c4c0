//! The norm of each row of an adapted weight, W + factor·B·A, without that sum (DoRA, Liu et al. 2024): it follows from
//! ‖W‖², W·Aᵀ and A·Aᵀ, which cost as much as a few tokens. Gradients do not go through it, as in PEFT.

use std::ops::Range;

use candle_core::Tensor;

use crate::error::same_size;
use crate::linear::Orientation;
use crate::matmul::{Matrix, parallel_narrow};
use crate::storage::Read;
use crate::vectorized::dot;
use crate::{Error, Result, Workspace, composed};

/// What is added to the weight: factor · B `[outputs, rank]` · A `[rank, in]`.
#[derive(Debug, Clone, Copy)]
pub struct Addition<'a> {
    /// A `[rank, in]`.
    pub a: &'a Tensor,
    /// B `[outputs, rank]`.
    pub b: &'a Tensor,
    /// By what the product is multiplied.
    pub factor: f32,
}

/// Norms of what a weight with `addition` multiplies its input with, for each of the outputs `outputs`.
///
/// # Errors
/// When the outputs lie outside the weight, or the addition does not fit it.
pub fn norms(
    workspace: &Workspace,
    weight: &Tensor,
    outputs: Range<usize>,
    orientation: Orientation,
    addition: Option<Addition<'_>>,
) -> Result<Vec<f32>> {
    let (inputs, all) = orientation.sizes(weight)?;
    if outputs.start > outputs.end || outputs.end > all {
        return Err(Error::Range {
            place: "outputs of a weight",
            value: format!("{outputs:?}"),
            range: format!("0..{all}"),
        });
    }
    if let Some(Addition { a, b, .. }) = addition {
        let ((rank, width), (rows, columns)) = (a.dims2()?, b.dims2()?);
        same_size("addition's A, in", inputs, width)?;
        same_size("addition's B, outputs", outputs.len(), rows)?;
        same_size("addition's B, rank", rank, columns)?;
    }
    if composed::takes(weight) {
        return composed::magnitude::norms(weight, outputs, orientation, addition);
    }
    let weight = Read::new(weight)?;
    // As a matrix [outputs, in].
    let rows = match orientation {
        Orientation::OutIn => Matrix::new(&weight, all, inputs),
        Orientation::InOut => Matrix::new(&weight, inputs, all).transposed(),
    };
    let rows = rows.rows(outputs.start, outputs.len());
    let mut squares = squares(&weight, &outputs, (inputs, all), orientation);
    if let Some(addition) = addition {
        add(workspace, &mut squares, rows, inputs, addition)?;
    }
    // Rounding may leave less than nothing of a row that the addition takes away.
    Ok(squares
        .into_iter()
        .map(|square| square.max(0.0).sqrt() as f32)
        .collect())
}

fn squares(
    weight: &[f32],
    outputs: &Range<usize>,
    (inputs, all): (usize, usize),
    orientation: Orientation,
) -> Vec<f64> {
    match orientation {
        Orientation::OutIn => weight
            .chunks_exact(inputs.max(1))
            .skip(outputs.start)
            .take(outputs.len())
            .map(|row| f64::from(dot(row, row)))
            .collect(),
        Orientation::InOut => {
            let mut squares = vec![0.0; outputs.len()];
            for row in weight.chunks_exact(all.max(1)) {
                for (square, &value) in squares.iter_mut().zip(&row[outputs.clone()]) {
                    *square += f64::from(value) * f64::from(value);
                }
            }
            squares
        }
    }
}

/// ‖w + f·bA‖² = ‖w‖² + 2f·b·(A·w) + f²·b·(A·Aᵀ)·b for each row w of the weight and b of B.
fn add(
    workspace: &Workspace,
    squares: &mut [f64],
    weight: Matrix<'_>,
    inputs: usize,
    addition: Addition<'_>,
) -> Result<()> {
    let rank = addition.a.dims2()?.0;
    let (a, b) = (Read::new(addition.a)?, Read::new(addition.b)?);
    let inner = Matrix::new(&a, rank, inputs).transposed();
    let mut with_weight = workspace.take(squares.len() * rank);
    parallel_narrow(
        workspace,
        &mut with_weight,
        rank,
        (weight, inner),
        1.0,
        false,
    );
    let mut with_itself = workspace.take(rank * rank);
    let rows = Matrix::new(&a, rank, inputs);
    parallel_narrow(workspace, &mut with_itself, rank, (rows, inner), 1.0, false);
    let factor = f64::from(addition.factor);
    let rows = b
        .chunks_exact(rank.max(1))
        .zip(with_weight.chunks_exact(rank.max(1)));
    for (square, (b, with_weight)) in squares.iter_mut().zip(rows) {
        let (mut linear, mut quadratic) = (0.0, 0.0);
        for ((&value, &with_weight), row) in b
            .iter()
            .zip(with_weight)
            .zip(with_itself.chunks_exact(rank.max(1)))
        {
            let value = f64::from(value);
            linear += value * f64::from(with_weight);
            quadratic += value * f64::from(dot(b, row));
        }
        *square += 2.0 * factor * linear + factor * factor * quadratic;
    }
    workspace.give(with_weight);
    workspace.give(with_itself);
    Ok(())
}
