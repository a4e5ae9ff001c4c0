//! What a task learns from and is judged on: documents for language models, records for the other tasks.

use codex_plugin_api::{Dataset, Result};

use super::documents::Documents;
use super::records::Records;
use crate::config::ColumnNames;
use crate::task::Task;

/// The rows of a dataset as a task sees them.
#[derive(Clone, Debug)]
pub enum Corpus {
    /// Texts.
    Documents(Documents),
    /// Pairs of texts, or texts with a label.
    Records(Records),
}

impl Corpus {
    /// Chooses the columns and counts the rows.
    ///
    /// # Errors
    /// As [`Documents::open`] and [`Records::open`].
    pub fn open(dataset: Box<dyn Dataset>, task: Task, columns: &ColumnNames) -> Result<Self> {
        Ok(match task {
            Task::CausalLm | Task::MaskedLm => {
                Self::Documents(Documents::open(dataset, columns.text.as_deref())?)
            }
            Task::Embedding | Task::Classification | Task::Regression => {
                Self::Records(Records::open(dataset, task, columns)?)
            }
        })
    }

    /// How many rows there are, empty ones included.
    pub fn len(&self) -> u64 {
        match self {
            Self::Documents(documents) => documents.len(),
            Self::Records(records) => records.len(),
        }
    }

    /// Whether there is none; never after [`Self::open`] or [`Self::split`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A digest: equal fingerprints promise equal rows.
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Documents(documents) => documents.fingerprint(),
            Self::Records(records) => records.fingerprint(),
        }
    }

    /// The texts of each column, for a tokenizer to learn from.
    pub fn texts(&self) -> Vec<Documents> {
        match self {
            Self::Documents(documents) => vec![documents.clone()],
            Self::Records(records) => records.documents(),
        }
    }

    /// Divides the rows into training and validation rows, as [`Documents::split`].
    ///
    /// # Errors
    /// As [`Documents::split`].
    pub fn split(&self, validation_fraction: f64, seed: u64) -> Result<(Self, Self)> {
        Ok(match self {
            Self::Documents(documents) => {
                let (train, validation) = documents.split(validation_fraction, seed)?;
                (Self::Documents(train), Self::Documents(validation))
            }
            Self::Records(records) => {
                let (train, validation) = records.split(validation_fraction, seed)?;
                (Self::Records(train), Self::Records(validation))
            }
        })
    }
}
