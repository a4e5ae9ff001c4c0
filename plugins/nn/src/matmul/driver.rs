//! Blocks of a product: one operand packed once for everybody, the other a block at a time by whoever computes with
//! it, and the result cut into rectangles for the threads. Each element of the result is summed in one order whatever
//! the rectangles, so their sizes may follow the number of threads. The innermost loop is left to `kernel`.
#![allow(
    unsafe_code,
    reason = "threads write rectangles of one result through kernels that take addresses"
)]

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::Matrix;
use super::kernel::{Kernel, Tile};
use super::pack;

/// Multiply-adds of a rectangle below which handing it to another thread costs more than it saves.
const SMALLEST: usize = 1 << 18;
/// Elements of a packed block of `a`: it stays in the second-level cache while panels of `b` pass by.
const BLOCK: usize = 40 << 10;
/// Packed floats to which panels are aligned: a cache line.
const ALIGNMENT: usize = 16;

thread_local! {
    /// The packed block of `a`, and of `b` where one thread does a product alone.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// What the product is added to.
#[derive(Clone, Copy)]
pub(super) enum Addend<'a> {
    Nothing,
    /// What the result holds.
    Result,
    /// One number for each column.
    Row(&'a [f32]),
}

/// A product whose sizes have been checked.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) a: Matrix<'a>,
    pub(super) b: Matrix<'a>,
    pub(super) factor: f32,
    pub(super) addend: Addend<'a>,
    /// Elements from one row of the result to the next.
    pub(super) stride: usize,
}

/// Where a result begins; shared by the threads that write its rectangles.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: only `rectangle` uses the address, and its callers promise that rectangles do not overlap.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

impl Out {
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// Floats that `b` takes when it is packed.
pub(super) fn packed_size(kernel: &Kernel, b: Matrix<'_>) -> usize {
    let panels = b.columns.div_ceil(kernel.columns);
    let parts = Parts::new(kernel, b.rows);
    parts.words() * panels * kernel.columns + ALIGNMENT
}

/// The inner size in parts of equal length, but for the last.
#[derive(Clone, Copy)]
struct Parts {
    inner: usize,
    length: usize,
    values: usize,
}

impl Parts {
    fn new(kernel: &Kernel, inner: usize) -> Self {
        let count = inner.div_ceil(kernel.depth).max(1);
        Self {
            inner,
            length: inner.div_ceil(count).next_multiple_of(8).max(8),
            values: kernel.values,
        }
    }

    fn iter(self) -> impl Iterator<Item = Range<usize>> {
        let starts = (0..self.inner.max(1)).step_by(self.length);
        starts.map(move |start| start..(start + self.length).min(self.inner))
    }

    fn steps(self, part: &Range<usize>) -> usize {
        part.len().div_ceil(self.values)
    }

    fn words(self) -> usize {
        self.iter().map(|part| self.steps(&part)).sum()
    }
}

fn aligned(buffer: &mut [f32]) -> &mut [f32] {
    let offset = buffer.as_ptr().align_offset(ALIGNMENT * size_of::<f32>());
    &mut buffer[offset.min(ALIGNMENT)..]
}

/// Packs `b` into `buffer`, part by part, in each panel by panel.
fn pack_b<'a>(kernel: &Kernel, b: Matrix<'_>, buffer: &'a mut [f32], shared: bool) -> &'a [f32] {
    let panels = b.columns.div_ceil(kernel.columns);
    let parts = Parts::new(kernel, b.rows);
    let lanes = b.transposed();
    let buffer = &mut aligned(buffer)[..parts.words() * panels * kernel.columns];
    let mut rest = &mut *buffer;
    let mut work = Vec::new();
    for part in parts.iter() {
        let size = parts.steps(&part) * kernel.columns;
        let (whole, after) = rest.split_at_mut(size * panels);
        rest = after;
        if size > 0 {
            let panels = whole.chunks_exact_mut(size).enumerate();
            work.extend(panels.map(|(index, panel)| (index, part.clone(), panel)));
        }
    }
    let pack = |(index, part, panel): (usize, Range<usize>, &mut [f32])| {
        let first = index * kernel.columns;
        let lanes = lanes.rows(first, kernel.columns.min(b.columns - first));
        let count = part.len();
        pack::panel(
            panel,
            lanes,
            kernel.columns,
            part.start,
            count,
            kernel.values,
        );
    };
    if shared {
        work.into_par_iter().with_min_len(4).for_each(pack);
    } else {
        work.into_iter().for_each(pack);
    }
    buffer
}

/// Rows and panels of the rectangles.
#[derive(Clone, Copy)]
struct Grid {
    height: usize,
    across: usize,
}

impl Grid {
    fn new(kernel: &Kernel, product: &Product<'_>, threads: usize) -> Self {
        let (rows, inner) = (product.a.rows, product.a.columns);
        let panels = product.b.columns.div_ceil(kernel.columns);
        let length = Parts::new(kernel, inner).length / kernel.values;
        let tallest = (BLOCK / length).max(kernel.rows) / kernel.rows * kernel.rows;
        let mut grid = Self {
            height: tallest.min(rows),
            across: panels,
        };
        let count = |grid: Self| rows.div_ceil(grid.height) * panels.div_ceil(grid.across);
        let work = |grid: Self| grid.height * grid.across * kernel.columns * inner;
        while threads > 1 && count(grid) < 4 * threads && work(grid) > 2 * SMALLEST {
            if grid.height >= 4 * kernel.rows && (grid.height > 48 || grid.across < 8) {
                grid.height = (grid.height / 2).next_multiple_of(kernel.rows);
            } else if grid.across > 1 {
                grid.across = grid.across.div_ceil(2);
            } else {
                break;
            }
        }
        grid
    }
}

/// The product into the result at `out`, over the pool where `shared`; `buffer` has room for [`packed_size`].
///
/// # Safety
/// For each row of `a`, as many elements as `b` has columns from `out + row · stride` are valid, and nobody else
/// reaches them.
pub(super) unsafe fn run(
    kernel: &Kernel,
    product: &Product<'_>,
    out: *mut f32,
    buffer: &mut [f32],
    shared: bool,
) {
    let (rows, columns) = (product.a.rows, product.b.columns);
    let shared = shared && rows * columns * product.a.columns > 2 * SMALLEST;
    let threads = if shared {
        rayon::current_num_threads()
    } else {
        1
    };
    let packed = pack_b(kernel, product.b, buffer, threads > 1);
    let grid = Grid::new(kernel, product, threads);
    let panels = columns.div_ceil(kernel.columns);
    let rectangles: Vec<(Range<usize>, Range<usize>)> = (0..rows)
        .step_by(grid.height)
        .flat_map(|top| {
            (0..panels).step_by(grid.across).map(move |left| {
                let below = (top + grid.height).min(rows);
                (top..below, left..(left + grid.across).min(panels))
            })
        })
        .collect();
    let out = Out(out);
    let work = |(rows, panels): (Range<usize>, Range<usize>)| {
        SCRATCH.with_borrow_mut(|(block, _)| {
            // SAFETY: rectangles do not overlap, each comes once, and the caller answers for the result.
            unsafe { rectangle(kernel, product, packed, out, block, rows, panels) }
        });
    };
    if threads > 1 {
        rectangles.into_par_iter().with_max_len(1).for_each(work);
    } else {
        rectangles.into_iter().for_each(work);
    }
}

/// [`run`] on the calling thread with a buffer of its own.
///
/// # Safety
/// As [`run`].
pub(super) unsafe fn run_alone(kernel: &Kernel, product: &Product<'_>, out: *mut f32) {
    let mut buffer = SCRATCH.with_borrow_mut(|(_, buffer)| std::mem::take(buffer));
    let size = packed_size(kernel, product.b);
    if buffer.len() < size {
        buffer.resize(size, 0.0);
    }
    // SAFETY: the caller's promise.
    unsafe { run(kernel, product, out, &mut buffer, false) };
    SCRATCH.with_borrow_mut(|(_, kept)| *kept = buffer);
}

/// Rows `rows` and panels `panels` of the result.
///
/// # Safety
/// As [`run`] for the elements of the rectangle.
unsafe fn rectangle(
    kernel: &Kernel,
    product: &Product<'_>,
    packed: &[f32],
    out: Out,
    block: &mut Vec<f32>,
    rows: Range<usize>,
    panels: Range<usize>,
) {
    let Product { a, b, stride, .. } = *product;
    let parts = Parts::new(kernel, a.columns);
    let a = a.rows(rows.start, rows.len());
    let all_panels = b.columns.div_ceil(kernel.columns);
    let needed = rows.len().div_ceil(kernel.rows) * parts.length * kernel.rows + ALIGNMENT;
    if block.len() < needed {
        block.resize(needed, 0.0);
    }
    let block = aligned(block);
    let mut before = 0;
    for part in parts.iter() {
        let steps = parts.steps(&part);
        let block = &mut block[..rows.len().div_ceil(kernel.rows) * steps * kernel.rows];
        for first in (0..rows.len()).step_by(kernel.rows) {
            let source = a.rows(first, kernel.rows.min(rows.len() - first));
            let panel = &mut block[first * steps..][..steps * kernel.rows];
            pack::panel(
                panel,
                source,
                kernel.rows,
                part.start,
                part.len(),
                kernel.values,
            );
        }
        for panel in panels.clone() {
            let left = panel * kernel.columns;
            let width = kernel.columns.min(b.columns - left);
            let b = &packed[before + panel * steps * kernel.columns..][..steps * kernel.columns];
            for first in (0..rows.len()).step_by(kernel.rows) {
                let at = out.at((rows.start + first) * stride + left);
                let (addend, addend_stride) = match product.addend {
                    _ if part.start > 0 => (at.cast_const(), stride),
                    Addend::Nothing => (std::ptr::null(), 0),
                    Addend::Result => (at.cast_const(), stride),
                    Addend::Row(row) => (row[left..left + width].as_ptr(), 0),
                };
                let tile = Tile {
                    steps,
                    a: block[first * steps..][..steps * kernel.rows].as_ptr(),
                    b: b.as_ptr(),
                    factor: product.factor,
                    addend,
                    addend_stride,
                    out: at,
                    stride,
                    rows: kernel.rows.min(rows.len() - first),
                    columns: width,
                };
                // SAFETY: both panels were just taken with the sizes that the kernel reads; the tile lies inside the
                // rectangle, for which the caller answers, and a row that is added has an element for each column.
                unsafe { (kernel.tile)(&tile) };
            }
        }
        before += steps * kernel.columns * all_panels;
    }
}
