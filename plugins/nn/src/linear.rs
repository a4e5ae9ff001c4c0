//! y = x·W + b, with the weight as PyTorch's `Linear` or as GPT-2's `Conv1D` keeps it. Activations are left to others.

use std::ops::Range;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::matmul::{Matrix, parallel_accumulate, parallel_multiply};
use crate::storage::{Read, write};
use crate::vectorized::add;
use crate::workspace::tensor_of;
use crate::{Error, Result, Workspace, composed};

/// How a weight lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    /// `[out, in]`, as `torch.nn.Linear`.
    OutIn,
    /// `[in, out]`, as Transformers' `Conv1D` in GPT-2.
    InOut,
}

impl Orientation {
    /// (in, out) of a weight of this shape.
    pub fn sizes(self, weight: &Tensor) -> Result<(usize, usize)> {
        let (rows, columns) = weight.dims2()?;
        Ok(match self {
            Self::OutIn => (columns, rows),
            Self::InOut => (rows, columns),
        })
    }

    /// The weight as a matrix `[in, out]`.
    fn in_out(self, weight: &[f32], inner: usize, outer: usize) -> Matrix<'_> {
        match self {
            Self::OutIn => Matrix::new(weight, outer, inner).transposed(),
            Self::InOut => Matrix::new(weight, inner, outer),
        }
    }
}

/// `x` `[tokens, in]` → `[tokens, out]`.
pub fn forward(
    workspace: &Workspace,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    orientation: Orientation,
) -> Result<Tensor> {
    let (tokens, width) = x.dims2()?;
    let (inner, outer) = orientation.sizes(weight)?;
    same_size("linear input", inner, width)?;
    if composed::takes(x) {
        return composed::linear::forward(x, weight, bias, orientation, workspace.precision());
    }
    let (x, weight) = (Read::new(x)?, Read::new(weight)?);
    let bias = bias.map(Read::new).transpose()?;
    let bias = bias.as_deref();
    if let Some(bias) = bias {
        same_size("linear bias", outer, bias.len())?;
    }
    let mut out = workspace.take(tokens * outer);
    parallel_multiply(
        workspace,
        &mut out,
        Matrix::new(&x, tokens, inner),
        orientation.in_out(&weight, inner, outer),
        bias,
    );
    tensor_of(out, (tokens, outer))
}

/// The gradient of the input `[tokens, in]`, from that of the output `dy` `[tokens, out]`.
pub fn backward_input(
    workspace: &Workspace,
    dy: &Tensor,
    weight: &Tensor,
    orientation: Orientation,
) -> Result<Tensor> {
    let (tokens, width) = dy.dims2()?;
    let (inner, outer) = orientation.sizes(weight)?;
    same_size("linear output gradient", outer, width)?;
    if composed::takes(dy) {
        return composed::linear::backward_input(dy, weight, orientation, workspace.precision());
    }
    let (dy, weight) = (Read::new(dy)?, Read::new(weight)?);
    let mut dx = workspace.take(tokens * inner);
    parallel_multiply(
        workspace,
        &mut dx,
        Matrix::new(&dy, tokens, outer),
        orientation.in_out(&weight, inner, outer).transposed(),
        None,
    );
    tensor_of(dx, (tokens, inner))
}

/// Adds the gradients of weight and bias to `gradient` (of the weight's shape) and `bias_gradient` `[out]`; one that
/// is `None` costs nothing.
pub fn backward_weight(
    workspace: &Workspace,
    dy: &Tensor,
    x: &Tensor,
    gradient: Option<&Tensor>,
    bias_gradient: Option<&Tensor>,
    orientation: Orientation,
) -> Result<()> {
    let all = 0..dy.dims2()?.1;
    backward_weight_part(workspace, dy, all, x, gradient, bias_gradient, orientation)
}

/// [`backward_weight`] for the outputs `outputs` alone, of a weight whose other parts are frozen: query, key and value in
/// one, of which only the value trains. The gradients are those of that part: `[outputs, in]` or `[in, outputs]`, and
/// `[outputs]`.
pub fn backward_weight_part(
    workspace: &Workspace,
    dy: &Tensor,
    outputs: Range<usize>,
    x: &Tensor,
    gradient: Option<&Tensor>,
    bias_gradient: Option<&Tensor>,
    orientation: Orientation,
) -> Result<()> {
    let (tokens, inner) = x.dims2()?;
    let (rows, outer) = dy.dims2()?;
    same_size("linear output gradient", tokens, rows)?;
    if outputs.start > outputs.end || outputs.end > outer {
        return Err(Error::Range {
            place: "outputs of a linear part",
            value: format!("{outputs:?}"),
            range: format!("0..{outer}"),
        });
    }
    if gradient.is_none() && bias_gradient.is_none() || outputs.is_empty() {
        return Ok(());
    }
    if composed::takes(dy) {
        let dy = dy.narrow(1, outputs.start, outputs.len())?.contiguous()?;
        return composed::linear::backward_weight(
            &dy,
            x,
            gradient,
            bias_gradient,
            orientation,
            workspace.precision(),
        );
    }
    let (dy, x) = (Read::new(dy)?, Read::new(x)?);
    let dy = dy.get(outputs.start..).unwrap_or(&[]);
    if let Some(gradient) = gradient {
        let sizes = orientation.sizes(gradient)?;
        same_size("linear weight gradient, in", inner, sizes.0)?;
        same_size("linear weight gradient, out", outputs.len(), sizes.1)?;
        let outputs = Matrix::strided(dy, tokens, outputs.len(), outer);
        let inputs = Matrix::new(&x, tokens, inner);
        let (a, b) = match orientation {
            Orientation::OutIn => (outputs.transposed(), inputs),
            Orientation::InOut => (inputs.transposed(), outputs),
        };
        write(gradient, |gradient| {
            parallel_accumulate(workspace, gradient, a, b);
        })?;
    }
    if let Some(bias_gradient) = bias_gradient {
        add_rows(workspace, dy, outputs.len(), outer, bias_gradient)?;
    }
    Ok(())
}

/// Adds the sum of the rows of `values`, `width` of every `stride` elements, to `target` `[width]`, in an order fixed by
/// the shape.
pub(crate) fn add_rows(
    workspace: &Workspace,
    values: &[f32],
    width: usize,
    stride: usize,
    target: &Tensor,
) -> Result<()> {
    same_size("bias gradient", width, target.elem_count())?;
    const ROWS: usize = 128;
    const COLUMNS: usize = 2048;
    let block = ROWS * stride.max(1);
    let mut partial = workspace.zeros(values.len().div_ceil(block) * width);
    partial
        .par_chunks_mut(width.max(1))
        .zip(values.par_chunks(block))
        .for_each(|(partial, rows)| {
            // A head's bias is as wide as the vocabulary, with a chunk of few rows.
            partial
                .par_chunks_mut(COLUMNS)
                .enumerate()
                .for_each(|(index, part)| {
                    for row in rows.chunks(stride) {
                        add(part, &row[index * COLUMNS..][..part.len()]);
                    }
                });
        });
    write(target, |target| {
        partial
            .chunks(width.max(1))
            .for_each(|row| add(target, row));
    })?;
    workspace.give(partial);
    Ok(())
}
