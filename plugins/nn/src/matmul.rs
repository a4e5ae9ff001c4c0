//! Matrix products on slices: strided views with their bounds checked, one single-threaded product, and one that
//! shares the rows of the result out over the pool. The kernels are `gemm`'s. Shapes of tensors are left to the functions.
#![allow(unsafe_code, reason = "gemm takes raw pointers")]

use gemm::Parallelism;
use rayon::prelude::*;

use crate::Workspace;
use crate::scatter::Scatter;
use crate::vectorized::add;

/// Work of one piece in multiply-adds that pays for sharing it out.
const PIECE: usize = 1 << 22;
/// Rows and columns of a piece whose operands are both packed: large, since packing costs by their sum.
const SIDE: usize = 256;
/// Inner size of a part where the inner size is cut.
const DEPTH: usize = 512;
/// Elements that one thread adds up at a time.
const SUM: usize = 1 << 13;

/// A matrix inside a slice: element (row, column) is `data[row * row_stride + column * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major, rows one behind the other.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// Row-major, rows `row_stride` apart.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// The same numbers with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Rows `start..start + count`.
    fn rows(self, start: usize, count: usize) -> Self {
        Self {
            data: &self.data[(start * self.row_stride).min(self.data.len())..],
            rows: count,
            ..self
        }
    }

    /// Columns `start..start + count`.
    fn columns(self, start: usize, count: usize) -> Self {
        self.transposed().rows(start, count).transposed()
    }

    fn assert_inside(self) {
        if self.rows > 0 && self.columns > 0 {
            let last = (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride;
            assert!(
                last < self.data.len(),
                "a matrix of {}×{} ends outside its {} elements",
                self.rows,
                self.columns,
                self.data.len()
            );
        }
    }
}

/// `result = factor · a · b`, or `result += factor · a · b`, on the calling thread. `result` is row-major with rows
/// `stride` apart, of `a`'s rows and `b`'s columns.
pub(crate) fn multiply(
    result: &mut [f32],
    stride: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    factor: f32,
    accumulate: bool,
) {
    let (rows, columns) = (a.rows, b.columns);
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(
        columns <= stride || rows == 1,
        "rows of a product would overlap"
    );
    assert!(
        (rows - 1) * stride + columns <= result.len(),
        "a product of {rows}×{columns} ends outside its buffer"
    );
    // SAFETY: all rows of the result were just checked to lie inside the slice, which is borrowed mutably.
    unsafe { multiply_to(result.as_mut_ptr(), stride, a, b, factor, accumulate) }
}

/// [`multiply`] to a pointer.
///
/// # Safety
/// For each of `a`'s rows, `b.columns` elements from `result + row · stride` are valid for reads and writes, nothing
/// else reaches them meanwhile, and they do not overlap.
unsafe fn multiply_to(
    result: *mut f32,
    stride: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    factor: f32,
    accumulate: bool,
) {
    assert_eq!(a.columns, b.rows, "inner sizes of a product");
    a.assert_inside();
    b.assert_inside();
    // SAFETY: `a` and `b` were just checked to lie inside their slices; the caller answers for the result.
    // gemm computes dst = alpha·dst + beta·lhs·rhs, and reads dst only when told to.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            result,
            1,
            stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Rows and columns of the pieces that a product is cut into. Depends on the sizes alone, so that the kernels see the
/// same pieces, and give the same bits, however many threads there are.
///
/// A piece is as tall as pays for packing its columns of `b`, and narrow enough for those to stay in the cache.
fn piece(rows: usize, columns: usize, inner: usize) -> (usize, usize) {
    let (mut height, mut width) = (rows.min(512), columns.min(128));
    while rows.div_ceil(height) * columns.div_ceil(width) < 16 && height * width * inner > PIECE {
        if height > width {
            height = (height / 2).next_multiple_of(16);
        } else if width > 32 {
            width = (width / 2).next_multiple_of(16);
        } else {
            break;
        }
    }
    (height, width)
}

/// The product of [`multiply`] with the result's rows one behind the other, shared out over the pool; `bias` is added
/// to each row of a piece while it is in the cache.
pub(crate) fn parallel_multiply(
    result: &mut [f32],
    a: Matrix<'_>,
    b: Matrix<'_>,
    bias: Option<&[f32]>,
) {
    let (rows, columns) = (a.rows, b.columns);
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(
        bias.is_none_or(|bias| bias.len() == columns),
        "size of a bias"
    );
    let size = piece(rows, columns, a.columns);
    let shared = Pieces::new(result, rows, columns, size);
    shared.for_each(
        shared.count() > 1 && rows * columns * a.columns >= PIECE / 8,
        |piece| {
            let (a, b) = piece.operands(a, b);
            // SAFETY: `for_each` runs each piece once.
            unsafe { piece.multiply(&shared, a, b, false) };
            if let Some(bias) = bias {
                for row in 0..piece.height {
                    // SAFETY: as above; the slice is one row of this piece.
                    let row = unsafe { shared.row(piece, row) };
                    add(row, &bias[piece.left..piece.left + piece.width]);
                }
            }
        },
    );
}

/// `result += a · b` for a long inner size and a small result, as gradients of weights are: where the result alone has
/// too few pieces of a good size, the inner size is cut as well, and the parts are added in order.
pub(crate) fn parallel_accumulate(
    workspace: &Workspace,
    result: &mut [f32],
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    let (rows, columns, inner) = (a.rows, b.columns, a.columns);
    if rows == 0 || columns == 0 {
        return;
    }
    let size = (rows.min(SIDE), columns.min(SIDE));
    let shared = Pieces::new(result, rows, columns, size);
    if shared.count() >= 8 || inner < 2 * DEPTH {
        shared.for_each(
            shared.count() > 1 && rows * columns * inner >= PIECE / 8,
            |piece| {
                let (a, b) = piece.operands(a, b);
                // SAFETY: `for_each` runs each piece once.
                unsafe { piece.multiply(&shared, a, b, true) };
            },
        );
        return;
    }
    let parts = inner.div_ceil(DEPTH);
    let mut partial = workspace.take(parts * rows * columns);
    // The parts below one another are one tall result.
    let tall = Pieces::new(&mut partial, parts * rows, columns, size);
    let pieces: Vec<(usize, Piece)> = (0..parts)
        .flat_map(|part| shared.all().map(move |piece| (part, piece)))
        .collect();
    pieces
        .into_par_iter()
        .with_max_len(1)
        .for_each(|(part, piece)| {
            let start = part * DEPTH;
            let count = DEPTH.min(inner - start);
            let (a, b) = piece.operands(a.columns(start, count), b.rows(start, count));
            let below = Piece {
                top: piece.top + part * rows,
                ..piece
            };
            // SAFETY: each part has rows of its own, and within them each piece comes once.
            unsafe { below.multiply(&tall, a, b, false) };
        });
    result
        .par_chunks_mut(SUM)
        .enumerate()
        .for_each(|(chunk, result)| {
            for part in partial.chunks_exact(rows * columns) {
                add(result, &part[chunk * SUM..][..result.len()]);
            }
        });
    workspace.give(partial);
}

/// A rectangle of a result.
#[derive(Clone, Copy)]
struct Piece {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Piece {
    /// The rows of `a` and the columns of `b` that it is the product of.
    fn operands<'a>(self, a: Matrix<'a>, b: Matrix<'a>) -> (Matrix<'a>, Matrix<'a>) {
        (
            a.rows(self.top, self.height),
            b.columns(self.left, self.width),
        )
    }

    /// Writes the product to its place in `result`.
    ///
    /// # Safety
    /// No other thread may read or write this piece meanwhile.
    unsafe fn multiply(self, result: &Pieces<'_>, a: Matrix<'_>, b: Matrix<'_>, accumulate: bool) {
        assert!(
            a.rows == self.height && b.columns == self.width,
            "operands of a piece"
        );
        assert!(
            self.top + self.height <= result.rows && self.left + self.width <= result.columns,
            "a piece outside its result"
        );
        let start = result.buffer.pointer(self.top * result.columns + self.left);
        // SAFETY: the piece was just checked to lie inside the result, whose rows fill the buffer that it borrows
        // mutably; the caller promises that nothing else reaches it.
        unsafe { multiply_to(start, result.columns, a, b, 1.0, accumulate) };
    }
}

/// A row-major result cut into rectangles.
struct Pieces<'a> {
    buffer: Scatter<'a>,
    rows: usize,
    columns: usize,
    height: usize,
    width: usize,
}

impl<'a> Pieces<'a> {
    fn new(
        result: &'a mut [f32],
        rows: usize,
        columns: usize,
        (height, width): (usize, usize),
    ) -> Self {
        assert_eq!(result.len(), rows * columns, "size of a product");
        Self {
            buffer: Scatter::new(result),
            rows,
            columns,
            height,
            width,
        }
    }

    fn count(&self) -> usize {
        self.rows.div_ceil(self.height) * self.columns.div_ceil(self.width)
    }

    fn all(&self) -> impl Iterator<Item = Piece> + use<> {
        let (rows, columns, height, width) = (self.rows, self.columns, self.height, self.width);
        let across = columns.div_ceil(width);
        (0..self.count()).map(move |index| {
            let (top, left) = (index / across * height, index % across * width);
            Piece {
                top,
                left,
                height: height.min(rows - top),
                width: width.min(columns - left),
            }
        })
    }

    /// Runs `work` once for each piece, over the pool if `shared`.
    fn for_each(&self, shared: bool, work: impl Fn(Piece) + Sync + Send) {
        if shared {
            let pieces: Vec<Piece> = self.all().collect();
            pieces.into_par_iter().with_max_len(1).for_each(work);
        } else {
            self.all().for_each(work);
        }
    }

    /// One row of a piece.
    ///
    /// # Safety
    /// Nothing else may reach the row while the slice lives.
    #[allow(
        clippy::mut_from_ref,
        reason = "the caller promises that slices do not overlap"
    )]
    unsafe fn row(&self, piece: Piece, row: usize) -> &mut [f32] {
        let start = (piece.top + row) * self.columns + piece.left;
        // SAFETY: the caller's promise is the one that `slice` asks for.
        unsafe { self.buffer.slice(start, piece.width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_definition_for_every_orientation() {
        for (rows, inner, columns) in [
            (1, 300, 2000),
            (3, 5, 7),
            (70, 33, 65),
            (300, 128, 300),
            (100, 1100, 300),
            (600, 1100, 700),
        ] {
            let number = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 50.0;
            let a: Vec<f32> = (0..rows * inner).map(number).collect();
            let b: Vec<f32> = (0..inner * columns).map(|i| number(i + 3)).collect();
            let mut transposed = vec![0.0; b.len()];
            for i in 0..inner {
                for j in 0..columns {
                    transposed[j * inner + i] = b[i * columns + j];
                }
            }
            let mut plain = vec![5.0; rows * columns];
            let mut other = vec![1.0; rows * columns];
            let a = Matrix::new(&a, rows, inner);
            let ones = vec![1.0; columns];
            parallel_multiply(&mut plain, a, Matrix::new(&b, inner, columns), Some(&ones));
            let from_transposed = Matrix::new(&transposed, columns, inner).transposed();
            parallel_accumulate(&Workspace::new(), &mut other, a, from_transposed);
            for i in 0..rows {
                for j in 0..columns {
                    let exact: f64 = 1.0
                        + (0..inner)
                            .map(|k| {
                                f64::from(a.data[i * inner + k]) * f64::from(b[k * columns + j])
                            })
                            .sum::<f64>();
                    for found in [plain[i * columns + j], other[i * columns + j]] {
                        assert!(
                            (f64::from(found) - exact).abs() < 1e-3,
                            "{found} is not {exact}"
                        );
                    }
                }
            }
        }
    }
}
