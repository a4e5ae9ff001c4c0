//! Products of a few rows with a large matrix, which are over before the matrix could be packed: each of its numbers is
//! read once, in the order in which it lies in memory. Used for the next token of a generation and for short texts.
#![allow(unsafe_code, reason = "threads write their own columns of one result")]

use std::ops::Range;

use rayon::prelude::*;

use super::driver::{Addend, Product};
use super::kernel::{Dots, Kernel, PASS, Rows};
use crate::scatter::Scatter;

/// Rows up to which a matrix that lies column by column is read in place: packing it would exchange rows and columns.
const MOST_BY_COLUMNS: usize = 24;
/// The same for a matrix that lies row by row, which is packed at the speed of a copy.
const MOST_BY_ROWS: usize = 6;
/// The same where the matrix is so much higher than the result is wide that packing it for these rows alone would take
/// longer than all they compute: the gradients of low-rank factors, which sum over tokens.
const MOST_BY_ROWS_OF_SUMS: usize = 16;
/// Multiply-adds for one thread below which a second one is not worth waking.
const SMALLEST: usize = 1 << 16;
/// Columns that stay in the first-level cache while the rows of the matrix pass.
const WIDTH: usize = 2048;

/// Whether this module is the right one for the product.
pub(super) fn fits(product: &Product<'_>) -> bool {
    let Product { a, b, .. } = product;
    if a.column_stride != 1 {
        return false;
    }
    if b.row_stride == 1 {
        a.rows <= MOST_BY_COLUMNS
    } else {
        b.column_stride == 1 && a.rows <= MOST_BY_ROWS
    }
}

/// The same for sums over many rows.
pub(super) fn fits_sums(product: &Product<'_>) -> bool {
    let Product { a, b, .. } = product;
    a.column_stride == 1 && b.column_stride == 1 && a.rows <= MOST_BY_ROWS_OF_SUMS
}

/// Computes a product that [`fits`], by columns over the pool if `shared`.
pub(super) fn run(kernel: &Kernel, product: &Product<'_>, result: &mut [f32], shared: bool) {
    let columns = product.b.columns;
    let work = product.a.rows * product.a.columns * columns;
    let threads = if shared {
        rayon::current_num_threads()
    } else {
        1
    };
    let parts = threads.min(work / SMALLEST).clamp(1, columns.div_ceil(32));
    let width = columns.div_ceil(parts).next_multiple_of(16);
    let ranges: Vec<Range<usize>> = (0..columns)
        .step_by(width)
        .map(|start| start..(start + width).min(columns))
        .collect();
    let result = Scatter::new(result);
    let one = |range: Range<usize>| {
        if product.b.row_stride == 1 {
            by_columns(kernel, product, &result, range);
        } else {
            by_rows(kernel, product, &result, range);
        }
    };
    if let [range] = &ranges[..] {
        one(range.clone());
    } else {
        ranges.into_par_iter().with_max_len(1).for_each(one);
    }
}

/// Each column of `b` lies in one run: a dot product with each row of `a`.
fn by_columns(kernel: &Kernel, product: &Product<'_>, result: &Scatter<'_>, range: Range<usize>) {
    let Product { a, b, stride, .. } = *product;
    let columns = b.columns(range.start, range.len());
    let (addend, addend_stride) = match product.addend {
        Addend::Nothing => (std::ptr::null(), 0),
        Addend::Result => (result.pointer(range.start).cast_const(), stride),
        Addend::Row(row) => (row[range.clone()].as_ptr(), 0),
    };
    let dots = Dots {
        depth: a.columns,
        a: a.data.as_ptr(),
        a_stride: a.row_stride,
        rows: a.rows,
        b: columns.data.as_ptr(),
        b_stride: b.column_stride,
        columns: range.len(),
        factor: product.factor,
        addend,
        addend_stride,
        out: result.pointer(range.start),
        stride,
    };
    // SAFETY: the operands were checked to lie inside their slices, the range inside the result; ranges do not overlap.
    unsafe { (kernel.dots)(&dots) };
}

/// Each row of `b` lies in one run: it is added to the result, times a number of `a`.
fn by_rows(kernel: &Kernel, product: &Product<'_>, result: &Scatter<'_>, range: Range<usize>) {
    let Product { a, b, stride, .. } = *product;
    for left in range.clone().step_by(WIDTH) {
        let width = WIDTH.min(range.end - left);
        for row in 0..a.rows {
            // SAFETY: ranges do not overlap, so this part of the row is reached from here alone.
            let out = unsafe { result.slice(row * stride + left, width) };
            match product.addend {
                Addend::Nothing => out.fill(0.0),
                Addend::Result => {}
                Addend::Row(added) => out.copy_from_slice(&added[left..left + width]),
            }
        }
        for first in (0..a.columns).step_by(PASS) {
            let count = PASS.min(a.columns - first);
            // A part of the last pass that does not exist reads an existing row, times zero.
            let rows = |first: usize| -> [*const f32; PASS] {
                std::array::from_fn(|i| {
                    let row = (first + i).min(a.columns - 1);
                    b.data[row * b.row_stride + left..][..width].as_ptr()
                })
            };
            let (these, ahead) = (rows(first), rows(first + PASS));
            for row in 0..a.rows {
                let factors: [f32; PASS] = std::array::from_fn(|i| {
                    let column = row * a.row_stride + first + i;
                    if i < count {
                        a.data[column] * product.factor
                    } else {
                        0.0
                    }
                });
                // SAFETY: as above.
                let out = unsafe { result.slice(row * stride + left, width) };
                let rows = Rows {
                    these,
                    ahead,
                    factors,
                    out: out.as_mut_ptr(),
                    width,
                };
                // SAFETY: all rows were just found to have `width` numbers inside the matrix.
                unsafe { (kernel.add_rows)(&rows) };
            }
        }
    }
}
