//! Some rows of a matrix, and their gradients back in place: the last token of each sequence, the masked tokens, the
//! first part of a batch. Which rows is left to the model.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::Read;
use crate::vectorized::add;
use crate::workspace::tensor_of;
use crate::{Error, Result, Workspace, composed};

/// Row `rows[i]` of `x` `[tokens, width]` as row `i` of the result `[rows.len(), width]`.
///
/// # Errors
/// When a row lies outside `x`.
pub fn gather(workspace: &Workspace, x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let (tokens, width) = x.dims2()?;
    check_rows(rows, tokens)?;
    if composed::takes(x) {
        return composed::pooling::gather(x, rows);
    }
    let values = Read::new(x)?;
    let mut out = workspace.take(rows.len() * width);
    gather_into(&mut out, &values, rows, width);
    tensor_of(out, (rows.len(), width))
}

/// The gradient of [`gather`]'s input `[tokens, width]`, from that of its output `d` `[rows.len(), width]`: zeros but in
/// `rows`. A row that was taken twice gets the sum.
///
/// # Errors
/// When a row lies outside `tokens`.
pub fn scatter(workspace: &Workspace, d: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
    let (count, width) = d.dims2()?;
    same_size("rows", count, rows.len())?;
    check_rows(rows, tokens)?;
    if composed::takes(d) {
        return composed::segments::scatter(d, rows, tokens);
    }
    let values = Read::new(d)?;
    let mut out = workspace.zeros(tokens * width);
    for (source, &row) in values.chunks_exact(width.max(1)).zip(rows) {
        add(&mut out[row as usize * width..][..width], source);
    }
    tensor_of(out, (tokens, width))
}

/// [`gather`] on slices; the rows were checked.
pub(crate) fn gather_into(target: &mut [f32], source: &[f32], rows: &[u32], width: usize) {
    target
        .par_chunks_mut(width.max(1))
        .zip(rows)
        .with_min_len(64)
        .for_each(|(target, &row)| {
            target.copy_from_slice(&source[row as usize * width..][..width]);
        });
}

fn check_rows(rows: &[u32], tokens: usize) -> Result<()> {
    match rows.iter().find(|&&row| row as usize >= tokens) {
        None => Ok(()),
        Some(row) => Err(Error::Range {
            place: "row",
            value: row.to_string(),
            range: format!("0..{tokens}"),
        }),
    }
}
