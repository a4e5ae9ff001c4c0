//! The gradient of attention: scores are computed again a block of query rows at a time. Forward and the meaning of the
//! columns are left to the parent.
#![allow(unsafe_code, reason = "heads write their own columns of one buffer")]

use std::ops::Range;

use candle_core::Tensor;
use rayon::prelude::*;

use super::shares::{self, Item};
use super::{BLOCK, Heads, Mask, Saved, dropout_row, setting};
use crate::dropout::{Dropout, mask_row};
use crate::error::same_size;
use crate::matmul::{Matrix, multiply};
use crate::scatter::Scatter;
use crate::storage::Read;
use crate::vectorized::{add, dot, exp, vectorized};
use crate::workspace::tensor_of;
use crate::{Result, Sequences, Workspace, composed};

/// No piece of work is more than about this part of the whole. A cut costs room for the gradients of keys and values
/// of each piece, so there are at most twice as many cut pieces as this.
const SHARE: usize = 16;
/// Query rows that are never cut: so shorter sequences give the same bits in any batch.
const LEAST: usize = 256;

vectorized! {
    /// Scores → probabilities again, and gradients of probabilities → gradients of scores.
    fn score_gradient_row(row: &mut [f32], gradient: &mut [f32], seen: usize, log_sum: f32, delta: f32, factor: f32) {
        let (visible, hidden) = row.split_at_mut(seen);
        let (visible_gradient, hidden_gradient) = gradient.split_at_mut(seen);
        hidden.fill(0.0);
        hidden_gradient.fill(0.0);
        for (score, gradient) in visible.iter_mut().zip(visible_gradient) {
            let probability = exp(*score - log_sum);
            *score = probability;
            *gradient = probability * (*gradient - delta) * factor;
        }
    }
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    scores: Vec<f32>,
    gradients: Vec<f32>,
    queries: Vec<f32>,
    mask: Vec<f32>,
    /// Gradients of the keys, then of the values, where the item is not cut.
    sums: Vec<f32>,
}

/// Everything that is the same for all items.
struct Operands<'a> {
    dy: &'a [f32],
    qkv: &'a [f32],
    out: &'a [f32],
    log_sums: &'a [f32],
    sequences: &'a Sequences,
    heads: Heads,
    mask: Mask,
    dropout: Option<&'a Dropout>,
    d_qkv: Scatter<'a>,
}

impl Operands<'_> {
    /// Rows of keys and values that an item sees.
    fn seen(&self, item: &Item) -> usize {
        let length = self.sequences.range(item.sequence).len();
        self.mask.visible(item.queries.end - 1, length)
    }

    /// Writes one row of one head's gradient.
    ///
    /// # Safety
    /// No other thread may be at this head's columns of this row.
    unsafe fn store(&self, row: usize, column: usize, values: &[f32]) {
        let offset = row * self.heads.columns() + column;
        // SAFETY: the caller's promise is the one that `slice` asks for.
        unsafe { self.d_qkv.slice(offset, values.len()) }.copy_from_slice(values);
    }

    /// Writes the gradients of an item's queries, and those of the keys and values that it sees to `d_keys` and
    /// `d_values` `[seen, head_size]`.
    fn item(&self, scratch: &mut Scratch, item: &Item, d_keys: &mut [f32], d_values: &mut [f32]) {
        let heads = self.heads;
        let (size, width) = (heads.head_size, heads.columns());
        let out_width = heads.heads * size;
        let range = self.sequences.range(item.sequence);
        let rows = &self.qkv[range.start * width..range.end * width];
        let view = |row: usize, count: usize, column: usize| {
            Matrix::strided(&rows[row * width + column..], count, size, width)
        };
        d_keys.fill(0.0);
        d_values.fill(0.0);
        for head in heads.sharing(item.kv_head) {
            for first in item.queries.clone().step_by(BLOCK) {
                let count = BLOCK.min(item.queries.end - first);
                let seen = self.mask.visible(first + count - 1, range.len());
                let start = (range.start + first) * out_width + heads.query(head);
                let gradient = Matrix::strided(&self.dy[start..], count, size, out_width);
                let queries = view(first, count, heads.query(head));
                let keys = view(0, seen, heads.key(item.kv_head));
                let values = view(0, seen, heads.value(item.kv_head));
                let Scratch {
                    scores, gradients, ..
                } = scratch;
                scores.resize(count * seen, 0.0);
                gradients.resize(count * seen, 0.0);
                let factor = heads.factor();
                multiply(scores, seen, queries, keys.transposed(), factor, false);
                multiply(gradients, seen, gradient, values.transposed(), 1.0, false);
                self.score_gradients(scratch, head, range.clone(), first, seen);
                let probabilities = Matrix::new(&scratch.scores, count, seen).transposed();
                let score_gradients = Matrix::new(&scratch.gradients, count, seen);
                let d_values = &mut d_values[..seen * size];
                multiply(d_values, size, probabilities, gradient, 1.0, true);
                let d_keys = &mut d_keys[..seen * size];
                let transposed = score_gradients.transposed();
                multiply(d_keys, size, transposed, queries, 1.0, true);
                scratch.queries.resize(count * size, 0.0);
                multiply(
                    &mut scratch.queries,
                    size,
                    score_gradients,
                    keys,
                    1.0,
                    false,
                );
                for (row, values) in scratch.queries.chunks_exact(size).enumerate() {
                    // SAFETY: only this item handles these query rows of the heads that share its key head.
                    unsafe { self.store(range.start + first + row, heads.query(head), values) };
                }
            }
        }
    }

    /// From scores and gradients of probabilities to probabilities (after dropout, as the values saw them) and
    /// gradients of scores, for the query rows from `first` of the sequence at `range`.
    fn score_gradients(
        &self,
        scratch: &mut Scratch,
        head: usize,
        range: Range<usize>,
        first: usize,
        seen: usize,
    ) {
        let size = self.heads.head_size;
        let (out_width, tokens) = (self.heads.heads * size, self.sequences.tokens());
        scratch.mask.clear();
        for (row, (scores, gradients)) in scratch
            .scores
            .chunks_exact_mut(seen)
            .zip(scratch.gradients.chunks_exact_mut(seen))
            .enumerate()
        {
            let token = range.start + first + row;
            let at = token * out_width + self.heads.query(head);
            let delta = dot(&self.dy[at..at + size], &self.out[at..at + size]);
            let log_sum = self.log_sums[head * tokens + token];
            if let Some(dropout) = self.dropout {
                let (threshold, factor) = dropout.terms();
                let key = dropout_row(dropout, head, token);
                mask_row(gradients, key, threshold, factor);
                let masked = scratch.mask.len();
                scratch.mask.resize(masked + seen, 1.0);
                mask_row(&mut scratch.mask[masked..], key, threshold, factor);
            }
            let visible = self.mask.visible(first + row, range.len());
            let factor = self.heads.factor();
            score_gradient_row(scores, gradients, visible, log_sum, delta, factor);
        }
        for (score, mask) in scratch.scores.iter_mut().zip(&scratch.mask) {
            *score *= mask;
        }
    }
}

/// The gradient of `qkv`, from that of the output `dy` `[tokens, heads · head_size]`; `qkv`, `out`, `saved`,
/// `mask` and `dropout` are forward's.
#[allow(
    clippy::too_many_arguments,
    reason = "a backward names its operands one by one"
)]
pub fn backward(
    workspace: &Workspace,
    dy: &Tensor,
    qkv: &Tensor,
    out: &Tensor,
    saved: &Saved,
    sequences: &Sequences,
    heads: Heads,
    mask: Mask,
    dropout: Option<&Dropout>,
) -> Result<Tensor> {
    let (tokens, width) = qkv.dims2()?;
    same_size("attention columns", heads.columns(), width)?;
    same_size("attention tokens", sequences.tokens(), tokens)?;
    if composed::takes(dy) {
        let setting = setting(heads, mask, dropout);
        return composed::attention::backward(dy, qkv, sequences, &setting);
    }
    let out_width = heads.heads * heads.head_size;
    let (dy, qkv, out) = (Read::new(dy)?, Read::new(qkv)?, Read::new(out)?);
    same_size("attention output gradient", tokens * out_width, dy.len())?;
    same_size("attention output", tokens * out_width, out.len())?;
    let mut d_qkv = workspace.take(tokens * width);
    let operands = Operands {
        dy: &dy,
        qkv: &qkv,
        out: &out,
        log_sums: &saved.log_sums,
        sequences,
        heads,
        mask,
        dropout,
        d_qkv: Scatter::new(&mut d_qkv),
    };
    let items = shares::items(sequences, heads, mask, SHARE, LEAST);
    // Where the sums of each cut item lie.
    let mut length = 0;
    let places: Vec<usize> = items
        .iter()
        .map(|item| {
            let place = length;
            if !item.whole {
                length += 2 * operands.seen(item) * heads.head_size;
            }
            place
        })
        .collect();
    let mut partial = workspace.take(length);
    let shared = Scatter::new(&mut partial);
    shares::hand_out(&items, Scratch::default, |scratch, index, item| {
        let count = operands.seen(item) * heads.head_size;
        if !item.whole {
            // SAFETY: each cut item has a place of its own.
            let sums = unsafe { shared.slice(places[index], 2 * count) };
            let (d_keys, d_values) = sums.split_at_mut(count);
            operands.item(scratch, item, d_keys, d_values);
            return;
        }
        let mut sums = std::mem::take(&mut scratch.sums);
        sums.resize(2 * count, 0.0);
        let (d_keys, d_values) = sums.split_at_mut(count);
        operands.item(scratch, item, d_keys, d_values);
        let range = sequences.range(item.sequence);
        for (column, sums) in [
            (heads.key(item.kv_head), &*d_keys),
            (heads.value(item.kv_head), &*d_values),
        ] {
            for (row, sum) in range.clone().zip(sums.chunks_exact(heads.head_size)) {
                // SAFETY: only this item handles the columns of its key head in the rows of its sequence.
                unsafe { operands.store(row, column, sum) };
            }
        }
        scratch.sums = sums;
    });
    join(&operands, &items, &places, &partial);
    workspace.give(partial);
    tensor_of(d_qkv, (tokens, width))
}

/// Adds up the gradients of keys and values of the items that one head of a sequence was cut into, in their order.
fn join(operands: &Operands<'_>, items: &[Item], places: &[usize], partial: &[f32]) {
    let size = operands.heads.head_size;
    let mut cut: Vec<(&Item, usize)> = items
        .iter()
        .zip(places.iter().copied())
        .filter(|(item, _)| !item.whole)
        .collect();
    cut.sort_by_key(|(item, _)| (item.sequence, item.kv_head, item.queries.start));
    let heads: Vec<&[(&Item, usize)]> = cut
        .chunk_by(|(a, _), (b, _)| (a.sequence, a.kv_head) == (b.sequence, b.kv_head))
        .collect();
    heads.into_par_iter().for_each(|parts| {
        let (sequence, kv_head) = (parts[0].0.sequence, parts[0].0.kv_head);
        let mut sum = vec![0.0; size];
        for (row, token) in operands.sequences.range(sequence).enumerate() {
            for (second, column) in [
                (false, operands.heads.key(kv_head)),
                (true, operands.heads.value(kv_head)),
            ] {
                sum.fill(0.0);
                for &(item, place) in parts {
                    let seen = operands.seen(item);
                    if row < seen {
                        let start = place + (usize::from(second) * seen + row) * size;
                        add(&mut sum, &partial[start..start + size]);
                    }
                }
                // SAFETY: only this piece handles the columns of its key head in the rows of its sequence.
                unsafe { operands.store(token, column, &sum) };
            }
        }
    });
}
