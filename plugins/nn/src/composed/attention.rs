//! Attention over ragged sequences as a composition. Sequences of about the same length are padded to the longest of
//! them and computed together; padding is masked where it could be seen, and dropped from the result. Scores live only
//! inside one group, and backward computes them again.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{DType, Tensor};

use super::{UNSEEN, dropout, indices, select, softmax};
use crate::attention::{Heads, dropout_row};
use crate::dropout::Dropout;
use crate::{Result, Sequences};

/// Scores of one group, in elements: more sequences make another group.
const SCORES: usize = 1 << 27;
/// Sequences up to this length count as equally long.
const SHORT: usize = 16;

/// What all groups of one call have in common.
pub(crate) struct Setting<'a> {
    pub(crate) heads: Heads,
    /// Row `i` attends to rows `0..=i` alone.
    pub(crate) causal: bool,
    pub(crate) dropout: Option<&'a Dropout>,
}

/// Sequences that are computed together.
struct Group {
    /// Rows of each sequence in the packed batch.
    sequences: Vec<Range<usize>>,
    /// Length that all are padded to.
    length: usize,
}

impl Group {
    /// The row of each place, `tokens` (a row of zeros) where there is padding.
    fn rows(&self, tokens: usize) -> Vec<u32> {
        let length = self.length;
        let rows = self.sequences.iter().flat_map(|range| {
            let (start, count) = (range.start, range.len());
            (0..length).map(move |at| if at < count { start + at } else { tokens } as u32)
        });
        rows.collect()
    }

    fn padded(&self) -> bool {
        self.sequences.iter().any(|range| range.len() < self.length)
    }
}

fn groups(sequences: &Sequences, heads: usize) -> Vec<Group> {
    let mut buckets: BTreeMap<usize, Vec<Range<usize>>> = BTreeMap::new();
    for range in sequences.ranges().filter(|range| !range.is_empty()) {
        let bucket = range.len().next_power_of_two().max(SHORT);
        buckets.entry(bucket).or_default().push(range);
    }
    let groups = buckets.into_values().flat_map(|ranges| {
        let longest = ranges.iter().map(Range::len).max().unwrap_or(0);
        let count = (SCORES / (heads * longest * longest).max(1)).max(1);
        let chunks: Vec<Group> = ranges
            .chunks(count)
            .map(|ranges| Group {
                sequences: ranges.to_vec(),
                length: ranges.iter().map(Range::len).max().unwrap_or(0),
            })
            .collect();
        chunks
    });
    groups.collect()
}

/// Puts the rows of groups, one behind the other, back where the tokens are.
fn unpad(groups: &[Group], parts: &[Tensor], tokens: usize) -> Result<Tensor> {
    let mut places = vec![0u32; tokens];
    let mut start = 0;
    for group in groups {
        for range in &group.sequences {
            for (at, row) in range.clone().enumerate() {
                places[row] = (start + at) as u32;
            }
            start += group.length;
        }
    }
    select(&Tensor::cat(parts, 0)?, &places)
}

/// Queries, keys and values of one group, head by head: `[kv heads · sequences, group · length, head size]` and twice
/// `[kv heads · sequences, length, head size]`.
struct Projected {
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    /// Sequences in the group.
    count: usize,
    length: usize,
}

/// `[heads, sequences, length, size]` with the query heads of one key head below one another.
fn fold(x: &Tensor, kv_heads: usize) -> Result<Tensor> {
    let (heads, count, length, size) = x.dims4()?;
    let group = heads / kv_heads;
    let x = if group == 1 {
        x.contiguous()?
    } else {
        x.reshape(&[kv_heads, group, count, length, size][..])?
            .permute([0, 2, 1, 3, 4])?
            .contiguous()?
    };
    Ok(x.reshape((kv_heads * count, group * length, size))?)
}

/// [`fold`] back.
fn unfold(x: &Tensor, heads: usize, count: usize, length: usize) -> Result<Tensor> {
    let (batch, rows, size) = x.dims3()?;
    let (kv_heads, group) = (batch / count, rows / length);
    let x = x
        .reshape(&[kv_heads, count, group, length, size][..])?
        .permute([0, 2, 1, 3, 4])?;
    Ok(x.contiguous()?.reshape((heads, count, length, size))?)
}

/// `[sequences · length, heads · size]` → `[heads, sequences, length, size]`.
fn by_head(x: &Tensor, count: usize, length: usize, size: usize) -> Result<Tensor> {
    let heads = x.dims2()?.1 / size;
    let x = x
        .reshape((count, length, heads, size))?
        .permute([2, 0, 1, 3])?;
    Ok(x.contiguous()?)
}

/// [`by_head`] back.
fn by_token(x: &Tensor) -> Result<Tensor> {
    let (heads, count, length, size) = x.dims4()?;
    let x = x.permute([1, 2, 0, 3])?.contiguous()?;
    Ok(x.reshape((count * length, heads * size))?)
}

impl Projected {
    fn new(qkv: &Tensor, group: &Group, heads: Heads) -> Result<Self> {
        let rows = select(qkv, &group.rows(qkv.dims2()?.0))?;
        let (count, length) = (group.sequences.len(), group.length);
        let all = by_head(&rows, count, length, heads.head_size)?;
        let (query_heads, kv_heads) = (heads.heads, heads.kv_heads);
        Ok(Self {
            queries: fold(&all.narrow(0, 0, query_heads)?, kv_heads)?,
            keys: fold(&all.narrow(0, query_heads, kv_heads)?, kv_heads)?,
            values: fold(&all.narrow(0, query_heads + kv_heads, kv_heads)?, kv_heads)?,
            count,
            length,
        })
    }

    /// Softmax of the scores, `[kv heads · sequences, group · length, length]`.
    fn probabilities(&self, group: &Group, setting: &Setting<'_>) -> Result<Tensor> {
        let scores = self.queries.matmul(&self.keys.transpose(1, 2)?)?;
        let scores = scores.affine(f64::from(setting.heads.factor()), 0.0)?;
        let (batch, rows, length) = scores.dims3()?;
        let device = scores.device();
        let columns = Tensor::arange(0, length as u32, device)?;
        let unseen = if setting.causal {
            let places = columns.reshape((length, 1))?;
            let after = columns.reshape((1, length))?.broadcast_gt(&places)?;
            after.reshape((1, 1, 1, length, length))?
        } else if group.padded() {
            let lengths: Vec<u32> = group
                .sequences
                .iter()
                .map(|range| range.len() as u32)
                .collect();
            let lengths = indices(&lengths, device)?.reshape((self.count, 1))?;
            let padding = columns.reshape((1, length))?.broadcast_ge(&lengths)?;
            padding.reshape((1, self.count, 1, 1, length))?
        } else {
            return softmax(&scores);
        };
        let unseen = unseen.to_dtype(DType::F32)?.affine(UNSEEN, 0.0)?;
        let kv_heads = batch / self.count;
        let shape = [kv_heads, self.count, rows / length, length, length];
        let scores = scores.reshape(&shape[..])?.broadcast_add(&unseen)?;
        softmax(&scores.reshape((batch, rows, length))?)
    }

    /// The masks of dropout in the order of the probabilities.
    fn masks(&self, group: &Group, heads: Heads, dropout: &Dropout, of: &Tensor) -> Result<Tensor> {
        let share = heads.heads / heads.kv_heads;
        let mut keys = Vec::with_capacity(heads.heads * self.count * self.length);
        for kv_head in 0..heads.kv_heads {
            for range in &group.sequences {
                for head in kv_head * share..(kv_head + 1) * share {
                    for at in 0..self.length {
                        keys.push(dropout_row(dropout, head, range.start + at));
                    }
                }
            }
        }
        dropout::masks(dropout, &keys, of.shape(), of.device())
    }
}

/// What the heads see, `[tokens, heads · head size]`; the sizes were checked.
pub(crate) fn forward(
    qkv: &Tensor,
    sequences: &Sequences,
    setting: &Setting<'_>,
) -> Result<Tensor> {
    let heads = setting.heads;
    let groups = groups(sequences, heads.heads);
    let mut parts = Vec::with_capacity(groups.len());
    for group in &groups {
        let projected = Projected::new(qkv, group, heads)?;
        let mut probabilities = projected.probabilities(group, setting)?;
        if let Some(dropout) = setting.dropout {
            let masks = projected.masks(group, heads, dropout, &probabilities)?;
            probabilities = (probabilities * masks)?;
        }
        let seen = probabilities.matmul(&projected.values)?;
        let seen = unfold(&seen, heads.heads, projected.count, projected.length)?;
        parts.push(by_token(&seen)?);
    }
    finish(qkv, &groups, &parts, heads.heads * heads.head_size)
}

/// The gradient of `qkv`, from that of forward's output.
pub(crate) fn backward(
    dy: &Tensor,
    qkv: &Tensor,
    sequences: &Sequences,
    setting: &Setting<'_>,
) -> Result<Tensor> {
    let heads = setting.heads;
    let tokens = qkv.dims2()?.0;
    let groups = groups(sequences, heads.heads);
    let mut parts = Vec::with_capacity(groups.len());
    for group in &groups {
        let projected = Projected::new(qkv, group, heads)?;
        let (count, length) = (projected.count, projected.length);
        let probabilities = projected.probabilities(group, setting)?;
        // Padding has a gradient of zeros, so it adds nothing to those of keys and values.
        let dy = select(dy, &group.rows(tokens))?;
        let dy = fold(
            &by_head(&dy, count, length, heads.head_size)?,
            heads.kv_heads,
        )?;
        let mut d_probabilities = dy.matmul(&projected.values.transpose(1, 2)?)?;
        let mut kept = probabilities.clone();
        if let Some(dropout) = setting.dropout {
            let masks = projected.masks(group, heads, dropout, &probabilities)?;
            d_probabilities = (d_probabilities * &masks)?;
            kept = (kept * masks)?;
        }
        let d_values = kept.transpose(1, 2)?.matmul(&dy)?;
        let slopes = (&probabilities * d_probabilities)?;
        let along = slopes.sum_keepdim(2)?;
        let d_scores = (slopes - probabilities.broadcast_mul(&along)?)?;
        let d_scores = d_scores.affine(f64::from(heads.factor()), 0.0)?;
        let d_queries = d_scores.matmul(&projected.keys)?;
        let d_keys = d_scores.transpose(1, 2)?.matmul(&projected.queries)?;
        let all = [
            unfold(&d_queries, heads.heads, count, length)?,
            unfold(&d_keys, heads.kv_heads, count, length)?,
            unfold(&d_values, heads.kv_heads, count, length)?,
        ];
        parts.push(by_token(&Tensor::cat(&all, 0)?)?);
    }
    finish(qkv, &groups, &parts, heads.columns())
}

fn finish(qkv: &Tensor, groups: &[Group], parts: &[Tensor], width: usize) -> Result<Tensor> {
    let tokens = qkv.dims2()?.0;
    if parts.is_empty() {
        return Ok(Tensor::zeros((tokens, width), DType::F32, qkv.device())?);
    }
    unpad(groups, parts, tokens)
}
