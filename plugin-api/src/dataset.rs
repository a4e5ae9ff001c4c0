//! The dataset kind: rows of named columns that can be read from anywhere.

use serde::{Deserialize, Serialize};

use crate::{Batch, Field, Result};

/// What a dataset says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// The columns, in the order in which batches hold them.
    pub fields: Vec<Field>,
    /// How many rows there are, when that is known without reading them all.
    pub rows: Option<u64>,
    /// A digest of the content and of every option that changes it: equal fingerprints promise equal rows, on every
    /// machine. The token store is keyed by it.
    pub fingerprint: String,
    /// The column that holds the text, where one is the obvious choice.
    #[serde(default)]
    pub text_column: Option<String>,
    /// A column (`f64`) with the exact natural-log probability of the text under the process that made it, its end
    /// included. Where it is there, reports show the entropy floor beside the model's bits per byte.
    #[serde(default)]
    pub log_probability_column: Option<String>,
}

/// Named columns with O(1) access to any range of rows.
///
/// The host calls from several threads at once; `read` must not depend on what was read before. Rows never change
/// while the dataset is open: when the source changes underneath, `read` fails instead of giving other rows.
/// An implementer must not print, must not read the whole source for one `read`, and must not fill in rows that are
/// not there.
///
/// ```
/// use codex_plugin_api::{Batch, Column, Dataset, DatasetInfo, Field, FieldType, Result};
///
/// #[derive(Default)]
/// struct Squares;
///
/// impl Dataset for Squares {
///     fn info(&self) -> Result<DatasetInfo> {
///         Ok(DatasetInfo {
///             fields: vec![Field::new("text", FieldType::Text)],
///             rows: Some(100),
///             fingerprint: "squares-1".into(),
///             text_column: Some("text".into()),
///             log_probability_column: None,
///         })
///     }
///     fn read(&self, start: u64, count: u64) -> Result<Batch> {
///         let end = start.saturating_add(count).min(100);
///         Batch::new(vec![Column::text("text", (start..end).map(|n| format!("{n} squared is {}", n * n)))])
///     }
/// }
/// ```
pub trait Dataset: Send + Sync {
    /// What the dataset says of itself; the same at every call.
    ///
    /// # Errors
    /// When the source cannot be described, for example because it vanished.
    fn info(&self) -> Result<DatasetInfo>;

    /// Rows `start .. start + count`, fewer at the end, none past it. Every batch has all columns of
    /// [`DatasetInfo::fields`] in their order.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] naming file, row and what is wrong with it.
    fn read(&self, start: u64, count: u64) -> Result<Batch>;
}
