//! Sums of rows by where they go: the backward of every lookup. candle's `index_add` and `scatter_add` run one thread a
//! column through all rows, so here the host sorts the rows and the device adds them in pairs, level by level: the
//! logarithm of the longest segment in launches, no atomics, and the same bits every time.

use candle_core::Tensor;

use super::{select, with_zero_row};
use crate::Result;

/// For each segment the sum of the rows of `x` `[rows, width]` that it lists: `[segments, width]`, zeros for an empty
/// one.
pub(crate) fn sums(x: &Tensor, mut segments: Vec<Vec<u32>>) -> Result<Tensor> {
    let mut rows = x.clone();
    loop {
        let zero = rows.dims2()?.0 as u32;
        if segments.iter().all(|segment| segment.len() <= 1) {
            let last: Vec<u32> = segments
                .iter()
                .map(|segment| segment.first().copied().unwrap_or(zero))
                .collect();
            return select(&rows, &last);
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for segment in &mut segments {
            let start = left.len() as u32;
            for pair in segment.chunks(2) {
                left.push(pair[0]);
                right.push(pair.get(1).copied().unwrap_or(zero));
            }
            *segment = (start..left.len() as u32).collect();
        }
        let padded = with_zero_row(&rows)?;
        rows = (select(&padded, &left)? + select(&padded, &right)?)?;
    }
}

/// `[rows, width]` in which row `r` is the sum of the rows of `x` whose number in `targets` is `r`.
pub(crate) fn scatter(x: &Tensor, targets: &[u32], rows: usize) -> Result<Tensor> {
    let mut order: Vec<u32> = (0..targets.len() as u32).collect();
    order.sort_unstable_by_key(|&at| (targets[at as usize], at));
    let mut segments: Vec<Vec<u32>> = Vec::new();
    let mut found: Vec<u32> = Vec::new();
    for at in order {
        let target = targets[at as usize];
        match (found.last(), segments.last_mut()) {
            (Some(&last), Some(segment)) if last == target => segment.push(at),
            _ => {
                found.push(target);
                segments.push(vec![at]);
            }
        }
    }
    // One gather fills all rows at once, those that nothing goes to from the row of zeros.
    let mut places = vec![found.len() as u32; rows];
    for (place, &target) in (0u32..).zip(&found) {
        places[target as usize] = place;
    }
    if segments.is_empty() {
        return Ok(Tensor::zeros((rows, x.dims2()?.1), x.dtype(), x.device())?);
    }
    select(&sums(x, segments)?, &places)
}
