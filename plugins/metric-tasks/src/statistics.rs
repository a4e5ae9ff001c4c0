//! Checks and statistics that the metrics share.

use codex_plugin_api::{Error, Result};

/// Refuses values that are no numbers.
pub(crate) fn finite(name: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(
            Error::data(format!("{name} {at} of {} is {}", values.len(), values[at]))
                .hint("the model's weights may have diverged: lower training.learning_rate"),
        ),
    }
}

/// Pearson's correlation; NaN where either side does not vary.
pub(crate) fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut products, mut squares_a, mut squares_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        products += a * b;
        squares_a += a * a;
        squares_b += b * b;
    }
    if squares_a == 0.0 || squares_b == 0.0 {
        return f64::NAN;
    }
    products / (squares_a.sqrt() * squares_b.sqrt())
}

/// The rank of each value, from 1; equal values share the mean of theirs.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let same = order[first..]
            .iter()
            .take_while(|&&at| values[at] == values[order[first]])
            .count();
        let shared = first as f64 + f64::midpoint(same as f64, 1.0);
        for &at in &order[first..first + same] {
            ranks[at] = shared;
        }
        first += same;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        assert!(correlation(&[1.0, 1.0], &[1.0, 2.0]).is_nan());
        assert!((correlation(&[1.0, 2.0, 3.0], &[-2.0, -4.0, -6.0]) + 1.0).abs() < 1e-15);
    }
}
