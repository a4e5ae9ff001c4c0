//! A sum of floats that keeps what rounding drops (Neumaier 1974), so that order and division hardly matter.

/// The sum so far and what it lacks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        // Infinity lacks nothing; the difference below would be NaN.
        if total.is_finite() {
            self.lost += if self.sum.abs() >= value.abs() {
                (self.sum - total) + value
            } else {
                (value - total) + self.sum
            };
        }
        self.sum = total;
    }

    pub(crate) fn value(self) -> f64 {
        self.sum + self.lost
    }

    /// Two numbers that add up to the value; adding both to another sum merges the two.
    pub(crate) fn parts(self) -> [f64; 2] {
        [self.sum, self.lost]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rounding_drops_is_kept() {
        let mut sum = Sum::default();
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum.add(value);
        }
        assert_eq!(sum.value(), 2.0);
        sum.add(f64::INFINITY);
        sum.add(1.0);
        assert_eq!(sum.value(), f64::INFINITY);
    }
}
