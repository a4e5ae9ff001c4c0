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
    pub(crate) fn rows(self, start: usize, count: usize) -> Self {
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
    let kernel = Kernel::of(workspace.precision());
    parallel(workspace, &kernel, result, (a, b), addend);
}

/// `result += a · b`, shared out over the pool.
pub(crate) fn parallel_accumulate(
    workspace: &Workspace,
    result: &mut [f32],
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    let kernel = Kernel::of(workspace.precision());
    parallel(workspace, &kernel, result, (a, b), Addend::Result);
}

/// `result = factor · a · b`, or `result += factor · a · b`, shared out over the pool, with the result's rows `stride`
/// apart. Always in `f32`: for factors so narrow that rounding them would save nothing.
pub(crate) fn parallel_narrow(
    workspace: &Workspace,
    result: &mut [f32],
    stride: usize,
    (a, b): (Matrix<'_>, Matrix<'_>),
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
    let kernel = Kernel::of(Precision::F32);
    if few::fits_sums(&product) && product.check(result) {
        few::run(&kernel, &product, result, true);
        return;
    }
    run(workspace, &kernel, result, &product);
}

fn parallel(
    workspace: &Workspace,
    kernel: &Kernel,
    result: &mut [f32],
    (a, b): (Matrix<'_>, Matrix<'_>),
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
    run(workspace, kernel, result, &product);
}

fn run(workspace: &Workspace, kernel: &Kernel, result: &mut [f32], product: &Product<'_>) {
    if !product.check(result) {
        return;
    }
    if few::fits(product) {
        few::run(kernel, product, result, true);
        return;
    }
    let mut buffer = workspace.take(driver::packed_size(kernel, product.b));
    // SAFETY: `check` found all rows of the result inside the slice, which is borrowed mutably.
    unsafe { driver::run(kernel, product, result.as_mut_ptr(), &mut buffer, true) };
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

    fn number(i: usize) -> f32 {
        ((i * 37 % 101) as f32 - 50.0) / 50.0
    }

    /// The nearest bfloat16.
    fn rounded(value: f32) -> f32 {
        let bits = value.to_bits();
        f32::from_bits((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000)
    }

    /// Products of every kernel, orientation and addend, against the definition in `f64`.
    fn check(rows: usize, inner: usize, columns: usize) {
        let a: Vec<f32> = (0..rows * inner).map(number).collect();
        let b: Vec<f32> = (0..inner * columns).map(|i| number(i + 3)).collect();
        let exchanged = |values: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..values.len())
                .map(|i| values[i % rows * columns + i / rows])
                .collect()
        };
        let (a_exchanged, b_exchanged) =
            (exchanged(&a, rows, inner), exchanged(&b, inner, columns));
        let (plain_a, plain_b) = (
            Matrix::new(&a, rows, inner),
            Matrix::new(&b, inner, columns),
        );
        let other_a = Matrix::new(&a_exchanged, inner, rows).transposed();
        let other_b = Matrix::new(&b_exchanged, columns, inner).transposed();
        let row: Vec<f32> = (0..columns).map(|i| number(i + 7)).collect();
        let exact = |round: fn(f32) -> f32| -> Vec<f64> {
            let number = |value: f32| f64::from(round(value));
            let one = |at: usize| {
                let (row, column) = (at / columns * inner, at % columns);
                let terms =
                    (0..inner).map(|k| number(a[row + k]) * number(b[k * columns + column]));
                terms.sum()
            };
            (0..rows * columns).map(one).collect()
        };
        let (exact, exact_rounded) = (exact(|value| value), exact(rounded));
        let ws = Workspace::new();
        for precision in [Precision::F32, Precision::Bf16] {
            for (a, b) in [(plain_a, plain_b), (plain_a, other_b), (other_a, plain_b)] {
                for addend in [Addend::Nothing, Addend::Result, Addend::Row(&row)] {
                    let product = Product {
                        a,
                        b,
                        factor: 1.0,
                        addend,
                        stride: columns,
                    };
                    // Few rows are not worth rounding.
                    let exact = if precision == Precision::F32 || few::fits(&product) {
                        &exact
                    } else {
                        &exact_rounded
                    };
                    for kernel in [Kernel::of(precision), Kernel::portable(precision)] {
                        let mut found = vec![5.0; rows * columns];
                        parallel(&ws, &kernel, &mut found, (a, b), addend);
                        for (at, (&found, exact)) in found.iter().zip(exact).enumerate() {
                            let added = match addend {
                                Addend::Nothing => 0.0,
                                Addend::Result => 5.0,
                                Addend::Row(row) => f64::from(row[at % columns]),
                            };
                            assert!(
                                (f64::from(found) - exact - added).abs() < 1e-3,
                                "{precision:?} {rows}×{inner}×{columns}: element {at} is {found}, not {}",
                                exact + added
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn products_equal_the_definition() {
        for (rows, inner, columns) in [
            (1, 300, 2000),
            (3, 5, 7),
            (10, 37, 50),
            (30, 1, 1),
            (70, 33, 65),
            (300, 128, 300),
            (100, 1100, 300),
        ] {
            check(rows, inner, columns);
        }
    }

    #[test]
    fn an_inner_size_of_zero_gives_what_is_added() {
        let empty: [f32; 0] = [];
        for rows in [1, 40] {
            let mut result = vec![2.0; rows * 3];
            let (a, b) = (Matrix::new(&empty, rows, 0), Matrix::new(&empty, 0, 3));
            parallel_multiply(&Workspace::new(), &mut result, a, b, Some(&[1.0, 2.0, 3.0]));
            assert_eq!(result[3 * rows - 3..], [1.0, 2.0, 3.0]);
        }
    }
}
