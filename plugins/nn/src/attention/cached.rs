//! Attention of new tokens over the keys and values of all earlier ones, for generation. No backward. Which sessions
//! exist, and their positions, is left to the model.

use candle_core::Tensor;
use rayon::prelude::*;

use super::{Heads, softmax_row};
use crate::composed::cached::Rows;
use crate::error::same_size;
use crate::matmul::{Matrix, multiply};
use crate::storage::Read;
use crate::workspace::tensor_of;
use crate::{Result, Sequences, Workspace, composed};

/// Keys and values of one sequence in one layer, head by head.
#[derive(Debug, Clone)]
pub struct Cache {
    head_size: usize,
    tokens: usize,
    /// For each key head, its rows `[tokens, head_size]`.
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    /// The same on a device; the two above are empty then.
    composed: Rows,
}

impl Cache {
    /// An empty cache.
    pub fn new(heads: Heads) -> Self {
        Self {
            head_size: heads.head_size,
            tokens: 0,
            keys: vec![Vec::new(); heads.kv_heads],
            values: vec![Vec::new(); heads.kv_heads],
            composed: Rows::default(),
        }
    }

    /// How many tokens it holds.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Forgets all but the first `tokens` tokens.
    pub fn truncate(&mut self, tokens: usize) {
        self.tokens = self.tokens.min(tokens);
        self.composed.truncate(self.tokens);
        for rows in self.keys.iter_mut().chain(&mut self.values) {
            rows.truncate(self.tokens * self.head_size);
        }
    }

    fn extend(&mut self, rows: &[f32], heads: Heads) {
        for row in rows.chunks_exact(heads.columns()) {
            for head in 0..heads.kv_heads {
                self.keys[head].extend_from_slice(&row[heads.key(head)..][..self.head_size]);
                self.values[head].extend_from_slice(&row[heads.value(head)..][..self.head_size]);
            }
            self.tokens += 1;
        }
    }
}

/// Adds the keys and values of the rows of `qkv` `[new tokens, heads.columns()]` to the caches, one for each of
/// `sequences`, and returns what their queries see: `[new tokens, heads · head_size]`.
pub fn forward(
    workspace: &Workspace,
    qkv: &Tensor,
    sequences: &Sequences,
    caches: &mut [&mut Cache],
    heads: Heads,
) -> Result<Tensor> {
    let (tokens, width) = qkv.dims2()?;
    same_size("attention columns", heads.columns(), width)?;
    same_size("attention tokens", sequences.tokens(), tokens)?;
    same_size("attention caches", sequences.count(), caches.len())?;
    for cache in caches.iter() {
        same_size("cached key heads", heads.kv_heads, cache.keys.len())?;
        same_size("cached head size", heads.head_size, cache.head_size)?;
    }
    if composed::takes(qkv) {
        return forward_composed(qkv, sequences, caches, heads);
    }
    let qkv = Read::new(qkv)?;
    let qkv = &*qkv;
    for (cache, range) in caches.iter_mut().zip(sequences.ranges()) {
        cache.extend(&qkv[range.start * width..range.end * width], heads);
    }
    let caches: Vec<&Cache> = caches.iter().map(|cache| &**cache).collect();
    let size = heads.head_size;
    let work = caches.iter().map(|cache| cache.tokens).sum::<usize>() * size;
    let one_head = |item: usize| {
        let (sequence, head) = (item / heads.heads, item % heads.heads);
        let (cache, range) = (caches[sequence], sequences.range(sequence));
        let (count, known) = (range.len(), cache.tokens);
        let keys = Matrix::new(&cache.keys[head / heads.group()], known, size);
        let values = Matrix::new(&cache.values[head / heads.group()], known, size);
        let start = range.start * width + heads.query(head);
        let queries = Matrix::strided(&qkv[start.min(qkv.len())..], count, size, width);
        let mut scores = vec![0.0; count * known];
        multiply(
            &mut scores,
            known,
            queries,
            keys.transposed(),
            heads.factor(),
            false,
        );
        for (row, scores) in scores.chunks_exact_mut(known.max(1)).enumerate() {
            softmax_row(scores, known - count + row + 1);
        }
        let mut out = vec![0.0; count * size];
        multiply(
            &mut out,
            size,
            Matrix::new(&scores, count, known),
            values,
            1.0,
            false,
        );
        out
    };
    // Sharing out a few microseconds of work would cost more than it saves.
    let least = if work > 1 << 14 { 1 } else { usize::MAX };
    let parts: Vec<Vec<f32>> = (0..caches.len() * heads.heads)
        .into_par_iter()
        .with_min_len(least)
        .map(one_head)
        .collect();
    let out_width = heads.heads * size;
    let mut out = workspace.take(tokens * out_width);
    for (sequence, range) in sequences.ranges().enumerate() {
        let parts = &parts[sequence * heads.heads..][..heads.heads];
        let rows = &mut out[range.start * out_width..range.end * out_width];
        for (row, out) in rows.chunks_exact_mut(out_width).enumerate() {
            for (out, part) in out.chunks_exact_mut(size).zip(parts) {
                out.copy_from_slice(&part[row * size..(row + 1) * size]);
            }
        }
    }
    tensor_of(out, (tokens, out_width))
}

fn forward_composed(
    qkv: &Tensor,
    sequences: &Sequences,
    caches: &mut [&mut Cache],
    heads: Heads,
) -> Result<Tensor> {
    let mut parts = Vec::with_capacity(caches.len());
    for (cache, range) in caches.iter_mut().zip(sequences.ranges()) {
        if range.is_empty() {
            continue;
        }
        let rows = qkv.narrow(0, range.start, range.len())?;
        parts.push(composed::cached::forward(
            &rows,
            &mut cache.composed,
            heads,
        )?);
        cache.tokens += range.len();
    }
    Ok(Tensor::cat(&parts, 0)?)
}
