//! The innermost loop of a matrix product: a tile of the result from packed panels of both operands, written once over
//! lanes and compiled for each vector unit; the CPU decides at run time. Packing and blocking are left to others.
#![allow(
    unsafe_code,
    reason = "vector instructions, on panels whose sizes the driver has checked"
)]

use crate::Precision;

mod lanes;

use lanes::{Bf16Words, Lanes, Portable};

/// A tile of a result, and where its operands lie.
///
/// `a` points to `steps` columns of `rows` packed words, `b` to `steps` rows of `columns` packed words, both of the
/// kernel's whole tile size, filled up with zeros. The tile becomes `factor · a · b + addend`.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) steps: usize,
    pub(super) a: *const f32,
    pub(super) b: *const f32,
    pub(super) factor: f32,
    /// What is added, rows `addend_stride` apart (0: the same row for all); null for nothing.
    pub(super) addend: *const f32,
    pub(super) addend_stride: usize,
    pub(super) out: *mut f32,
    pub(super) stride: usize,
    /// Rows and columns that exist in the result; at most the kernel's.
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// Dot products of the rows of `a` with the columns of `b`, both of which lie in one run of `depth` numbers each:
/// `factor · a · b + addend`, with addend and result as in [`Tile`].
#[derive(Clone, Copy)]
pub(super) struct Dots {
    pub(super) depth: usize,
    pub(super) a: *const f32,
    pub(super) a_stride: usize,
    pub(super) rows: usize,
    pub(super) b: *const f32,
    pub(super) b_stride: usize,
    pub(super) columns: usize,
    pub(super) factor: f32,
    pub(super) addend: *const f32,
    pub(super) addend_stride: usize,
    pub(super) out: *mut f32,
    pub(super) stride: usize,
}

/// Rows of a matrix that pass at once where it lies row by row: few enough streams for the CPU to follow.
pub(super) const PASS: usize = 4;

/// Rows that are added, times their factors, to the `width` numbers of `out`; the rows `ahead` come next.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) these: [*const f32; PASS],
    pub(super) ahead: [*const f32; PASS],
    pub(super) factors: [f32; PASS],
    pub(super) out: *mut f32,
    pub(super) width: usize,
}

/// A compiled innermost loop and the sizes that it wants.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    /// Rows of a tile.
    pub(super) rows: usize,
    /// Columns of a tile.
    pub(super) columns: usize,
    /// Values of the inner size in one packed word: 1, or 2 of bfloat16.
    pub(super) values: usize,
    /// Largest inner size of a block: a panel of `columns` fits into half of the first-level cache.
    pub(super) depth: usize,
    /// Computes a tile.
    ///
    /// # Safety
    /// The panels hold `steps` whole rows of words; `rows × columns` elements of the result, and of the addend if there
    /// is one, are valid, the result's for writing, and nobody else reaches them.
    pub(super) tile: unsafe fn(&Tile),
    /// Computes dot products, in `f32` whatever the precision of tiles.
    ///
    /// # Safety
    /// Each row of `a` and column of `b` holds `depth` numbers; result and addend as for `tile`.
    pub(super) dots: DotProducts,
    /// Adds rows, in `f32` whatever the precision of tiles.
    ///
    /// # Safety
    /// Each row, those ahead as well, holds `width` numbers; the result's are valid for writing, and nobody else
    /// reaches them.
    pub(super) add_rows: AddRows,
}

/// Whether this CPU has dot products of bfloat16.
pub(crate) fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return has_avx512() && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Compiles a function of lanes for a vector unit.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled {
    ($name:ident, $operands:ty, $features:literal, $function:expr) => {
        #[target_feature(enable = $features)]
        pub(super) fn $name(operands: &$operands) {
            // SAFETY: the caller answers for the pointers, the features of this function for the lanes.
            unsafe { $function(operands) }
        }
    };
}

/// Portable dot products and tiles.
mod portable {
    use super::{Bf16Words, Dots, Portable, Rows, Tile, add_rows, compute, dot_products};

    pub(super) unsafe fn tile(tile: &Tile) {
        // SAFETY: the caller answers for the pointers; the lanes need no features.
        unsafe { compute::<Portable, 6, 2>(tile) }
    }
    pub(super) unsafe fn tile_bf16(tile: &Tile) {
        // SAFETY: as above.
        unsafe { compute::<Bf16Words, 4, 2>(tile) }
    }
    pub(super) unsafe fn dots(dots: &Dots) {
        // SAFETY: as above.
        unsafe { dot_products::<Portable>(dots) }
    }
    pub(super) unsafe fn rows(rows: &Rows) {
        // SAFETY: as above.
        unsafe { add_rows::<Portable>(rows) }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::lanes::{Avx2, Avx512, Avx512Bf16};
    use super::{Bf16Words, Dots, Rows, Tile, add_rows, compute, dot_products};

    compiled!(avx2, Tile, "avx2,fma", compute::<Avx2, 6, 2>);
    compiled!(avx2_bf16, Tile, "avx2,fma", compute::<Bf16Words, 4, 2>);
    compiled!(avx2_dots, Dots, "avx2,fma", dot_products::<Avx2>);
    compiled!(avx2_rows, Rows, "avx2,fma", add_rows::<Avx2>);
    compiled!(
        avx512,
        Tile,
        "avx512f,avx512bw,avx512vl,avx2,fma",
        compute::<Avx512, 12, 2>
    );
    compiled!(
        avx512_bf16,
        Tile,
        "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma",
        compute::<Avx512Bf16, 12, 2>
    );
    compiled!(
        avx512_dots,
        Dots,
        "avx512f,avx512bw,avx512vl,avx2,fma",
        dot_products::<Avx512>
    );
    compiled!(
        avx512_rows,
        Rows,
        "avx512f,avx512bw,avx512vl,avx2,fma",
        add_rows::<Avx512>
    );
}

impl Kernel {
    /// The fastest one on this CPU.
    pub(super) fn of(precision: Precision) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            // (rows, columns, function) for tiles of each precision.
            let chosen: Option<([Tiles; 2], DotProducts, AddRows)> = if has_avx512() {
                let bf16: Tiles = if has_bf16() {
                    (12, 32, x86::avx512_bf16)
                } else {
                    (4, 16, x86::avx2_bf16)
                };
                Some((
                    [(12, 32, x86::avx512), bf16],
                    x86::avx512_dots,
                    x86::avx512_rows,
                ))
            } else if has_avx2() {
                let tiles: [Tiles; 2] = [(6, 16, x86::avx2), (4, 16, x86::avx2_bf16)];
                Some((tiles, x86::avx2_dots, x86::avx2_rows))
            } else {
                None
            };
            if let Some((tiles, dots, rows)) = chosen {
                return Self::new(precision, tiles, dots, rows);
            }
        }
        Self::portable(precision)
    }

    /// The one that every CPU has.
    pub(super) fn portable(precision: Precision) -> Self {
        let tiles: [Tiles; 2] = [(6, 16, portable::tile), (4, 16, portable::tile_bf16)];
        Self::new(precision, tiles, portable::dots, portable::rows)
    }

    fn new(
        precision: Precision,
        [f32, bf16]: [Tiles; 2],
        dots: DotProducts,
        add_rows: AddRows,
    ) -> Self {
        let ((rows, columns, tile), values) = match precision {
            Precision::F32 => (f32, 1),
            Precision::Bf16 => (bf16, 2),
        };
        Self {
            rows,
            columns,
            values,
            depth: DEPTH * values,
            tile,
            dots,
            add_rows,
        }
    }
}

/// Rows and columns of a tile, and the function that computes one.
type Tiles = (usize, usize, unsafe fn(&Tile));

/// The function that computes dot products.
type DotProducts = unsafe fn(&Dots);

/// The function that adds rows.
type AddRows = unsafe fn(&Rows);

/// Words of the inner size in a block: a panel of 16 columns fits into the first-level cache of 32 KiB.
const DEPTH: usize = 384;

/// The tile of `R` rows and `C` vectors of columns, all of whose sums stay in registers.
///
/// # Safety
/// As [`Kernel::tile`], and the CPU has what the lanes need.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the function compiled for the lanes"
)]
unsafe fn compute<L: Lanes, const R: usize, const C: usize>(tile: &Tile) {
    let width = C * L::WIDTH;
    let Tile {
        steps,
        mut a,
        mut b,
        factor,
        addend,
        addend_stride,
        out,
        stride,
        rows,
        columns,
    } = *tile;
    // SAFETY: panels hold `steps` rows of `R` and `width` words, and the result and the addend have the tile's rows and
    // columns, as the caller promises; where the result lacks some, the sums go through a buffer of a whole tile.
    unsafe {
        let mut sums = [[L::zero(); C]; R];
        for _ in 0..steps {
            let mut words = [L::words(b); C];
            for (c, words) in words.iter_mut().enumerate().skip(1) {
                *words = L::words(b.add(c * L::WIDTH));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let row = L::broadcast(a.add(r));
                for (sum, &words) in sums.iter_mut().zip(&words) {
                    *sum = L::accumulate(*sum, row, words);
                }
            }
            a = a.add(R);
            b = b.add(width);
        }
        if rows == R && columns == width {
            for (r, sums) in sums.iter().enumerate() {
                for (c, &sum) in sums.iter().enumerate() {
                    let mut value = L::scale(sum, factor);
                    if !addend.is_null() {
                        let added = addend.add(r * addend_stride + c * L::WIDTH);
                        value = L::add(value, L::load(added));
                    }
                    L::store(out.add(r * stride + c * L::WIDTH), value);
                }
            }
            return;
        }
        let mut whole = [[0.0f32; MOST_COLUMNS]; R];
        for (whole, sums) in whole.iter_mut().zip(&sums) {
            for (c, &sum) in sums.iter().enumerate() {
                L::store(whole.as_mut_ptr().add(c * L::WIDTH), L::scale(sum, factor));
            }
        }
        for (r, whole) in whole.iter().enumerate().take(rows) {
            for (column, &value) in whole.iter().enumerate().take(columns) {
                let value = if addend.is_null() {
                    value
                } else {
                    value + *addend.add(r * addend_stride + column)
                };
                *out.add(r * stride + column) = value;
            }
        }
    }
}

/// Columns of the widest tile.
const MOST_COLUMNS: usize = 32;

/// Four columns of `b` with three rows of `a` at a time, as many sums as hide the latency of one.
///
/// # Safety
/// As [`Kernel::dots`], and the CPU has what the lanes need.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the function compiled for the lanes"
)]
unsafe fn dot_products<L: Lanes>(dots: &Dots) {
    // SAFETY: rows and columns that are named exist.
    unsafe {
        let mut column = 0;
        while column < dots.columns {
            let four = column + 4 <= dots.columns;
            let mut row = 0;
            while row < dots.rows {
                let rows = (dots.rows - row).min(3);
                match (rows, four) {
                    (3, true) => dot_block::<L, 3, 4>(dots, row, column),
                    (2, true) => dot_block::<L, 2, 4>(dots, row, column),
                    (_, true) => dot_block::<L, 1, 4>(dots, row, column),
                    (3, false) => dot_block::<L, 3, 1>(dots, row, column),
                    (2, false) => dot_block::<L, 2, 1>(dots, row, column),
                    (_, false) => dot_block::<L, 1, 1>(dots, row, column),
                }
                row += rows;
            }
            column += if four { 4 } else { 1 };
        }
    }
}

/// Rows `row..row + R` with columns `column..column + C`.
///
/// # Safety
/// As [`Kernel::dots`]; these rows and columns exist.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the function compiled for the lanes"
)]
unsafe fn dot_block<L: Lanes, const R: usize, const C: usize>(
    dots: &Dots,
    row: usize,
    column: usize,
) {
    // SAFETY: all reads are of the first `depth` numbers of rows and columns that exist, as the caller promises.
    unsafe {
        let a: [*const f32; R] = std::array::from_fn(|r| dots.a.add((row + r) * dots.a_stride));
        let b: [*const f32; C] = std::array::from_fn(|c| dots.b.add((column + c) * dots.b_stride));
        let mut sums = [[L::zero(); C]; R];
        let whole = dots.depth / L::WIDTH * L::WIDTH;
        // The columns that come next are asked for while rows pass these, each column by other rows: memory answers
        // slower than one pass could ask.
        let (pass, passes) = (row / 3, dots.rows.div_ceil(3).min(C));
        let ahead = (pass < passes && column + C < dots.columns).then_some(C * dots.b_stride);
        let mut at = 0;
        while at < whole {
            if let Some(ahead) = ahead
                && at % LINE == 0
            {
                for column in b.iter().skip(pass).step_by(passes) {
                    prefetch(column.wrapping_add(ahead + at));
                }
            }
            let rows = a.map(|a| L::words(a.add(at)));
            for (c, b) in b.iter().enumerate() {
                let column = L::words(b.add(at));
                for (sums, row) in sums.iter_mut().zip(rows) {
                    sums[c] = L::accumulate(sums[c], row, column);
                }
            }
            at += L::WIDTH;
        }
        for r in 0..R {
            let mut totals = [0.0; C];
            match sums[r].first_chunk::<4>() {
                Some(&sums) if C == 4 => totals.copy_from_slice(&L::four_totals(sums)),
                _ => {
                    for (total, &sums) in totals.iter_mut().zip(&sums[r]) {
                        *total = L::total(sums);
                    }
                }
            }
            for c in 0..C {
                let mut sum = totals[c];
                for rest in whole..dots.depth {
                    sum += *a[r].add(rest) * *b[c].add(rest);
                }
                sum *= dots.factor;
                if !dots.addend.is_null() {
                    sum += *dots.addend.add((row + r) * dots.addend_stride + column + c);
                }
                *dots.out.add((row + r) * dots.stride + column + c) = sum;
            }
        }
    }
}

/// [`Rows`], a vector of columns at a time.
///
/// # Safety
/// As [`Kernel::add_rows`], and the CPU has what the lanes need.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the function compiled for the lanes"
)]
unsafe fn add_rows<L: Lanes>(rows: &Rows) {
    let Rows {
        these,
        ahead,
        factors,
        out,
        width,
    } = *rows;
    // SAFETY: all rows and the result hold `width` numbers, as the caller promises.
    unsafe {
        let words: [L::Words; PASS] = std::array::from_fn(|i| L::broadcast(&raw const factors[i]));
        let whole = width / L::WIDTH * L::WIDTH;
        let mut at = 0;
        while at < whole {
            if at % LINE == 0 {
                for row in ahead {
                    prefetch(row.add(at));
                }
            }
            let mut sums = L::load(out.add(at));
            for (row, factor) in these.iter().zip(words) {
                sums = L::accumulate(sums, factor, L::words(row.add(at)));
            }
            L::store(out.add(at), sums);
            at += L::WIDTH;
        }
        for at in whole..width {
            for (row, factor) in these.iter().zip(factors) {
                *out.add(at) += *row.add(at) * factor;
            }
        }
    }
}

/// Numbers in a line of the cache.
const LINE: usize = 16;

/// Asks for the line of the cache at an address: rows are too short for the CPU to see by itself which comes next.
#[inline(always)]
#[allow(clippy::inline_always, reason = "one instruction")]
fn prefetch(number: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: it reads nothing, whatever the address, and belongs to every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(number.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = number;
}
