//! Batches of records: pairs and triplets of texts, texts with a class or a value. Every epoch goes through all records
//! once, in another order.

use std::sync::Arc;

use codex_plugin_api::{Error, Result};

use super::{Batch, identity};
use crate::data::classes::Classes;
use crate::data::permutation::Permutation;
use crate::data::store::RecordStore;
use crate::data::template::Template;
use crate::task::Task;

/// Batches of `batch_size` records.
#[derive(Clone, Debug)]
pub struct RecordBatches {
    store: RecordStore,
    template: Template,
    task: Task,
    /// The model's number of each of the store's classes.
    class_numbers: Arc<[f32]>,
    longest: usize,
    batch_size: u64,
    seed: u64,
}

impl RecordBatches {
    /// Batches in which no sequence is longer than `longest` ids.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when the batch has fewer records than the task needs, or the tokenizer
    /// cannot join two texts; [`codex_plugin_api::ErrorKind::Data`] when there are too few records or a class is unknown.
    pub fn new(
        store: RecordStore,
        template: Template,
        task: Task,
        classes: &Classes,
        longest: u32,
        batch_size: u32,
        seed: u64,
    ) -> Result<Self> {
        let joined = if task == Task::Embedding {
            1
        } else {
            store.texts()
        };
        template.check(joined, longest as usize)?;
        if batch_size == 0 {
            return Err(Error::config(
                "training.batch_size is 0, it must be at least 1",
            ));
        }
        if task == Task::Embedding {
            // Of a record that is twice in a batch, each would be the other's wrong answer.
            if batch_size < 2 {
                return Err(Error::config(
                    "training.batch_size is 1, but embeddings are learned from the other pairs of a batch",
                )
                .hint("set training.batch_size=32"));
            }
            if store.len() < u64::from(batch_size) {
                return Err(Error::data(format!(
                    "there are {} pairs to train on, fewer than one batch (training.batch_size is {batch_size})",
                    store.len()
                ))
                .hint("lower training.batch_size, or hold less out with data.validation_fraction"));
            }
        }
        let class_numbers = match task {
            Task::Classification => {
                let numbers = store.classes().iter().map(|name| classes.number(name));
                numbers
                    .map(|number| number.map(|number| number as f32))
                    .collect::<Result<Vec<f32>>>()?
            }
            _ => Vec::new(),
        };
        Ok(Self {
            store,
            template,
            task,
            class_numbers: class_numbers.into(),
            longest: longest as usize,
            batch_size: u64::from(batch_size),
            seed,
        })
    }

    /// How many batches make an epoch. The last one is filled up with records from the epoch's beginning.
    pub fn per_epoch(&self) -> u64 {
        self.store.len().div_ceil(self.batch_size)
    }

    /// Batch `index`, counted over all epochs.
    ///
    /// # Errors
    /// None so far; a store that reads from elsewhere may have some.
    pub fn batch(&self, index: u64) -> Result<Batch> {
        let (epoch, in_epoch) = (index / self.per_epoch(), index % self.per_epoch());
        let order = Permutation::new(self.store.len(), self.seed, "batch order", epoch);
        let first = in_epoch * self.batch_size;
        let records: Vec<u64> = (first..first + self.batch_size)
            .map(|position| order.at(position % self.store.len()))
            .collect();
        let mut batch = Batch {
            sequence_offsets: vec![0],
            targets: self.batch_size,
            identity: identity(epoch, in_epoch, "records", &records),
            ..Batch::default()
        };
        match self.task {
            Task::Embedding => self.append_parts(&records, &mut batch),
            _ => self.append_labelled(&records, &mut batch),
        }
        Ok(batch)
    }

    /// All anchors, then all positives, then all negatives.
    fn append_parts(&self, records: &[u64], batch: &mut Batch) {
        batch.parts = self.store.texts() as u32;
        for part in 0..self.store.texts() {
            for &record in records {
                let text = self.store.text(record, part);
                self.template.single(&text, self.longest, &mut batch.ids);
                batch.sequence_offsets.push(batch.ids.len() as u64);
            }
        }
    }

    fn append_labelled(&self, records: &[u64], batch: &mut Batch) {
        let pairs = self.store.texts() > 1;
        let mut token_types = Vec::new();
        let mut labels = Vec::with_capacity(records.len());
        for &record in records {
            let first = self.store.text(record, 0);
            if pairs {
                let second = self.store.text(record, 1);
                let texts = [first.as_slice(), second.as_slice()];
                let ids = &mut batch.ids;
                self.template
                    .pair(texts, self.longest, ids, &mut token_types);
            } else {
                self.template.single(&first, self.longest, &mut batch.ids);
            }
            batch.sequence_offsets.push(batch.ids.len() as u64);
            let label = match self.task {
                Task::Classification => {
                    let class = self.store.class(record);
                    class.and_then(|class| self.class_numbers.get(class).copied())
                }
                _ => self.store.value(record),
            };
            labels.push(label.unwrap_or_default());
        }
        batch.token_types = pairs.then_some(token_types);
        batch.sequence_labels = Some(labels);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
