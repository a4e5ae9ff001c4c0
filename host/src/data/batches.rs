//! Training batches of every task, in an order that is a function of the seed and the batch's number: any batch is found
//! in constant time, so a run that is taken up again needs no replay.

mod masked;
mod records;
mod windows;

use codex_plugin_api::{Ids, Result, TokenBatch};

pub use masked::{MaskedWindows, Masker};
pub use records::RecordBatches;
pub use windows::Windows;

/// Where batches come from.
#[derive(Clone, Debug)]
pub enum Batches {
    /// Windows whose every token is predicted from those before it.
    Causal(Windows),
    /// Windows in which some tokens are hidden.
    Masked(MaskedWindows),
    /// Pairs of texts, or texts with a label.
    Records(RecordBatches),
}

/// One batch for a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The ids of all sequences, one after the other.
    pub ids: Vec<u32>,
    /// One more than there are sequences.
    pub sequence_offsets: Vec<u64>,
    /// One label an id, where the task has such.
    pub labels: Option<Vec<i64>>,
    /// The segment of each id, where rows are pairs of texts in one sequence.
    pub token_types: Option<Vec<u32>>,
    /// One label a sequence, where the task has such.
    pub sequence_labels: Option<Vec<f32>>,
    /// In how many equal blocks the sequences come, as [`TokenBatch::parts`]; 0 means 1.
    pub parts: u32,
    /// How many targets there are: what the loss is divided by.
    pub targets: u64,
    /// Which batch this is, for error messages: `epoch 0, batch 17: windows 3, 812`.
    pub identity: String,
}

impl Batch {
    /// What reports count as the batch's tokens: those that a causal model predicts, or that another one reads.
    pub fn tokens(&self) -> u64 {
        match (&self.labels, &self.sequence_labels, self.parts) {
            (None, None, 0 | 1) => self.targets,
            _ => self.ids.len() as u64,
        }
    }

    /// The batch as a model takes it.
    ///
    /// # Errors
    /// Never for a batch that was made here.
    pub fn as_batch(&self) -> Result<TokenBatch<'_>> {
        Ok(TokenBatch {
            sequences: Ids::new(&self.ids, &self.sequence_offsets)?,
            labels: self.labels.as_deref(),
            token_types: self.token_types.as_deref(),
            sequence_labels: self.sequence_labels.as_deref(),
            parts: self.parts.max(1),
        })
    }
}

impl Batches {
    /// Batch `index`, counted over all epochs: epoch `index / per_epoch`.
    ///
    /// # Errors
    /// None so far; a store that reads from elsewhere may have some.
    pub fn batch(&self, index: u64) -> Result<Batch> {
        match self {
            Self::Causal(windows) => windows.batch(index),
            Self::Masked(windows) => windows.batch(index),
            Self::Records(records) => records.batch(index),
        }
    }

    /// How many batches make an epoch. The last one is filled up from the epoch's beginning.
    pub fn per_epoch(&self) -> u64 {
        match self {
            Self::Causal(windows) => windows.per_epoch(),
            Self::Masked(windows) => windows.per_epoch(),
            Self::Records(records) => records.per_epoch(),
        }
    }
}

/// `epoch 0, batch 17: windows 3, 812`.
fn identity(epoch: u64, batch: u64, what: &str, numbers: &[u64]) -> String {
    const SHOWN: usize = 8;
    let mut list: Vec<String> = numbers.iter().take(SHOWN).map(u64::to_string).collect();
    if numbers.len() > SHOWN {
        list.push(format!("… ({} in all)", numbers.len()));
    }
    format!("epoch {epoch}, batch {batch}: {what} {}", list.join(", "))
}
