//! Counter-based dropout: whether an element survives is a function of key, row and column, so backward applies the
//! same mask and nothing is saved. Keys by step and layer are left to the model.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::random::{Key, column_bits};
use crate::storage::write;
use crate::vectorized::vectorized;
use crate::{Error, Result, composed};

/// With which probability elements are dropped, and by which random stream.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// Probability of dropping, in [0, 1).
    pub probability: f32,
    /// The random stream; a different one for each place, layer, and step.
    pub key: Key,
}

impl Dropout {
    /// The threshold below which an element is dropped, and the factor of those kept.
    pub(crate) fn terms(&self) -> (u32, f32) {
        let threshold = (f64::from(self.probability) * 4_294_967_296.0) as u32;
        (threshold, 1.0 / (1.0 - self.probability))
    }

    /// The mask's key of row `row`.
    pub(crate) fn row(&self, row: usize) -> (u32, u32) {
        self.key.with(row as u64).halves()
    }

    fn check(&self) -> Result<()> {
        if (0.0..1.0).contains(&self.probability) {
            return Ok(());
        }
        Err(Error::Range {
            place: "dropout probability",
            value: self.probability.to_string(),
            range: "0..1".to_owned(),
        })
    }
}

vectorized! {
    /// Drops elements of one row and scales the others.
    pub(crate) fn mask_row(values: &mut [f32], key: (u32, u32), threshold: u32, factor: f32) {
        for (column, value) in (0u32..).zip(values.iter_mut()) {
            let keep = if column_bits(key, column) < threshold { 0.0 } else { factor };
            *value *= keep;
        }
    }
}

/// Drops elements of `x` `[rows, width]` in place and scales the others by 1/(1−p).
pub fn forward(x: &Tensor, dropout: &Dropout) -> Result<()> {
    dropout.check()?;
    if dropout.probability == 0.0 {
        return Ok(());
    }
    if composed::takes(x) {
        return composed::dropout::forward(x, dropout);
    }
    let (_, width) = x.dims2()?;
    let (threshold, factor) = dropout.terms();
    write(x, |values| {
        values
            .par_chunks_mut(width.max(1))
            .enumerate()
            .with_min_len(16)
            .for_each(|(row, values)| mask_row(values, dropout.row(row), threshold, factor));
    })
}

/// Turns the gradient of the output into that of the input, in place: the same mask and factor.
pub fn backward(dy: &Tensor, dropout: &Dropout) -> Result<()> {
    forward(dy, dropout)
}
