//! Counts of pairs of ids, and the probabilities that follow from them: a token is predicted from the one before it.

use std::collections::BTreeMap;

/// How often each id came after each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    pairs: BTreeMap<(u32, u32), u64>,
    totals: BTreeMap<u32, u64>,
}

impl Counts {
    pub fn add(&mut self, before: u32, id: u32, times: u64) {
        *self.pairs.entry((before, id)).or_default() += times;
        *self.totals.entry(before).or_default() += times;
    }

    pub fn merge(&mut self, other: &Self) {
        for (&(before, id), &times) in &other.pairs {
            self.add(before, id, times);
        }
    }

    /// How many different pairs were counted.
    pub fn distinct(&self) -> u64 {
        self.pairs.len() as u64
    }

    /// The Euclidean norm of the counts.
    pub fn norm(&self) -> f64 {
        self.pairs.values().map(|&times| (times * times) as f64).sum::<f64>().sqrt()
    }

    pub fn probability(&self, before: u32, id: u32, vocab_size: u32, smoothing: f64) -> f64 {
        let count = self.pairs.get(&(before, id)).copied().unwrap_or_default() as f64;
        let total = self.totals.get(&before).copied().unwrap_or_default() as f64;
        (count + smoothing) / (total + smoothing * f64::from(vocab_size))
    }

    /// How many ids are likelier than this one.
    pub fn rank(&self, before: u32, id: u32) -> u32 {
        let own = self.pairs.get(&(before, id)).copied().unwrap_or_default();
        self.pairs.range((before, 0)..=(before, u32::MAX)).filter(|(_, times)| **times > own).count() as u32
    }

    /// One line a pair: the id before, the id, how often.
    pub fn to_text(&self) -> String {
        self.pairs.iter().map(|((before, id), times)| format!("{before} {id} {times}\n")).collect()
    }

    /// What [`Self::to_text`] wrote; the error is the number of the line that is wrong.
    pub fn from_text(text: &str, vocab_size: u32) -> Result<Self, usize> {
        let mut counts = Self::default();
        for (line, number) in text.lines().zip(1..) {
            let words: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            match words[..] {
                [before, id, times] if before.max(id) < u64::from(vocab_size) => {
                    counts.add(before as u32, id as u32, times);
                }
                _ => return Err(number),
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_follow_the_counts() {
        let mut counts = Counts::default();
        counts.add(0, 1, 3);
        counts.add(0, 2, 1);
        let probabilities: Vec<f64> = (0..4).map(|id| counts.probability(0, id, 4, 0.1)).collect();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(probabilities[1] > probabilities[2] && probabilities[2] > probabilities[3]);
        assert_eq!([counts.rank(0, 1), counts.rank(0, 2), counts.rank(0, 3)], [0, 1, 2]);
        assert_eq!(counts.probability(3, 0, 4, 0.1), 0.25);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut counts = Counts::default();
        counts.add(2, 1, 7);
        assert_eq!(Counts::from_text(&counts.to_text(), 3), Ok(counts));
        assert_eq!(Counts::from_text("0 1 2\n0 9 1\n", 3), Err(2));
    }
}
