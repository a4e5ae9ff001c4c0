//! Windows over a token store, shuffled anew in every epoch.

use codex_plugin_api::{Error, Result};

use super::{Batch, identity};
use crate::data::permutation::Permutation;
use crate::data::store::TokenStore;

/// Windows of `sequence_length` targets over a token store.
///
/// Window `w` begins at id `w · T`. A causal window has one id more than it has targets and shares it with the next one,
/// so every id is predicted once an epoch. The last window begins earlier where the stream does not divide, and is the
/// whole stream where that is shorter than one window. A window is cut where documents begin: nothing is predicted from
/// another document.
#[derive(Clone, Debug)]
pub struct Windows {
    store: TokenStore,
    sequence_length: u64,
    /// Ids at a window's beginning that are only read: 1 for a causal model, else 0.
    context: u64,
    batch_size: u64,
    count: u64,
    seed: u64,
}

impl Windows {
    /// Batches of `batch_size` windows with `sequence_length` targets each, for a causal model.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when a size is 0, [`codex_plugin_api::ErrorKind::Data`] when there is
    /// nothing to predict.
    pub fn causal(
        store: TokenStore,
        sequence_length: u32,
        batch_size: u32,
        seed: u64,
    ) -> Result<Self> {
        if store.tokens() <= store.documents() {
            return Err(Error::data(format!(
                "none of the {} documents has two tokens, so there is nothing to predict",
                store.documents()
            ))
            .hint("use longer texts, or a tokenizer with an end-of-text token"));
        }
        Self::new(store, sequence_length, 1, batch_size, seed)
    }

    /// Batches of `batch_size` windows of `sequence_length` ids, of which none is only read.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when a size is 0.
    pub fn whole(
        store: TokenStore,
        sequence_length: u32,
        batch_size: u32,
        seed: u64,
    ) -> Result<Self> {
        Self::new(store, sequence_length, 0, batch_size, seed)
    }

    fn new(
        store: TokenStore,
        sequence_length: u32,
        context: u64,
        batch_size: u32,
        seed: u64,
    ) -> Result<Self> {
        for (name, value) in [
            ("model.sequence_length", sequence_length),
            ("training.batch_size", batch_size),
        ] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0, it must be at least 1")));
            }
        }
        let targets = store.tokens() - context;
        // A window of a short stream is the stream.
        let sequence_length = u64::from(sequence_length).min(targets);
        Ok(Self {
            count: targets.div_ceil(sequence_length),
            store,
            sequence_length,
            context,
            batch_size: u64::from(batch_size),
            seed,
        })
    }

    /// How many windows there are.
    pub fn windows(&self) -> u64 {
        self.count
    }

    /// How many batches make an epoch. The last one is filled up with windows from the epoch's beginning.
    pub fn per_epoch(&self) -> u64 {
        self.count.div_ceil(self.batch_size)
    }

    /// The store that the windows lie over.
    pub fn store(&self) -> &TokenStore {
        &self.store
    }

    /// Batch `index`, counted over all epochs, with the targets of a causal model. There can be none only where a
    /// tokenizer frames nothing and documents are single ids.
    ///
    /// # Errors
    /// None so far; a store that reads from elsewhere may have some.
    pub fn batch(&self, index: u64) -> Result<Batch> {
        let (epoch, in_epoch) = (index / self.per_epoch(), index % self.per_epoch());
        let order = Permutation::new(self.count, self.seed, "batch order", epoch);
        let first = in_epoch * self.batch_size;
        let windows: Vec<u64> = (first..first + self.batch_size)
            .map(|position| order.at(position % self.count))
            .collect();
        let length = self.batch_size * (self.sequence_length + self.context);
        let mut batch = Batch {
            ids: Vec::with_capacity(length as usize),
            sequence_offsets: vec![0],
            identity: identity(epoch, in_epoch, "windows", &windows),
            ..Batch::default()
        };
        for window in windows {
            self.append_window(window, &mut batch);
        }
        batch.targets = (batch.ids.len() + 1 - batch.sequence_offsets.len()) as u64;
        Ok(batch)
    }

    fn append_window(&self, window: u64, batch: &mut Batch) {
        let span = self.sequence_length + self.context;
        let start = (window * self.sequence_length).min(self.store.tokens() - span);
        let end = start + span;
        let borders = self
            .store
            .document_starts(start + 1..end)
            .chain(std::iter::once(end));
        let mut from = start;
        for to in borders {
            // A single id predicts nothing, and tells nothing of its surroundings.
            if to - from >= 2 {
                batch.ids.extend(self.store.ids(from..to));
                batch.sequence_offsets.push(batch.ids.len() as u64);
            }
            from = to;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use codex_plugin_api::Tokenizer;

    use super::*;
    use crate::data::Framing;
    use crate::testing::{ByteTokenizer, app, documents};

    fn batches(texts: &[String], length: u32, size: u32) -> Windows {
        let cache = tempfile::tempdir().unwrap();
        let documents = documents(texts.iter().cloned());
        let framing = Framing::of(&ByteTokenizer.vocabulary().unwrap().special);
        let store =
            TokenStore::open_or_build(cache.path(), &documents, &ByteTokenizer, framing, &app())
                .unwrap();
        Windows::causal(store, length, size, 5).unwrap()
    }

    fn texts(count: usize) -> Vec<String> {
        (0..count)
            .map(|n| {
                (0..=n % 23)
                    .map(|at| char::from(b'a' + ((n + at) % 26) as u8))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn an_epoch_predicts_every_token_after_a_beginning() {
        let texts = texts(200);
        let batches = batches(&texts, 16, 4);
        // What should be predicted: every byte and every end, after what stands before it.
        let mut due: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for text in &texts {
            let ids: Vec<u32> = std::iter::once(256)
                .chain(text.bytes().map(u32::from))
                .chain([256])
                .collect();
            for pair in ids.windows(2) {
                *due.entry((pair[0], pair[1])).or_default() += 1;
            }
        }
        for epoch in 0..2 {
            let mut found: BTreeMap<(u32, u32), u64> = BTreeMap::new();
            for index in 0..batches.per_epoch() {
                let batch = batches.batch(epoch * batches.per_epoch() + index).unwrap();
                let tokens = batch.as_batch().unwrap();
                assert_eq!(tokens.causal_targets(), batch.targets);
                for ids in tokens.sequences.iter() {
                    assert!((2..=17).contains(&ids.len()));
                    // Two documents never meet: an end is followed by nothing but a text's first byte.
                    assert!(ids.windows(2).all(|pair| pair != [256, 256]));
                    for pair in ids.windows(2) {
                        *found.entry((pair[0], pair[1])).or_default() += 1;
                    }
                }
            }
            for (pair, count) in &due {
                assert!(
                    found.get(pair).is_some_and(|seen| seen >= count),
                    "{pair:?}"
                );
            }
            // Filling the last batch and the last window repeats less than a batch and a window.
            let sum = |counts: &BTreeMap<_, u64>| counts.values().sum::<u64>();
            assert!(sum(&found) < sum(&due) + 5 * 16);
        }
    }

    #[test]
    fn any_batch_can_be_had_at_once_and_epochs_differ() {
        let batches = batches(&texts(300), 8, 4);
        let epoch = |number: u64| -> Vec<Batch> {
            let first = number * batches.per_epoch();
            (first..first + batches.per_epoch())
                .map(|index| batches.batch(index).unwrap())
                .collect()
        };
        assert_eq!(batches.batch(batches.per_epoch() + 3).unwrap(), epoch(1)[3]);
        assert_ne!(epoch(0), epoch(1));
        assert!(
            epoch(1)[3]
                .identity
                .starts_with("epoch 1, batch 3: windows ")
        );
    }

    #[test]
    fn little_data_still_makes_batches() {
        for (texts, length, size) in [
            (vec!["hello world".to_owned()], 128, 8),
            (vec!["a".to_owned()], 1, 1),
            (vec!["a".to_owned(), "b".to_owned()], 3, 2),
            (texts(3), 1000, 3),
        ] {
            let batches = batches(&texts, length, size);
            assert!(batches.per_epoch() >= 1);
            for index in 0..3 * batches.per_epoch() {
                let batch = batches.batch(index).unwrap();
                assert!(batch.targets > 0, "{texts:?}");
                batch.as_batch().unwrap().check().unwrap();
            }
        }
    }

    #[test]
    fn sizes_of_zero_are_refused() {
        let store = batches(&texts(3), 4, 1).store().clone();
        for (length, size, key) in [(0, 1, "sequence_length"), (1, 0, "batch_size")] {
            let error = Windows::causal(store.clone(), length, size, 0).unwrap_err();
            assert!(error.message().contains(key), "{error}");
        }
    }
}
