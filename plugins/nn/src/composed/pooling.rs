//! From tokens to one vector a sequence, and vectors of length 1, as compositions.

use candle_core::{D, DType, Tensor};

use super::{indices, segments, select};
use crate::pooling::Pooling;
use crate::{Result, Sequences};

/// 1 / length of each sequence, `[sequences, 1]`.
fn shares(sequences: &Sequences, like: &Tensor) -> Result<Tensor> {
    let shares: Vec<f32> = sequences
        .ranges()
        .map(|range| 1.0 / range.len().max(1) as f32)
        .collect();
    let shape = (shares.len(), 1);
    Ok(Tensor::from_vec(shares, shape, like.device())?)
}

pub(crate) fn forward(hidden: &Tensor, sequences: &Sequences, pooling: Pooling) -> Result<Tensor> {
    if sequences.count() == 0 {
        return Ok(Tensor::zeros(
            (0, hidden.dims2()?.1),
            DType::F32,
            hidden.device(),
        )?);
    }
    let rows = |range: std::ops::Range<usize>| range.start as u32..range.end as u32;
    match pooling {
        Pooling::Mean => {
            let segments = sequences.ranges().map(|range| rows(range).collect());
            let sums = segments::sums(hidden, segments.collect())?;
            Ok(sums.broadcast_mul(&shares(sequences, hidden)?)?)
        }
        Pooling::Cls => {
            let zero = hidden.dims2()?.0 as u32;
            let firsts = sequences
                .ranges()
                .map(|range| rows(range).next().unwrap_or(zero));
            select(hidden, &firsts.collect::<Vec<u32>>())
        }
    }
}

pub(crate) fn backward(
    d_pooled: &Tensor,
    sequences: &Sequences,
    pooling: Pooling,
) -> Result<Tensor> {
    let (count, width) = d_pooled.dims2()?;
    if sequences.tokens() == 0 {
        return Ok(Tensor::zeros((0, width), DType::F32, d_pooled.device())?);
    }
    let mut places = Vec::with_capacity(sequences.tokens());
    for (sequence, range) in (0u32..).zip(sequences.ranges()) {
        places.extend(range.clone().map(|row| match pooling {
            Pooling::Cls if row > range.start => count as u32,
            _ => sequence,
        }));
    }
    match pooling {
        Pooling::Mean => {
            let scaled = d_pooled.broadcast_mul(&shares(sequences, d_pooled)?)?;
            select(&scaled, &places)
        }
        Pooling::Cls => select(d_pooled, &places),
    }
}

/// Length of each row.
pub(crate) fn lengths(x: &Tensor) -> Result<Vec<f32>> {
    // Divided by the largest element first, so that squares stay in the range of f32.
    let largest = x.abs()?.max_keepdim(D::Minus1)?;
    let divisor = largest.maximum(f64::from(f32::MIN_POSITIVE))?;
    let root = x
        .broadcast_div(&divisor)?
        .sqr()?
        .sum_keepdim(D::Minus1)?
        .sqrt()?;
    Ok((root * divisor)?.flatten_all()?.to_vec1()?)
}

fn column(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    let shape = (values.len(), 1);
    Ok(Tensor::from_vec(values, shape, like.device())?)
}

/// Rows divided by their lengths, which are at least `least`.
pub(crate) fn divide(x: &Tensor, lengths: &[f32], least: f32) -> Result<Tensor> {
    let divisors = lengths.iter().map(|length| length.max(least)).collect();
    Ok(x.broadcast_div(&column(divisors, x)?)?)
}

pub(crate) fn divide_backward(
    dy: &Tensor,
    y: &Tensor,
    lengths: &[f32],
    least: f32,
) -> Result<Tensor> {
    // Below the least length the divisor is a constant, so nothing is taken away along the row.
    let moves = lengths
        .iter()
        .map(|&length| f32::from(u8::from(length >= least)));
    let moves = column(moves.collect(), y)?;
    let along = (dy * y)?.sum_keepdim(D::Minus1)?.broadcast_mul(&moves)?;
    divide(&(dy - y.broadcast_mul(&along)?)?, lengths, least)
}

/// Rows of `x` by number; they were checked.
pub(crate) fn gather(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    if rows.is_empty() {
        return select(x, rows);
    }
    Ok(x.contiguous()?
        .index_select(&indices(rows, x.device())?, 0)?)
}
