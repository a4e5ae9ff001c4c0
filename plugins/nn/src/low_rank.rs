//! Low-rank additions to a linear map, y += factor · (h·Bᵀ) with h = x·Aᵀ (Hu et al. 2021). Maps that read the same input
//! have their A's one behind the other, so that h is one product for all of them; each adds to its own columns of y.
//!
//! h is kept as its transpose `[ranks, tokens]`: then every product reads its large operand once and in order, instead
//! of packing it for a few columns. Which maps have additions is left to the model.

use std::ops::Range;

use candle_core::Tensor;

use crate::error::same_size;
use crate::matmul::{Matrix, parallel_narrow};
use crate::storage::{Read, write};
use crate::workspace::tensor_of;
use crate::{Error, Result, Workspace, composed};

/// The addition to some of the outputs.
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    /// Which rows of A, and so of h, are its own.
    pub ranks: Range<usize>,
    /// To which columns of y it is added.
    pub outputs: Range<usize>,
    /// B `[outputs, ranks]`.
    pub b: &'a Tensor,
    /// By what it is multiplied: α/r in LoRA.
    pub factor: f32,
}

impl Pair<'_> {
    fn check(&self, ranks: usize, outputs: usize) -> Result<()> {
        for (place, range, end) in [
            ("ranks of a low-rank pair", &self.ranks, ranks),
            ("outputs of a low-rank pair", &self.outputs, outputs),
        ] {
            if range.start > range.end || range.end > end {
                return Err(Error::Range {
                    place,
                    value: format!("{range:?}"),
                    range: format!("0..{end}"),
                });
            }
        }
        let (rows, columns) = self.b.dims2()?;
        same_size("low-rank B, outputs", self.outputs.len(), rows)?;
        same_size("low-rank B, rank", self.ranks.len(), columns)
    }
}

/// h = x·Aᵀ of `x` `[tokens, in]` and A `[ranks, in]`, transposed: `[ranks, tokens]`.
pub fn inner(workspace: &Workspace, x: &Tensor, a: &Tensor) -> Result<Tensor> {
    let ((tokens, width), (ranks, inputs)) = (x.dims2()?, a.dims2()?);
    same_size("low-rank input", inputs, width)?;
    if composed::takes(x) {
        return Ok(a.matmul(&x.t()?)?);
    }
    let (x, a) = (Read::new(x)?, Read::new(a)?);
    let mut h = workspace.take(ranks * tokens);
    let operands = (
        Matrix::new(&a, ranks, inputs),
        Matrix::new(&x, tokens, inputs).transposed(),
    );
    parallel_narrow(workspace, &mut h, tokens, operands, 1.0, false);
    tensor_of(h, (ranks, tokens))
}

/// Adds factor · (h·Bᵀ) of every pair to its columns of `y` `[tokens, out]`, in place.
pub fn outer(workspace: &Workspace, y: &Tensor, h: &Tensor, pairs: &[Pair<'_>]) -> Result<()> {
    let ((tokens, width), (ranks, columns)) = (y.dims2()?, h.dims2()?);
    same_size("low-rank h, tokens", tokens, columns)?;
    for pair in pairs {
        pair.check(ranks, width)?;
        let (rank, outputs) = (pair.ranks.len(), pair.outputs.len());
        if composed::takes(y) {
            composed::low_rank::outer(y, h, pair)?;
            continue;
        }
        let (h, b) = (Read::new(h)?, Read::new(pair.b)?);
        let operands = (
            Matrix::new(&h, ranks, tokens)
                .rows(pair.ranks.start, rank)
                .transposed(),
            Matrix::new(&b, outputs, rank).transposed(),
        );
        write(y, |y| {
            let y = y.get_mut(pair.outputs.start..).unwrap_or(&mut []);
            parallel_narrow(workspace, y, width, operands, pair.factor, true);
        })?;
    }
    Ok(())
}

/// From the gradient `dy` `[tokens, out]`: adds those of each pair's B to `gradients` (one for each pair; `None` costs
/// nothing), and gives that of h, transposed: `[ranks, tokens]`. Rows of h that belong to no pair get zeros.
pub fn backward_outer(
    workspace: &Workspace,
    dy: &Tensor,
    h: &Tensor,
    pairs: &[Pair<'_>],
    gradients: &[Option<&Tensor>],
) -> Result<Tensor> {
    let ((tokens, width), (ranks, columns)) = (dy.dims2()?, h.dims2()?);
    same_size("low-rank h, tokens", tokens, columns)?;
    same_size("low-rank gradients", pairs.len(), gradients.len())?;
    for pair in pairs {
        pair.check(ranks, width)?;
    }
    if composed::takes(dy) {
        return composed::low_rank::backward_outer(dy, h, pairs, gradients);
    }
    let (dy, h) = (Read::new(dy)?, Read::new(h)?);
    let mut dh = workspace.zeros(ranks * tokens);
    for (pair, gradient) in pairs.iter().zip(gradients) {
        let (rank, outputs) = (pair.ranks.len(), pair.outputs.len());
        let dy = dy.get(pair.outputs.start..).unwrap_or(&[]);
        let dy = Matrix::strided(dy, tokens, outputs, width);
        if let Some(gradient) = gradient {
            same_size("low-rank B gradient", outputs * rank, gradient.elem_count())?;
            let rows = Matrix::new(&h, ranks, tokens).rows(pair.ranks.start, rank);
            let mut transposed = workspace.take(rank * outputs);
            parallel_narrow(
                workspace,
                &mut transposed,
                outputs,
                (rows, dy),
                pair.factor,
                false,
            );
            write(gradient, |gradient| {
                add_transposed(gradient, &transposed, rank);
            })?;
            workspace.give(transposed);
        }
        let b = Read::new(pair.b)?;
        let mut transposed = workspace.zeros(rank * outputs);
        for (index, row) in b.chunks_exact(rank.max(1)).enumerate() {
            for (rank, value) in row.iter().enumerate() {
                transposed[rank * outputs + index] = *value;
            }
        }
        let operands = (Matrix::new(&transposed, rank, outputs), dy.transposed());
        let dh = &mut dh[pair.ranks.start * tokens..pair.ranks.end * tokens];
        parallel_narrow(workspace, dh, tokens, operands, pair.factor, true);
        workspace.give(transposed);
    }
    tensor_of(dh, (ranks, tokens))
}

/// `target` `[columns, rows]` += the transpose of `source` `[rows, columns]`.
fn add_transposed(target: &mut [f32], source: &[f32], rows: usize) {
    let columns = source.len() / rows.max(1);
    for (index, target) in target.chunks_exact_mut(rows.max(1)).enumerate() {
        for (row, value) in target.iter_mut().enumerate() {
            *value += source[row * columns + index];
        }
    }
}

/// Adds the gradient of the rows `ranks` of A to `gradient` `[ranks, in]`, from those of h `[all ranks, tokens]`.
pub fn backward_inner(
    workspace: &Workspace,
    dh: &Tensor,
    ranks: Range<usize>,
    x: &Tensor,
    gradient: &Tensor,
) -> Result<()> {
    let ((tokens, inputs), (all, columns)) = (x.dims2()?, dh.dims2()?);
    same_size("low-rank h, tokens", tokens, columns)?;
    if ranks.start > ranks.end || ranks.end > all {
        return Err(Error::Range {
            place: "ranks of a low-rank gradient",
            value: format!("{ranks:?}"),
            range: format!("0..{all}"),
        });
    }
    same_size(
        "low-rank A gradient",
        ranks.len() * inputs,
        gradient.elem_count(),
    )?;
    if composed::takes(x) {
        let dh = dh.narrow(0, ranks.start, ranks.len())?;
        return composed::add_to(gradient, &dh.matmul(x)?);
    }
    let (dh, x) = (Read::new(dh)?, Read::new(x)?);
    let operands = (
        Matrix::new(&dh, all, tokens).rows(ranks.start, ranks.len()),
        Matrix::new(&x, tokens, inputs),
    );
    write(gradient, |gradient| {
        parallel_narrow(workspace, gradient, inputs, operands, 1.0, true);
    })
}

/// Adds dh·A to `dx` `[tokens, in]`, in place.
pub fn backward_input(workspace: &Workspace, dx: &Tensor, dh: &Tensor, a: &Tensor) -> Result<()> {
    let ((tokens, width), (ranks, columns)) = (dx.dims2()?, dh.dims2()?);
    let (rows, inputs) = a.dims2()?;
    same_size("low-rank h, tokens", tokens, columns)?;
    same_size("low-rank A, ranks", ranks, rows)?;
    same_size("low-rank input gradient", inputs, width)?;
    if composed::takes(dx) {
        return composed::add_to(dx, &dh.t()?.matmul(a)?);
    }
    let (dh, a) = (Read::new(dh)?, Read::new(a)?);
    let operands = (
        Matrix::new(&dh, ranks, tokens).transposed(),
        Matrix::new(&a, ranks, inputs),
    );
    write(dx, |dx| {
        parallel_narrow(workspace, dx, inputs, operands, 1.0, true);
    })
}
