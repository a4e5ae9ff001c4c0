//! Frozen weights in fewer bits: bfloat16, int8 in blocks, and NF4 whose scales are quantised once more. A weight is turned
//! back into `f32` as a whole when a product needs it, so that a model holds one weight in full at a time. Which weights
//! are kept like this is left to the models.
//!
//! With w a block of 64 values one behind the other, s = max |w|:
//!
//! | format | kept | given back | bits a value |
//! |---|---|---|---|
//! | bf16 | the nearest bfloat16, ties to even | that | 16 |
//! | int8 | q = round(127 · w / s), s | q · s / 127 | 8.5 |
//! | NF4 | the nearest of sixteen levels to w / s, s in 8 bits | level · s | 4.13 |
//!
//! NF4's levels are quantiles of a normal distribution, scaled to ±1; its scales lose their mean, and what is left of 256
//! of them is kept as one `f32` and a byte each (Dettmers et al. 2023, "QLoRA"; the bytes stand for the numbers of
//! Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization").

mod nf4;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::workspace::tensor_of;
use crate::{Error, Result, Workspace};

/// Values that share a scale.
const BLOCK: usize = 64;

/// Values of one piece of parallel work; whole blocks, and whole groups of blocks whose scales belong together.
const PIECE: usize = BLOCK * 256;

/// How a weight is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// bfloat16.
    Bf16,
    /// Eight bits in blocks of 64.
    Int8,
    /// Four bits in blocks of 64, with scales in eight bits.
    Nf4,
}

/// Values of a frozen weight, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    length: usize,
    store: Store,
}

#[derive(Debug, Clone, PartialEq)]
enum Store {
    Bf16(Vec<u16>),
    Int8 { codes: Vec<i8>, scales: Vec<f32> },
    Nf4 { codes: Vec<u8>, scales: nf4::Scales },
}

fn largest(block: &[f32]) -> f32 {
    block
        .iter()
        .fold(0.0, |largest: f32, value| largest.max(value.abs()))
}

fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

fn to_int8(block: &[f32], codes: &mut [i8]) -> f32 {
    let scale = largest(block);
    let factor = if scale > 0.0 { 127.0 / scale } else { 0.0 };
    for (code, value) in codes.iter_mut().zip(block) {
        *code = (value * factor).round() as i8;
    }
    scale
}

fn from_int8(codes: &[i8], scale: f32, out: &mut [f32]) {
    let factor = scale / 127.0;
    for (value, code) in out.iter_mut().zip(codes) {
        *value = f32::from(*code) * factor;
    }
}

impl Quantized {
    /// Keeps `values` in `format`.
    ///
    /// # Errors
    /// [`Error::Range`] when a value is not finite, or too large for a bfloat16: it would spoil its whole block.
    pub fn new(values: &[f32], format: Format) -> Result<Self> {
        // Beyond this a bfloat16 is infinite.
        const LARGEST: f32 = f32::from_bits(0x7f7f_7fff);
        if let Some(at) = values
            .iter()
            .position(|value| !(..=LARGEST).contains(&value.abs()))
        {
            return Err(Error::Range {
                place: "value to quantise",
                value: format!("{} (number {at})", values[at]),
                range: format!("±{LARGEST:e}"),
            });
        }
        let length = values.len();
        let store = match format {
            Format::Bf16 => Store::Bf16(
                values
                    .par_iter()
                    .with_min_len(PIECE)
                    .map(|value| to_bf16(*value))
                    .collect(),
            ),
            Format::Int8 => {
                let mut codes = vec![0; length];
                let scales = values
                    .par_chunks(BLOCK)
                    .zip(codes.par_chunks_mut(BLOCK))
                    .with_min_len(PIECE / BLOCK)
                    .map(|(block, codes)| to_int8(block, codes))
                    .collect();
                Store::Int8 { codes, scales }
            }
            Format::Nf4 => {
                let mut codes = vec![0; length.div_ceil(2)];
                let scales: Vec<f32> = values
                    .par_chunks(BLOCK)
                    .zip(codes.par_chunks_mut(BLOCK / 2))
                    .with_min_len(PIECE / BLOCK)
                    .map(|(block, codes)| {
                        let scale = largest(block);
                        nf4::encode(block, scale, codes);
                        scale
                    })
                    .collect();
                let scales = nf4::Scales::new(&scales);
                Store::Nf4 { codes, scales }
            }
        };
        Ok(Self { length, store })
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The format.
    pub fn format(&self) -> Format {
        match self.store {
            Store::Bf16(_) => Format::Bf16,
            Store::Int8 { .. } => Format::Int8,
            Store::Nf4 { .. } => Format::Nf4,
        }
    }

    /// Bytes that the values take, scales included.
    pub fn bytes(&self) -> usize {
        match &self.store {
            Store::Bf16(values) => size_of_val(values.as_slice()),
            Store::Int8 { codes, scales } => codes.len() + size_of_val(scales.as_slice()),
            Store::Nf4 { codes, scales } => codes.len() + scales.bytes(),
        }
    }

    /// The values in `f32`, in `out`.
    ///
    /// # Errors
    /// [`Error::Shape`] when `out` has another length.
    pub fn dequantize(&self, out: &mut [f32]) -> Result<()> {
        crate::error::same_size("quantised weight", self.length, out.len())?;
        self.fill(out);
        Ok(())
    }

    /// The values in `f32`.
    pub fn to_vec(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.length];
        self.fill(&mut values);
        values
    }

    /// The values in `out`, which is as long.
    fn fill(&self, out: &mut [f32]) {
        out.par_chunks_mut(PIECE)
            .enumerate()
            .for_each(|(piece, out)| self.piece(piece * PIECE, out));
    }

    /// The values from `start`, the first of a piece.
    fn piece(&self, start: usize, out: &mut [f32]) {
        match &self.store {
            Store::Bf16(values) => {
                for (out, bits) in out.iter_mut().zip(&values[start..]) {
                    *out = f32::from_bits(u32::from(*bits) << 16);
                }
            }
            Store::Int8 { codes, scales } => {
                let blocks = codes[start..].chunks(BLOCK).zip(&scales[start / BLOCK..]);
                for (out, (codes, scale)) in out.chunks_mut(BLOCK).zip(blocks) {
                    from_int8(codes, *scale, out);
                }
            }
            Store::Nf4 { codes, scales } => {
                let blocks = codes[start / 2..].chunks(BLOCK / 2);
                for (at, (out, codes)) in out.chunks_mut(BLOCK).zip(blocks).enumerate() {
                    nf4::decode(codes, scales.get(start / BLOCK + at), out);
                }
            }
        }
    }
}

/// The values of weights that lie side by side, one behind the other, as a tensor of `shape` in a buffer of `workspace`; give
/// it back with [`Workspace::recycle`].
///
/// # Errors
/// [`Error::Shape`] when `shape` has another number of elements than they have together.
pub fn joined(
    workspace: &Workspace,
    parts: &[&Quantized],
    shape: (usize, usize),
) -> Result<Tensor> {
    let length = parts.iter().map(|part| part.length).sum();
    crate::error::same_size("quantised weights", shape.0 * shape.1, length)?;
    let mut buffer = workspace.take(length);
    let mut rest = buffer.as_mut_slice();
    for part in parts {
        let (values, others) = rest.split_at_mut(part.length);
        part.dequantize(values)?;
        rest = others;
    }
    tensor_of(buffer, shape)
}
