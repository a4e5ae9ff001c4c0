//! Ragged batches of token ids: how tokens cross the plugin border. Padding is the model's own business.

use crate::{Error, Result};

/// The label of a position that does not count, as in PyTorch's `cross_entropy`.
pub const IGNORE_LABEL: i64 = -100;

/// Borrowed id sequences: all ids one after the other and `len + 1` offsets into them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids<'a> {
    ids: &'a [u32],
    offsets: &'a [u64],
}

impl<'a> Ids<'a> {
    /// Checks the offsets (ascending from 0 to `ids.len()`) and wraps them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when an offset is out of place.
    pub fn new(ids: &'a [u32], sequence_offsets: &'a [u64]) -> Result<Self> {
        if sequence_offsets.is_empty() && ids.is_empty() {
            return Ok(Self {
                ids,
                offsets: sequence_offsets,
            });
        }
        let ascending = sequence_offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        let (first, last) = (
            sequence_offsets.first().copied(),
            sequence_offsets.last().copied(),
        );
        if !ascending || first != Some(0) || last != Some(ids.len() as u64) {
            return Err(Error::data(format!(
                "sequence offsets must ascend from 0 to {}, but run from {first:?} to {last:?}{}",
                ids.len(),
                if ascending { "" } else { " and step back" }
            )));
        }
        Ok(Self {
            ids,
            offsets: sequence_offsets,
        })
    }

    /// How many sequences there are.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no sequence at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of all sequences, one after the other.
    pub fn ids(&self) -> &'a [u32] {
        self.ids
    }

    /// `len + 1` offsets into [`Self::ids`].
    pub fn sequence_offsets(&self) -> &'a [u64] {
        self.offsets
    }

    /// The sequences in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u32]> + use<'a> {
        let (ids, offsets) = (self.ids, self.offsets);
        (0..self.len()).map(move |index| &ids[offsets[index] as usize..offsets[index + 1] as usize])
    }
}

/// What a model trains on or scores: ragged sequences with what belongs to them.
///
/// Shapes: `N` ids in total, `S` sequences. Without `labels` a causal model predicts each id of a sequence from those
/// before it, so a sequence of length L has L − 1 targets; the first id is only read.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBatch<'a> {
    /// The sequences: `N` ids, `S + 1` offsets.
    pub sequences: Ids<'a>,
    /// One label an id, aligned with `ids` as Transformers aligns them (a causal model shifts them itself);
    /// [`IGNORE_LABEL`] does not count. Length `N`, or `None`.
    pub labels: Option<&'a [i64]>,
    /// Segment (token type) of each id, length `N`, or `None` for all zero.
    pub token_types: Option<&'a [u32]>,
    /// One label a sequence for classification (class number) and regression (value). Length `S`, or `None`.
    pub sequence_labels: Option<&'a [f32]>,
    /// Sequences come in this many equal blocks: 1 for plain text, 2 for anchors then positives, 3 with hard
    /// negatives. Block `b` of sample `i` is sequence `b · S/parts + i`. 0 means 1.
    pub parts: u32,
}

impl<'a> TokenBatch<'a> {
    /// Plain sequences without labels.
    pub fn new(sequences: Ids<'a>) -> Self {
        Self {
            sequences,
            parts: 1,
            ..Self::default()
        }
    }

    /// How many targets a causal model has in this batch: what the loss of a step is divided by.
    pub fn causal_targets(&self) -> u64 {
        match self.labels {
            None => self
                .sequences
                .iter()
                .map(|ids| ids.len().saturating_sub(1) as u64)
                .sum(),
            Some(labels) => {
                let offsets = self.sequences.sequence_offsets();
                offsets
                    .windows(2)
                    .flat_map(|pair| (pair[0] + 1)..pair[1].max(pair[0] + 1))
                    .filter(|&at| {
                        labels
                            .get(at as usize)
                            .is_some_and(|&label| label != IGNORE_LABEL)
                    })
                    .count() as u64
            }
        }
    }

    /// Checks that every optional part has the length that its documentation promises.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] naming the part and both lengths.
    pub fn check(&self) -> Result<()> {
        let (ids, sequences) = (self.sequences.ids().len(), self.sequences.len());
        for (name, found, expected) in [
            ("labels", self.labels.map(<[i64]>::len), ids),
            ("token_types", self.token_types.map(<[u32]>::len), ids),
            (
                "sequence_labels",
                self.sequence_labels.map(<[f32]>::len),
                sequences,
            ),
        ] {
            if let Some(found) = found
                && found != expected
            {
                return Err(Error::data(format!(
                    "{name} has {found} values where the batch needs {expected}"
                )));
            }
        }
        if !sequences.is_multiple_of(self.parts.max(1) as usize) {
            return Err(Error::data(format!(
                "{sequences} sequences do not divide into {} parts",
                self.parts
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn targets_are_counted_with_and_without_labels() {
        let ids = Ids::new(&[1, 2, 3, 4, 5], &[0, 3, 3, 5]).unwrap();
        assert_eq!(TokenBatch::new(ids).causal_targets(), 3);
        let labels = [9, -100, 3, 4, 5];
        let batch = TokenBatch {
            labels: Some(&labels),
            ..TokenBatch::new(ids)
        };
        assert_eq!(batch.causal_targets(), 2);
        batch.check().unwrap();
        assert!(
            TokenBatch {
                labels: Some(&labels[1..]),
                ..batch
            }
            .check()
            .is_err()
        );
        assert!(TokenBatch { parts: 2, ..batch }.check().is_err());
    }

    #[test]
    fn bad_offsets_are_refused() {
        for offsets in [&[0, 4][..], &[1, 3], &[0, 2, 1, 3], &[]] {
            assert!(Ids::new(&[1, 2, 3], offsets).is_err(), "{offsets:?}");
        }
    }
}
