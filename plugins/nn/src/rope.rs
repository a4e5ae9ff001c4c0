//! Rotary positions in the form that Llama and Transformers use: the first half of a head is rotated with the second
//! (Su et al. 2021). Scaled variants for longer contexts are left out; the model refuses folders that ask for them.

use std::sync::OnceLock;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::write;
use crate::vectorized::vectorized;
use crate::{Error, Result, composed};

/// Cosines and sines of every position up to a length.
#[derive(Debug, Clone)]
pub struct Rotation {
    half: usize,
    cosines: Vec<f32>,
    sines: Vec<f32>,
    /// Both on the device that asked first, `[positions, half]`.
    tables: OnceLock<(Tensor, Tensor)>,
}

vectorized! {
    fn rotate(first: &mut [f32], second: &mut [f32], cosines: &[f32], sines: &[f32], sign: f32) {
        for (((a, b), &cosine), &sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
            let (x, y, sine) = (*a, *b, sine * sign);
            *a = x * cosine - y * sine;
            *b = y * cosine + x * sine;
        }
    }
}

impl Rotation {
    /// For heads of `head_size` (even) and positions below `length`, with base `theta`.
    pub fn new(head_size: usize, theta: f64, length: usize) -> Self {
        let half = head_size / 2;
        // f32 frequencies and angles, as Transformers computes them: at far positions the rounding shows.
        let frequencies: Vec<f32> = (0..half)
            .map(|i| 1.0 / (theta as f32).powf(2.0 * i as f32 / head_size as f32))
            .collect();
        let angles = (0..length).flat_map(|position| {
            frequencies
                .iter()
                .map(move |f| f64::from(position as f32 * f))
        });
        let (cosines, sines) = angles.map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
        Self {
            half,
            cosines,
            sines,
            tables: OnceLock::new(),
        }
    }

    fn tables(&self, device: &Device) -> Result<(&Tensor, &Tensor)> {
        if self.tables.get().is_none() {
            let shape = (self.cosines.len() / self.half, self.half);
            let table = |values: &[f32]| Tensor::from_slice(values, shape, device);
            let made = (table(&self.cosines)?, table(&self.sines)?);
            // Another thread may have been faster, with the same numbers.
            drop(self.tables.set(made));
        }
        self.tables
            .get()
            .map(|(cosines, sines)| (cosines, sines))
            .ok_or_else(|| Error::Unsupported("rotary positions without tables".to_owned()))
    }

    fn apply(&self, x: &Tensor, heads: usize, positions: &[u32], sign: f32) -> Result<()> {
        let (tokens, width) = x.dims2()?;
        same_size("rope positions", tokens, positions.len())?;
        let (half, head) = (self.half, 2 * self.half);
        if heads * head > width || head == 0 {
            return Err(Error::Shape {
                place: "rope heads",
                expected: format!("at most {width} columns"),
                found: format!("{heads} heads of {head}"),
            });
        }
        let length = self.cosines.len() / half;
        if let Some(position) = positions.iter().find(|&&p| p as usize >= length) {
            return Err(Error::Range {
                place: "position",
                value: position.to_string(),
                range: format!("0..{length}"),
            });
        }
        if composed::takes(x) {
            let tables = self.tables(x.device())?;
            return composed::rope::apply(x, heads, positions, tables, f64::from(sign));
        }
        write(x, |x| {
            x.par_chunks_mut(width)
                .zip(positions)
                .with_min_len(16)
                .for_each(|(row, &position)| {
                    let at = position as usize * half;
                    let (cosines, sines) =
                        (&self.cosines[at..at + half], &self.sines[at..at + half]);
                    for head in row[..heads * head].chunks_exact_mut(head) {
                        let (first, second) = head.split_at_mut(half);
                        rotate(first, second, cosines, sines, sign);
                    }
                });
        })
    }
}

/// Rotates the first `heads` heads of each row of `x` `[tokens, columns]` by its position, in place.
pub fn forward(x: &Tensor, heads: usize, positions: &[u32], rotation: &Rotation) -> Result<()> {
    rotation.apply(x, heads, positions, 1.0)
}

/// Turns the gradient of the rotated rows into that of the rows, in place: the rotation back.
pub fn backward(dy: &Tensor, heads: usize, positions: &[u32], rotation: &Rotation) -> Result<()> {
    rotation.apply(dy, heads, positions, -1.0)
}
