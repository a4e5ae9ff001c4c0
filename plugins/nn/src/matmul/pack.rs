//! Packing of operands: panels of a few rows (or columns) whose numbers lie in the order in which the kernel reads
//! them, in `f32` or rounded to pairs of bfloat16. Which panels is left to the driver.

#![allow(unsafe_code, reason = "vector instructions exchange rows and columns")]

use super::Matrix;
use crate::vectorized::vectorized;

/// Packs columns `start..start + count` of the rows of `source` into `panel`: for each step one word of each of
/// `lanes` rows, zero where `source` has fewer rows. `values` is 1 for numbers as they are, 2 for pairs of bfloat16, of
/// which the last is filled up with zero.
pub(super) fn panel(
    panel: &mut [f32],
    source: Matrix<'_>,
    lanes: usize,
    start: usize,
    count: usize,
    values: usize,
) {
    let panel = &mut panel[..count.div_ceil(values) * lanes];
    let source = source.columns(start, count);
    let runs = source.column_stride == 1 || source.row_stride == 1;
    if source.rows == lanes && runs && [4, 6, 12, 16, 32].contains(&lanes) {
        whole(panel, source, values);
    } else {
        any(panel, source, lanes, values);
    }
}

/// [`panel`] for a panel that is not full, or of numbers that lie far from one another.
fn any(panel: &mut [f32], source: Matrix<'_>, lanes: usize, values: usize) {
    let at = |row: usize, column: usize| {
        let inside = row < source.rows && column < source.columns;
        if inside {
            source.data[row * source.row_stride + column * source.column_stride]
        } else {
            0.0
        }
    };
    for (step, words) in panel.chunks_exact_mut(lanes).enumerate() {
        for (row, word) in words.iter_mut().enumerate() {
            *word = if values == 1 {
                at(row, step)
            } else {
                pair(at(row, 2 * step), at(row, 2 * step + 1))
            };
        }
    }
}

/// Bits of the nearest bfloat16, ties to even; NaN stays NaN.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if value.is_nan() {
        (bits >> 16) | 0x40
    } else {
        rounded
    }
}

#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
fn pair(first: f32, second: f32) -> f32 {
    f32::from_bits(bf16(first) | (bf16(second) << 16))
}

/// Four rows of four, with rows and columns exchanged.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
fn exchanged(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    // The compiler does not find these by itself. They belong to every x86-64.
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{
            __m128, _mm_movehl_ps, _mm_movelh_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
        };
        // SAFETY: a vector is four numbers, and SSE is part of the target.
        unsafe {
            let [a, b, c, d] = rows.map(|row| std::mem::transmute::<[f32; 4], __m128>(row));
            let (low, next_low) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
            let (high, next_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
            [
                _mm_movelh_ps(low, next_low),
                _mm_movehl_ps(next_low, low),
                _mm_movelh_ps(high, next_high),
                _mm_movehl_ps(next_high, high),
            ]
            .map(|column| std::mem::transmute::<__m128, [f32; 4]>(column))
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::array::from_fn(|i| std::array::from_fn(|j| rows[j][i]))
}

vectorized! {
    /// [`panel`] for as many rows as lanes.
    fn whole(panel: &mut [f32], source: Matrix<'_>, values: usize) {
        match source.rows {
            4 => sized::<4>(panel, source, values),
            6 => sized::<6>(panel, source, values),
            12 => sized::<12>(panel, source, values),
            16 => sized::<16>(panel, source, values),
            _ => sized::<32>(panel, source, values),
        }
    }
}

#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
fn sized<const LANES: usize>(panel: &mut [f32], source: Matrix<'_>, values: usize) {
    let (steps, _) = panel.as_chunks_mut::<LANES>();
    match (source.column_stride == 1, values) {
        (true, 1) => transpose(
            steps,
            source,
            |row, step| row[step],
            |&words: &[f32; 4]| words,
        ),
        (true, _) => transpose(
            steps,
            source,
            |row, step| pair(row[2 * step], row.get(2 * step + 1).copied().unwrap_or(0.0)),
            |values: &[f32; 8]| std::array::from_fn(|i| pair(values[2 * i], values[2 * i + 1])),
        ),
        (false, 1) => {
            for (step, words) in steps.iter_mut().enumerate() {
                words.copy_from_slice(&source.data[step * source.column_stride..][..LANES]);
            }
        }
        (false, _) => {
            for (step, words) in steps.iter_mut().enumerate() {
                let even = &source.data[2 * step * source.column_stride..][..LANES];
                if 2 * step + 1 < source.columns {
                    let odd = &source.data[(2 * step + 1) * source.column_stride..][..LANES];
                    for ((word, &even), &odd) in words.iter_mut().zip(even).zip(odd) {
                        *word = pair(even, odd);
                    }
                } else {
                    for (word, &even) in words.iter_mut().zip(even) {
                        *word = pair(even, 0.0);
                    }
                }
            }
        }
    }
}

/// Rows whose numbers lie one behind the other, four rows and four steps (from `VALUES` numbers) at a time.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
fn transpose<const LANES: usize, const VALUES: usize>(
    steps: &mut [[f32; LANES]],
    source: Matrix<'_>,
    word: impl Fn(&[f32], usize) -> f32,
    four: impl Fn(&[f32; VALUES]) -> [f32; 4],
) {
    let row = |row: usize| &source.data[row * source.row_stride..][..source.columns];
    let fours = source.columns / VALUES * 4;
    let (blocks, rest) = steps.split_at_mut(fours);
    let mut first = 0;
    while first < LANES {
        // At the end maybe only two rows: they stand in for the other two, which are not stored.
        let count = if first + 4 <= LANES { 4 } else { 2 };
        let quarter: [&[f32]; 4] = std::array::from_fn(|i| row(first + i % count));
        let [a, b, c, d] = quarter.map(|row| row.as_chunks::<VALUES>().0);
        let blocks = blocks.as_chunks_mut::<4>().0.iter_mut();
        for ((((to, a), b), c), d) in blocks.zip(a).zip(b).zip(c).zip(d) {
            let words = exchanged([four(a), four(b), four(c), four(d)]);
            for (to, words) in to.iter_mut().zip(words) {
                if count == 4 {
                    to[first..first + 4].copy_from_slice(&words);
                } else {
                    to[first..first + 2].copy_from_slice(&words[..2]);
                }
            }
        }
        for (step, to) in rest.iter_mut().enumerate() {
            for (to, row) in to[first..first + count].iter_mut().zip(quarter) {
                *to = word(row, fours + step);
            }
        }
        first += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_the_nearest_even() {
        for (value, expected) in [
            (1.0, 0x3f80),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (-0.0, 0x8000),
            (f32::INFINITY, 0x7f80),
            (f32::MAX, 0x7f80),
        ] {
            assert_eq!(bf16(value), expected, "{value}");
        }
        assert!(f32::from_bits(bf16(f32::from_bits(0x7f80_0001)) << 16).is_nan());
    }

    #[test]
    fn every_layout_packs_the_same_panel() {
        let (most, columns) = (32, 23);
        let number = |row: usize, column: usize| (row * 31 + column) as f32 / 8.0;
        let plain: Vec<f32> = (0..most * columns)
            .map(|i| number(i / columns, i % columns))
            .collect();
        let exchanged: Vec<f32> = (0..most * columns)
            .map(|i| number(i % most, i / most))
            .collect();
        let spread: Vec<f32> = exchanged.iter().flat_map(|&value| [value, -1.0]).collect();
        let strided = Matrix {
            data: &spread,
            rows: most,
            columns,
            row_stride: 2,
            column_stride: 2 * most,
        };
        let cases: [(usize, usize, usize, usize); 7] = [
            (4, 4, 0, 22),
            (6, 6, 3, 17),
            (12, 12, 0, 1),
            (16, 16, 2, 20),
            (32, 32, 0, 23),
            (7, 16, 2, 20),
            (5, 6, 1, 3),
        ];
        for (rows, lanes, start, count) in cases {
            for values in [1, 2] {
                for source in [
                    Matrix::new(&plain, most, columns),
                    Matrix::new(&exchanged, columns, most).transposed(),
                    strided,
                ] {
                    let mut found = vec![9.0; count.div_ceil(values) * lanes];
                    let source = source.rows(0, rows);
                    panel(&mut found, source, lanes, start, count, values);
                    for (index, found) in found.iter().enumerate() {
                        let (step, lane) = (index / lanes, index % lanes);
                        let value = |offset: usize| {
                            let inside = lane < rows && offset < count;
                            if inside {
                                number(lane, start + offset)
                            } else {
                                0.0
                            }
                        };
                        let expected = if values == 1 {
                            value(step)
                        } else {
                            pair(value(2 * step), value(2 * step + 1))
                        };
                        assert_eq!(found.to_bits(), expected.to_bits(), "word {index}");
                    }
                }
            }
        }
    }
}
