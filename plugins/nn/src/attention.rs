//! Attention over packed sequences with grouped queries, causal or in both directions. Scores live only for a block of query rows at a time;
//! backward computes them again from the saved logarithm of each row's sum (Dao et al. 2022), so memory grows linearly
//! with length. Projections and rotary positions are left to others; attention over a cache is in [`cached`].
#![allow(unsafe_code, reason = "heads write their own columns of one buffer")]

use candle_core::Tensor;
use rayon::prelude::*;

use crate::dropout::{Dropout, mask_row};
use crate::error::same_size;
use crate::matmul::{Matrix, multiply};
use crate::random::Key;
use crate::scatter::Scatter;
use crate::storage::Read;
use crate::vectorized::{dot, exp, exp_shifted, maximum, scale, vectorized};
use crate::workspace::tensor_of;
use crate::{Result, Sequences, Workspace, composed};

pub mod cached;

/// Query rows whose scores are held at once.
const BLOCK: usize = 64;

/// How the columns of queries, keys and values lie: `heads` query heads, then `kv_heads` key heads, then as many value
/// heads, each `head_size` wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Columns of one head.
    pub head_size: usize,
}

impl Heads {
    /// Columns of queries, keys and values together.
    pub fn columns(self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_size
    }

    fn group(self) -> usize {
        self.heads / self.kv_heads
    }

    pub(crate) fn factor(self) -> f32 {
        1.0 / (self.head_size as f32).sqrt()
    }

    /// First column of query head `head`.
    fn query(self, head: usize) -> usize {
        head * self.head_size
    }

    /// First column of key head `head`.
    fn key(self, head: usize) -> usize {
        (self.heads + head) * self.head_size
    }

    /// First column of value head `head`.
    fn value(self, head: usize) -> usize {
        (self.heads + self.kv_heads + head) * self.head_size
    }
}

/// Which rows of its sequence a row attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Row `i` attends to rows `0..=i`: decoders.
    Causal,
    /// Every row attends to all rows: encoders.
    Bidirectional,
}

impl Mask {
    /// How many rows, from the first one on, row `row` of a sequence of `length` attends to.
    fn visible(self, row: usize, length: usize) -> usize {
        match self {
            Self::Causal => row + 1,
            Self::Bidirectional => length,
        }
    }
}

/// What backward needs beside the input and the output.
#[derive(Debug)]
pub struct Saved {
    /// log Σ exp(score) of each head and row, `[heads, tokens]`.
    log_sums: Vec<f32>,
}

/// One sequence and one key head: what one thread does at a time.
fn items(sequences: &Sequences, heads: Heads) -> Vec<(usize, usize)> {
    (0..sequences.count())
        .flat_map(|sequence| (0..heads.kv_heads).map(move |head| (sequence, head)))
        .collect()
}

pub(crate) fn dropout_row(dropout: &Dropout, head: usize, row: usize) -> (u32, u32) {
    let key: Key = dropout.key.with(head as u64);
    Dropout { key, ..*dropout }.row(row)
}

fn setting(
    heads: Heads,
    mask: Mask,
    dropout: Option<&Dropout>,
) -> composed::attention::Setting<'_> {
    composed::attention::Setting {
        heads,
        causal: mask == Mask::Causal,
        dropout,
    }
}

vectorized! {
    /// From scores to probabilities of one row, of which the first `seen` count; returns log Σ exp.
    fn softmax_row(row: &mut [f32], seen: usize) -> f32 {
        let (visible, hidden) = row.split_at_mut(seen);
        hidden.fill(0.0);
        let largest = maximum(visible);
        let sum = exp_shifted(visible, largest);
        scale(visible, 1.0 / sum);
        largest + sum.ln()
    }

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

/// `qkv` `[tokens, heads.columns()]` → `[tokens, heads · head_size]`.
///
/// Which rows of its own sequence each row attends to says `mask`. `dropout` drops probabilities.
pub fn forward(
    workspace: &Workspace,
    qkv: &Tensor,
    sequences: &Sequences,
    heads: Heads,
    mask: Mask,
    dropout: Option<&Dropout>,
) -> Result<(Tensor, Saved)> {
    let (tokens, width) = qkv.dims2()?;
    same_size("attention columns", heads.columns(), width)?;
    same_size("attention tokens", sequences.tokens(), tokens)?;
    if composed::takes(qkv) {
        let setting = setting(heads, mask, dropout);
        let out = composed::attention::forward(qkv, sequences, &setting)?;
        let log_sums = Vec::new();
        return Ok((out, Saved { log_sums }));
    }
    let qkv = Read::new(qkv)?;
    let qkv = &*qkv;
    let size = heads.head_size;
    let out_width = heads.heads * size;
    let mut out = workspace.take(tokens * out_width);
    let mut log_sums = vec![0.0; heads.heads * tokens];
    let shared_out = Scatter::new(&mut out);
    let shared_sums = Scatter::new(&mut log_sums);
    items(sequences, heads).into_par_iter().for_each_init(
        || (Vec::new(), Vec::new()),
        |(scores, block_out): &mut (Vec<f32>, Vec<f32>), (sequence, kv_head)| {
            let range = sequences.range(sequence);
            let rows = &qkv[range.start * width..range.end * width];
            let view = |row: usize, count: usize, column: usize| {
                Matrix::strided(&rows[row * width + column..], count, size, width)
            };
            for head in kv_head * heads.group()..(kv_head + 1) * heads.group() {
                for first in (0..range.len()).step_by(BLOCK) {
                    let count = BLOCK.min(range.len() - first);
                    let seen = mask.visible(first + count - 1, range.len());
                    scores.resize(count * seen, 0.0);
                    block_out.resize(count * size, 0.0);
                    let queries = view(first, count, heads.query(head));
                    let keys = view(0, seen, heads.key(kv_head)).transposed();
                    multiply(scores, seen, queries, keys, heads.factor(), false);
                    for (row, scores) in scores.chunks_exact_mut(seen).enumerate() {
                        let token = range.start + first + row;
                        let log_sum = softmax_row(scores, mask.visible(first + row, range.len()));
                        // SAFETY: only this item handles this head's rows of this sequence, so the element is its own.
                        let saved_sum = unsafe { shared_sums.slice(head * tokens + token, 1) };
                        saved_sum[0] = log_sum;
                        if let Some(dropout) = dropout {
                            let (threshold, factor) = dropout.terms();
                            mask_row(scores, dropout_row(dropout, head, token), threshold, factor);
                        }
                    }
                    let probabilities = Matrix::new(scores, count, seen);
                    let values = view(0, seen, heads.value(kv_head));
                    multiply(block_out, size, probabilities, values, 1.0, false);
                    for (row, values) in block_out.chunks_exact(size).enumerate() {
                        let token = range.start + first + row;
                        // SAFETY: only this item handles this head's columns in rows of this sequence.
                        unsafe { shared_out.slice(token * out_width + heads.query(head), size) }
                            .copy_from_slice(values);
                    }
                }
            }
        },
    );
    Ok((tensor_of(out, (tokens, out_width))?, Saved { log_sums }))
}

/// Buffers of one thread in backward.
#[derive(Default)]
struct Scratch {
    scores: Vec<f32>,
    gradients: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    mask: Vec<f32>,
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
    let size = heads.head_size;
    let out_width = heads.heads * size;
    let (dy, qkv, out) = (Read::new(dy)?, Read::new(qkv)?, Read::new(out)?);
    let (dy, qkv, out) = (&*dy, &*qkv, &*out);
    same_size("attention output gradient", tokens * out_width, dy.len())?;
    same_size("attention output", tokens * out_width, out.len())?;
    let mut d_qkv = workspace.take(tokens * width);
    let shared = Scatter::new(&mut d_qkv);
    items(sequences, heads).into_par_iter().for_each_init(
        Scratch::default,
        |scratch, (sequence, kv_head)| {
            let range = sequences.range(sequence);
            let rows = &qkv[range.start * width..range.end * width];
            let view = |row: usize, count: usize, column: usize| {
                Matrix::strided(&rows[row * width + column..], count, size, width)
            };
            let store = |row: usize, column: usize, values: &[f32]| {
                let offset = (range.start + row) * width + column;
                // SAFETY: only this item handles the columns of its key head, and of the query heads that share it,
                // in the rows of its sequence.
                unsafe { shared.slice(offset, size) }.copy_from_slice(values);
            };
            scratch.keys.clear();
            scratch.keys.resize(range.len() * size, 0.0);
            scratch.values.clear();
            scratch.values.resize(range.len() * size, 0.0);
            for head in kv_head * heads.group()..(kv_head + 1) * heads.group() {
                for first in (0..range.len()).step_by(BLOCK) {
                    let count = BLOCK.min(range.len() - first);
                    let seen = mask.visible(first + count - 1, range.len());
                    let start = (range.start + first) * out_width + heads.query(head);
                    let gradient = Matrix::strided(&dy[start..], count, size, out_width);
                    let queries = view(first, count, heads.query(head));
                    let keys = view(0, seen, heads.key(kv_head));
                    let values = view(0, seen, heads.value(kv_head));
                    let Scratch {
                        scores, gradients, ..
                    } = scratch;
                    scores.resize(count * seen, 0.0);
                    gradients.resize(count * seen, 0.0);
                    multiply(
                        scores,
                        seen,
                        queries,
                        keys.transposed(),
                        heads.factor(),
                        false,
                    );
                    multiply(gradients, seen, gradient, values.transposed(), 1.0, false);
                    scratch.mask.clear();
                    for row in 0..count {
                        let token = range.start + first + row;
                        let at = token * out_width + heads.query(head);
                        let delta = dot(&dy[at..at + size], &out[at..at + size]);
                        let scores = &mut scores[row * seen..(row + 1) * seen];
                        let gradients = &mut gradients[row * seen..(row + 1) * seen];
                        let log_sum = saved.log_sums[head * tokens + token];
                        if let Some(dropout) = dropout {
                            let (threshold, factor) = dropout.terms();
                            let key = dropout_row(dropout, head, token);
                            mask_row(gradients, key, threshold, factor);
                            let masked = scratch.mask.len();
                            scratch.mask.resize(masked + seen, 1.0);
                            mask_row(&mut scratch.mask[masked..], key, threshold, factor);
                        }
                        let visible = mask.visible(first + row, range.len());
                        score_gradient_row(
                            scores,
                            gradients,
                            visible,
                            log_sum,
                            delta,
                            heads.factor(),
                        );
                    }
                    // What reached the values in forward were the probabilities after dropout.
                    for (score, mask) in scores.iter_mut().zip(&scratch.mask) {
                        *score *= mask;
                    }
                    let probabilities = Matrix::new(scores, count, seen);
                    let score_gradients = Matrix::new(gradients, count, seen);
                    let d_values = &mut scratch.values[..seen * size];
                    multiply(
                        d_values,
                        size,
                        probabilities.transposed(),
                        gradient,
                        1.0,
                        true,
                    );
                    let d_keys = &mut scratch.keys[..seen * size];
                    multiply(
                        d_keys,
                        size,
                        score_gradients.transposed(),
                        queries,
                        1.0,
                        true,
                    );
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
                        store(first + row, heads.query(head), values);
                    }
                }
            }
            for (row, values) in scratch.keys.chunks_exact(size).enumerate() {
                store(row, heads.key(kv_head), values);
            }
            for (row, values) in scratch.values.chunks_exact(size).enumerate() {
                store(row, heads.value(kv_head), values);
            }
        },
    );
    tensor_of(d_qkv, (tokens, width))
}
