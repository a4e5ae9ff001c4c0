//! Singular values: the best approximation of a matrix by one of low rank, and of a low-rank pair by one of lower rank.
//!
//! Computed in f64 on one thread, so that the same input gives the same output everywhere it is run alike.

use codex_plugin_api::{Error, Result};
use faer::{Mat, MatRef};

/// The largest singular values of a matrix with their vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Truncated {
    /// `[rows, rank]`, row-major: left singular vectors as columns.
    pub left: Vec<f32>,
    /// The singular values, descending.
    pub values: Vec<f32>,
    /// `[rank, columns]`, row-major: right singular vectors as rows.
    pub right: Vec<f32>,
    /// Frobenius norm of what was left out.
    pub lost: f64,
    /// Frobenius norm of the matrix.
    pub norm: f64,
}

impl Truncated {
    /// A pair B `[rows, rank]`, A `[rank, columns]` whose product is `factor` times the approximation, each with the root of
    /// the singular values, as PiSSA starts (Meng et al. 2024).
    pub fn pair(&self, factor: f32) -> (Vec<f32>, Vec<f32>) {
        let rank = self.values.len();
        if rank == 0 {
            return (Vec::new(), Vec::new());
        }
        let roots: Vec<f32> = self
            .values
            .iter()
            .map(|value| (value * factor).sqrt())
            .collect();
        let scaled = |(index, value): (usize, &f32)| value * roots[index % rank];
        let b = self.left.iter().enumerate().map(scaled).collect();
        let columns = self.right.len() / rank;
        let a = self
            .right
            .iter()
            .enumerate()
            .map(|(index, value)| value * roots[index / columns])
            .collect();
        (b, a)
    }
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> Mat<f64> {
    Mat::from_fn(rows, columns, |row, column| {
        f64::from(values[row * columns + column])
    })
}

fn flat(matrix: MatRef<'_, f64>) -> Vec<f32> {
    (0..matrix.nrows())
        .flat_map(|row| (0..matrix.ncols()).map(move |column| matrix[(row, column)] as f32))
        .collect()
}

struct Full {
    left: Mat<f64>,
    values: Vec<f64>,
    right: Mat<f64>,
}

/// All singular values of a matrix, which has to be finite.
fn full(matrix: MatRef<'_, f64>) -> Result<Full> {
    let finite = (0..matrix.ncols()).all(|column| matrix.col(column).iter().all(|x| x.is_finite()));
    let failed = || Error::data("a matrix has no singular values: it holds NaN or infinity");
    if !finite {
        return Err(failed());
    }
    let found = matrix.thin_svd().map_err(|_| failed())?;
    Ok(Full {
        left: found.U().to_owned(),
        values: found.S().column_vector().iter().copied().collect(),
        right: found.V().to_owned(),
    })
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The `rank` largest singular values of `values` (`[rows, columns]`, row-major), fewer where the matrix is smaller.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] when the matrix is not finite.
pub fn truncated(values: &[f32], rows: usize, columns: usize, rank: usize) -> Result<Truncated> {
    let found = full(matrix(values, rows, columns).as_ref())?;
    Ok(cut(&found, rank))
}

fn cut(found: &Full, rank: usize) -> Truncated {
    let rank = rank.min(found.values.len());
    Truncated {
        left: flat(found.left.get(.., ..rank)),
        values: found.values[..rank]
            .iter()
            .map(|value| *value as f32)
            .collect(),
        right: flat(found.right.get(.., ..rank).transpose()),
        lost: norm(&found.values[rank..]),
        norm: norm(&found.values),
    }
}

/// [`truncated`] of the product `B·A` (B `[outputs, inner]`, A `[inner, inputs]`) without computing it: the singular values
/// are those of a small matrix between two orthogonal ones.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] when the pair is not finite.
pub fn truncated_product(b: &[f32], a: &[f32], inner: usize, rank: usize) -> Result<Truncated> {
    let (outputs, inputs) = (b.len() / inner.max(1), a.len() / inner.max(1));
    let b = matrix(b, outputs, inner);
    let a = matrix(a, inner, inputs);
    let (b, a_t) = (b.qr(), a.transpose().qr());
    let core = full((b.thin_R() * a_t.thin_R().transpose()).as_ref())?;
    let found = Full {
        left: b.compute_thin_Q() * &core.left,
        values: core.values,
        right: a_t.compute_thin_Q() * &core.right,
    };
    Ok(cut(&found, rank))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Numbers without a pattern.
    fn numbers(count: usize) -> Vec<f32> {
        let mut state = 7_u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..count).map(next).collect()
    }

    fn product(b: &[f32], a: &[f32], inner: usize) -> Vec<f32> {
        let (rows, columns) = (b.len() / inner, a.len() / inner);
        (0..rows * columns)
            .map(|at| {
                let (row, column) = (at / columns, at % columns);
                (0..inner)
                    .map(|k| b[row * inner + k] * a[k * columns + column])
                    .sum()
            })
            .collect()
    }

    fn distance(x: &[f32], y: &[f32]) -> f64 {
        norm(
            &x.iter()
                .zip(y)
                .map(|(x, y)| f64::from(x - y))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn what_is_lost_is_the_distance() {
        let (rows, columns) = (7, 5);
        let weight = numbers(rows * columns);
        for rank in [1, 3, 5] {
            let found = truncated(&weight, rows, columns, rank).unwrap();
            let (b, a) = found.pair(1.0);
            assert!(found.values.is_sorted_by(|x, y| x >= y));
            assert!((distance(&product(&b, &a, rank), &weight) - found.lost).abs() < 1e-5);
        }
        let all = truncated(&weight, rows, columns, 9).unwrap();
        assert_eq!((all.values.len(), all.lost), (5, 0.0));
        assert!((all.norm - distance(&weight, &vec![0.0; weight.len()])).abs() < 1e-5);
        let (b, a) = truncated(&weight, rows, columns, 5).unwrap().pair(0.25);
        let quarter: Vec<f32> = weight.iter().map(|x| x / 4.0).collect();
        assert!(distance(&product(&b, &a, 5), &quarter) < 1e-5);
    }

    #[test]
    fn a_product_has_the_singular_values_of_the_matrix() {
        for (outputs, inner, inputs) in [(9, 4, 6), (3, 5, 8), (6, 7, 2)] {
            let all = numbers(inner * (outputs + inputs));
            let (b, a) = all.split_at(outputs * inner);
            let weight = product(b, a, inner);
            let direct = truncated(&weight, outputs, inputs, 2).unwrap();
            let found = truncated_product(b, a, inner, 2).unwrap();
            assert!((found.lost - direct.lost).abs() < 1e-4);
            assert!((found.norm - direct.norm).abs() < 1e-4);
            let (x, y) = (found.pair(1.0), direct.pair(1.0));
            assert!(distance(&product(&x.0, &x.1, 2), &product(&y.0, &y.1, 2)) < 1e-4);
        }
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        for value in [f32::NAN, f32::INFINITY] {
            assert!(
                truncated(&[1.0, value], 1, 2, 1)
                    .unwrap_err()
                    .message()
                    .contains("NaN")
            );
        }
    }
}
