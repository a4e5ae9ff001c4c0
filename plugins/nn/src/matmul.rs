//! Matrix products on slices: strided views with their bounds checked, a product on the calling thread, and two that
//! are shared out over the pool. Packing, blocks and the innermost loops are in the modules below; shapes of tensors
//! are left to the functions.
#![allow(unsafe_code, reason = "the driver takes the address of the result")]

use crate::{Precision, Workspace};

mod driver;
mod few;
mod kernel;
mod pack;

use driver::{Addend, Product};
use kernel::Kernel;
pub(crate) use kernel::has_bf16;

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

/// `result = factor · a · b`, or `result += factor · a · b`, in `f32` on the calling thread. `result` is row-major with
/// rows `stride` apart, of `a`'s rows and `b`'s columns.
pub(crate) fn multiply(
    result: &mut [f32],
    stride: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    factor: f32,
    accumulate: bool,
) {
    let addend = if accumulate {
        Addend::Result
    } else {
        Addend::Nothing
    };
    let product = Product {
        a,
        b,
        factor,
        addend,
        stride,
    };
    if !product.check(result) {
        return;
    }
    let kernel = Kernel::of(Precision::F32);
    if few::fits(&product) {
        few::run(&kernel, &product, result, false);
        return;
    }
    // SAFETY: `check` found all rows of the result inside the slice, which is borrowed mutably.
    unsafe { driver::run_alone(&kernel, &product, result.as_mut_ptr()) }
}

/// `a · b` with the result's rows one behind the other, shared out over the pool; `bias` is added to each row.
pub(crate) fn parallel_multiply(
    workspace: &Workspace,
    result: &mut [f32],
    a: Matrix<'_>,
    b: Matrix<'_>,
    bias: Option<&[f32]>,
) {
    let addend = bias.map_or(Addend::Nothing, Addend::Row);
    parallel(workspace, result, a, b, addend);
}

/// `result += a · b`, shared out over the pool.
pub(crate) fn parallel_accumulate(
    workspace: &Workspace,
    result: &mut [f32],
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    parallel(workspace, result, a, b, Addend::Result);
}

fn parallel(
    workspace: &Workspace,
    result: &mut [f32],
    a: Matrix<'_>,
    b: Matrix<'_>,
    addend: Addend<'_>,
) {
    assert_eq!(result.len(), a.rows * b.columns, "size of a product");
    let product = Product {
        a,
        b,
        factor: 1.0,
        addend,
        stride: b.columns,
    };
    if !product.check(result) {
        return;
    }
    let kernel = Kernel::of(workspace.precision());
    if few::fits(&product) {
        few::run(&kernel, &product, result, true);
        return;
    }
    let mut buffer = workspace.take(driver::packed_size(&kernel, b));
    // SAFETY: `check` found all rows of the result inside the slice, which is borrowed mutably.
    unsafe { driver::run(&kernel, &product, result.as_mut_ptr(), &mut buffer, true) };
    workspace.give(buffer);
}

impl Product<'_> {
    /// Whether there is anything to compute. Ends the program's thread where sizes do not fit together, since the
    /// kernels would read or write elsewhere.
    fn check(&self, result: &[f32]) -> bool {
        let (rows, columns) = (self.a.rows, self.b.columns);
        if rows == 0 || columns == 0 {
            return false;
        }
        assert_eq!(self.a.columns, self.b.rows, "inner sizes of a product");
        self.a.assert_inside();
        self.b.assert_inside();
        assert!(
            columns <= self.stride || rows == 1,
            "rows of a product would overlap"
        );
        assert!(
            (rows - 1) * self.stride + columns <= result.len(),
            "a product of {rows}×{columns} ends outside its buffer"
        );
        if let Addend::Row(row) = self.addend {
            assert_eq!(row.len(), columns, "size of a bias");
        }
        true
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
            let ws = Workspace::new();
            let ones = vec![1.0; columns];
            parallel_multiply(
                &ws,
                &mut plain,
                a,
                Matrix::new(&b, inner, columns),
                Some(&ones),
            );
            let from_transposed = Matrix::new(&transposed, columns, inner).transposed();
            parallel_accumulate(&ws, &mut other, a, from_transposed);
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
