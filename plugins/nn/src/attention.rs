//! Attention over packed sequences with grouped queries, causal or in both directions. Scores live only for a block of query rows at a time;
//! backward computes them again from the saved logarithm of each row's sum (Dao et al. 2022), so memory grows linearly
//! with length. How the work is cut and handed out is in `shares`, attention over a cache in [`cached`]; projections and
//! rotary positions are left to others.
#![allow(unsafe_code, reason = "heads write their own columns of one buffer")]

use candle_core::Tensor;

use crate::dropout::{Dropout, mask_row};
use crate::error::same_size;
use crate::matmul::{Matrix, multiply};
use crate::random::Key;
use crate::scatter::Scatter;
use crate::storage::Read;
use crate::vectorized::{exp_shifted, maximum, scale, vectorized};
use crate::workspace::tensor_of;
use crate::{Result, Sequences, Workspace, composed};

mod backward;
pub mod cached;
mod shares;

pub use backward::backward;

/// Query rows whose scores are held at once.
const BLOCK: usize = 64;
/// In forward, no piece of work is more than about this part of the whole.
const SHARE: usize = 64;

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

    /// The query heads that share key head `kv_head`.
    fn sharing(self, kv_head: usize) -> std::ops::Range<usize> {
        kv_head * self.group()..(kv_head + 1) * self.group()
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
    let items = shares::items(sequences, heads, mask, SHARE, BLOCK);
    shares::hand_out(
        &items,
        || (Vec::new(), Vec::new()),
        |(scores, block_out): &mut (Vec<f32>, Vec<f32>), _, item| {
            let range = sequences.range(item.sequence);
            let rows = &qkv[range.start * width..range.end * width];
            let view = |row: usize, count: usize, column: usize| {
                Matrix::strided(&rows[row * width + column..], count, size, width)
            };
            for head in heads.sharing(item.kv_head) {
                for first in item.queries.clone().step_by(BLOCK) {
                    let count = BLOCK.min(item.queries.end - first);
                    let seen = mask.visible(first + count - 1, range.len());
                    scores.resize(count * seen, 0.0);
                    block_out.resize(count * size, 0.0);
                    let queries = view(first, count, heads.query(head));
                    let keys = view(0, seen, heads.key(item.kv_head)).transposed();
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
                    let values = view(0, seen, heads.value(item.kv_head));
                    multiply(block_out, size, probabilities, values, 1.0, false);
                    for (row, values) in block_out.chunks_exact(size).enumerate() {
                        let token = range.start + first + row;
                        // SAFETY: only this item handles this head's columns in these rows.
                        unsafe { shared_out.slice(token * out_width + heads.query(head), size) }
                            .copy_from_slice(values);
                    }
                }
            }
        },
    );
    Ok((tensor_of(out, (tokens, out_width))?, Saved { log_sums }))
}
