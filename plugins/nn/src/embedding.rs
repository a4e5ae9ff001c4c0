//! Rows of tables by id, summed over several tables (tokens, positions, types). The backward sorts the ids, so that
//! every table row is added to by one thread and in order of the tokens. Dropout and norms are left to others.
#![allow(unsafe_code, reason = "threads write their own columns of one buffer")]

use candle_core::Tensor;
use rayon::prelude::*;

use crate::scatter::Scatter;
use crate::storage::{Read, write};
use crate::vectorized::add;
use crate::workspace::tensor_of;
use crate::{Error, Result, Workspace, composed};

/// One table `[rows, hidden]` and an id for each token.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// `[tokens]`, each below the table's rows.
    pub ids: &'a [u32],
    /// `[rows, hidden]`.
    pub table: &'a Tensor,
}

/// Σ over the tables of `table[id]`, as `[tokens, hidden]`.
///
/// # Errors
/// When an id lies outside its table, or the sizes differ.
pub fn forward(workspace: &Workspace, lookups: &[Lookup<'_>]) -> Result<Tensor> {
    let Some(first) = lookups.first() else {
        return Err(Error::Unsupported("an embedding without tables".to_owned()));
    };
    let (tokens, hidden) = (first.ids.len(), first.table.dims2()?.1);
    for lookup in lookups {
        let (rows, width) = lookup.table.dims2()?;
        crate::error::same_size("embedding ids", tokens, lookup.ids.len())?;
        crate::error::same_size("embedding width", hidden, width)?;
        check_ids(lookup.ids, rows)?;
    }
    if composed::takes(first.table) {
        return composed::embedding::forward(lookups);
    }
    let mut out = workspace.take(tokens * hidden);
    for (index, lookup) in lookups.iter().enumerate() {
        let table = Read::new(lookup.table)?;
        let table = &*table;
        out.par_chunks_mut(hidden.max(1))
            .zip(lookup.ids)
            .with_min_len(64)
            .for_each(|(out, &id)| {
                let row = &table[id as usize * hidden..][..hidden];
                if index == 0 {
                    out.copy_from_slice(row);
                } else {
                    add(out, row);
                }
            });
    }
    tensor_of(out, (tokens, hidden))
}

/// Adds the gradient `dy` `[tokens, hidden]` of the output to the rows of `gradient` `[rows, hidden]`.
pub fn backward(dy: &Tensor, ids: &[u32], gradient: &Tensor) -> Result<()> {
    let (tokens, hidden) = dy.dims2()?;
    let (rows, width) = gradient.dims2()?;
    crate::error::same_size("embedding ids", tokens, ids.len())?;
    crate::error::same_size("embedding width", hidden, width)?;
    check_ids(ids, rows)?;
    if composed::takes(dy) {
        return composed::embedding::backward(dy, ids, gradient);
    }
    let mut order: Vec<u32> = (0..tokens as u32).collect();
    // By id, then by token: one thread adds a row's tokens in their own order.
    order.sort_unstable_by_key(|&token| (ids[token as usize], token));
    let dy = Read::new(dy)?;
    let dy = &*dy;
    const BLOCK: usize = 64;
    // A small table (two token types) has few blocks of rows, so columns are shared out as well.
    let columns = if rows < 16 * BLOCK { 64 } else { hidden };
    let across = hidden.div_ceil(columns.max(1));
    write(gradient, |gradient| {
        let gradient = Scatter::new(gradient);
        let pieces = rows.div_ceil(BLOCK) * across;
        (0..pieces).into_par_iter().for_each(|piece| {
            let (first, left) = (piece / across * BLOCK, piece % across * columns);
            let width = columns.min(hidden - left);
            let begin = order.partition_point(|&t| (ids[t as usize] as usize) < first);
            for &token in &order[begin..] {
                let id = ids[token as usize] as usize;
                if id >= first + BLOCK {
                    break;
                }
                // SAFETY: only this piece handles these columns of its block of rows.
                let row = unsafe { gradient.slice(id * hidden + left, width) };
                add(row, &dy[token as usize * hidden + left..][..width]);
            }
        });
    })
}

fn check_ids(ids: &[u32], rows: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= rows) {
        None => Ok(()),
        Some(id) => Err(Error::Range {
            place: "id",
            value: id.to_string(),
            range: format!("0..{rows}"),
        }),
    }
}
