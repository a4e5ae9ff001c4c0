//! Where the sequences of a packed batch begin and end. The tokens themselves are left to the caller.

use std::ops::Range;

use crate::{Error, Result};

/// The offsets of the sequences in a packed batch: sequence `i` is rows `offsets[i]..offsets[i + 1]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    offsets: Vec<usize>,
}

impl Sequences {
    /// From `count + 1` offsets that begin with 0 and never fall. Empty sequences are allowed.
    ///
    /// # Errors
    /// When the offsets are empty, do not begin with 0, or fall.
    pub fn new(offsets: Vec<usize>) -> Result<Self> {
        if offsets.first() != Some(&0) {
            return Err(Error::Range {
                place: "first sequence offset",
                value: offsets
                    .first()
                    .map_or_else(|| "none".to_owned(), usize::to_string),
                range: "0..=0".to_owned(),
            });
        }
        if let Some(pair) = offsets.windows(2).find(|pair| pair[1] < pair[0]) {
            return Err(Error::Range {
                place: "sequence offset",
                value: pair[1].to_string(),
                range: format!("{}..", pair[0]),
            });
        }
        Ok(Self { offsets })
    }

    /// One sequence of `tokens` tokens.
    pub fn single(tokens: usize) -> Self {
        Self {
            offsets: vec![0, tokens],
        }
    }

    /// How many sequences there are.
    pub fn count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many tokens there are in all.
    pub fn tokens(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// The longest sequence's length.
    pub fn longest(&self) -> usize {
        self.ranges().map(|range| range.len()).max().unwrap_or(0)
    }

    /// The rows of each sequence.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.offsets.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// The rows of sequence `index`.
    pub(crate) fn range(&self, index: usize) -> Range<usize> {
        self.offsets[index]..self.offsets[index + 1]
    }

    /// The position of each token in its sequence, from 0.
    pub fn positions(&self) -> Vec<u32> {
        self.ranges()
            .flat_map(|range| 0..range.len() as u32)
            .collect()
    }
}
