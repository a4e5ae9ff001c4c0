//! Attention over a cache as a composition, one sequence at a time: a token's worth of work is a handful of launches.

use candle_core::{DType, Tensor};

use super::{UNSEEN, softmax};
use crate::Result;
use crate::attention::Heads;

/// Keys and values of one sequence in one layer on a device: `[kv heads, tokens, head size]`. Adding and forgetting
/// make new tensors, so clones do not disturb one another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    keys_and_values: Option<(Tensor, Tensor)>,
}

impl Rows {
    /// Keeps the first `tokens` tokens.
    pub(crate) fn truncate(&mut self, tokens: usize) {
        self.keys_and_values = self.keys_and_values.take().and_then(|(keys, values)| {
            let kept = |rows: Tensor| rows.narrow(1, 0, tokens.min(rows.dim(1).ok()?)).ok();
            (tokens > 0).then_some(())?;
            Some((kept(keys)?, kept(values)?))
        });
    }

    fn extend(&mut self, keys: Tensor, values: Tensor) -> Result<(Tensor, Tensor)> {
        let both = match &self.keys_and_values {
            None => (keys, values),
            Some((old_keys, old_values)) => (
                // Of rows that were cut short cat makes a transposed view, which a GPU's products do not take.
                Tensor::cat(&[old_keys, &keys], 1)?.contiguous()?,
                Tensor::cat(&[old_values, &values], 1)?.contiguous()?,
            ),
        };
        self.keys_and_values = Some(both.clone());
        Ok(both)
    }
}

/// Adds the keys and values of `qkv` `[new tokens, heads.columns()]` of one sequence to its rows, and returns what its
/// queries see: `[new tokens, heads · head size]`.
pub(crate) fn forward(qkv: &Tensor, rows: &mut Rows, heads: Heads) -> Result<Tensor> {
    let count = qkv.dims2()?.0;
    let Heads {
        heads: query_heads,
        kv_heads,
        head_size,
    } = heads;
    let all = qkv
        .reshape((count, query_heads + 2 * kv_heads, head_size))?
        .transpose(0, 1)?
        .contiguous()?;
    let keys = all.narrow(0, query_heads, kv_heads)?;
    let values = all.narrow(0, query_heads + kv_heads, kv_heads)?;
    let (keys, values) = rows.extend(keys, values)?;
    let known = keys.dim(1)?;
    let share = query_heads / kv_heads;
    let queries = all.narrow(0, 0, query_heads)?;
    let queries = queries.reshape((kv_heads, share * count, head_size))?;
    let scores = queries.matmul(&keys.transpose(1, 2)?)?;
    let mut scores = scores.affine(f64::from(heads.factor()), 0.0)?;
    if count > 1 {
        let columns = Tensor::arange(0, known as u32, qkv.device())?.reshape((1, known))?;
        let places = Tensor::arange((known - count) as u32, known as u32, qkv.device())?;
        let after = columns.broadcast_gt(&places.reshape((count, 1))?)?;
        let unseen = after.to_dtype(DType::F32)?.affine(UNSEEN, 0.0)?;
        let shape = (kv_heads, share, count, known);
        let masked = scores.reshape(shape)?.broadcast_add(&unseen)?;
        scores = masked.reshape((kv_heads, share * count, known))?;
    }
    let seen = softmax(&scores)?.matmul(&values)?;
    let seen = seen
        .reshape((query_heads, count, head_size))?
        .transpose(0, 1)?;
    Ok(seen
        .contiguous()?
        .reshape((count, query_heads * head_size))?)
}
