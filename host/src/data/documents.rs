//! The text column of a dataset, read document by document, and its division into training and validation text.
//!
//! Rows are the dataset plugin's; this file chooses the column, checks what comes and knows which rows belong to which
//! part. Tokens are the store's.

use std::fmt;
use std::sync::Arc;

use codex_plugin_api::{Batch, Dataset, DatasetInfo, Error, FieldType, Result, Values};
use sha2::{Digest, Sha256};

use super::hex;
use super::permutation::Permutation;

/// Rows that lie at most this far apart are read in one call, and those between are dropped.
const READ_THROUGH: u64 = 16;

/// One text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The text; empty where the row holds a null.
    pub text: String,
    /// Exact natural-log probability of the text under the process that made it, where the dataset knows it.
    pub log_probability: Option<f64>,
}

/// A dataset's texts, or a part of them. Clones are cheap and share the dataset.
#[derive(Clone)]
pub struct Documents {
    source: Arc<Source>,
    part: Part,
}

struct Source {
    dataset: Box<dyn Dataset>,
    column: String,
    log_probabilities: Option<String>,
    rows: u64,
    fingerprint: String,
}

/// Which rows belong; the lists ascend.
#[derive(Clone)]
enum Part {
    All,
    Only(Arc<[u64]>),
    Without(Arc<[u64]>),
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents")
            .field("column", &self.source.column)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Documents {
    /// Chooses the text column (`text_column`, else what the dataset says, else the only text column there is) and
    /// counts the rows.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] with the columns that exist when none can be chosen,
    /// [`codex_plugin_api::ErrorKind::Data`] when the dataset has no row.
    pub fn open(dataset: Box<dyn Dataset>, text_column: Option<&str>) -> Result<Self> {
        let info = dataset.info()?;
        let column = choose_column(&info, text_column)?;
        let log_probabilities = info.log_probability_column.clone().filter(|name| {
            info.fields.iter().any(|field| {
                field.name == *name && matches!(field.field_type, FieldType::F64 | FieldType::F32)
            })
        });
        let rows = match info.rows {
            Some(rows) => rows,
            None => count_rows(dataset.as_ref())?,
        };
        if rows == 0 {
            return Err(Error::data("the dataset has no rows")
                .hint("`codex-ml data inspect` shows what a dataset holds"));
        }
        let fingerprint = digest(&["documents 1", &info.fingerprint, &column]);
        Ok(Self {
            source: Arc::new(Source {
                dataset,
                column,
                log_probabilities,
                rows,
                fingerprint,
            }),
            part: Part::All,
        })
    }

    /// How many documents there are, empty ones included.
    pub fn len(&self) -> u64 {
        match &self.part {
            Part::All => self.source.rows,
            Part::Only(rows) => rows.len() as u64,
            Part::Without(rows) => self.source.rows - rows.len() as u64,
        }
    }

    /// Whether there is no document; never after [`Self::open`] or [`Self::split`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the text column.
    pub fn column(&self) -> &str {
        &self.source.column
    }

    /// Whether documents come with exact log probabilities.
    pub fn has_log_probabilities(&self) -> bool {
        self.source.log_probabilities.is_some()
    }

    /// A digest of the dataset's content, the column and the part: equal fingerprints promise equal documents.
    pub fn fingerprint(&self) -> String {
        let (word, rows) = match &self.part {
            Part::All => return self.source.fingerprint.clone(),
            Part::Only(rows) => ("only", rows),
            Part::Without(rows) => ("without", rows),
        };
        let mut sha = Sha256::new();
        for row in rows.iter() {
            sha.update(row.to_le_bytes());
        }
        digest(&[&self.source.fingerprint, word, &hex(&sha.finalize())])
    }

    /// Documents `start .. start + count`, fewer at the end.
    ///
    /// # Errors
    /// The dataset's own, or [`codex_plugin_api::ErrorKind::Data`] when it gives other rows than it promised.
    pub fn read(&self, start: u64, count: u64) -> Result<Vec<Document>> {
        let end = start.saturating_add(count).min(self.len());
        let mut documents = Vec::with_capacity(end.saturating_sub(start) as usize);
        let mut next = start;
        while next < end {
            let first = self.row(next);
            let mut wanted = vec![first];
            next += 1;
            let mut last = first;
            while next < end {
                let row = self.row(next);
                if row - last > READ_THROUGH {
                    break;
                }
                wanted.push(row);
                last = row;
                next += 1;
            }
            self.source.read_rows(&wanted, &mut documents)?;
        }
        Ok(documents)
    }

    /// Divides the documents into training and validation text: about `validation_fraction` of them, chosen by the
    /// seed, at least one on either side. Both keep the dataset's order.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for a fraction that is not between 0 and 1,
    /// [`codex_plugin_api::ErrorKind::Data`] when there are fewer than two documents.
    pub fn split(&self, validation_fraction: f64, seed: u64) -> Result<(Self, Self)> {
        if !(validation_fraction > 0.0 && validation_fraction < 1.0) {
            return Err(Error::config(format!(
                "data.validation_fraction is {validation_fraction}, which is not between 0 and 1"
            ))
            .hint("0.05 holds one document in twenty back"));
        }
        let length = self.len();
        if length < 2 {
            return Err(Error::data(
                "the dataset has only one document, so none can be held back for validation",
            )
            .hint(
                "give it as several documents, or set data.validation_fraction=0 to go without",
            ));
        }
        let held_back = ((length as f64 * validation_fraction).round() as u64).clamp(1, length - 1);
        let order = Permutation::new(length, seed, "validation split", 0);
        let mut chosen: Vec<u64> = (0..held_back).map(|at| self.row(order.at(at))).collect();
        chosen.sort_unstable();
        let rest = match &self.part {
            Part::All => Part::Without(chosen.clone().into()),
            Part::Without(rows) => {
                let mut both = [rows, chosen.as_slice()].concat();
                both.sort_unstable();
                Part::Without(both.into())
            }
            Part::Only(rows) => Part::Only(
                rows.iter()
                    .copied()
                    .filter(|row| chosen.binary_search(row).is_err())
                    .collect(),
            ),
        };
        let part = |part| Self {
            source: Arc::clone(&self.source),
            part,
        };
        Ok((part(rest), part(Part::Only(chosen.into()))))
    }

    /// The dataset's row of document `index`, which must be below the length.
    fn row(&self, index: u64) -> u64 {
        match &self.part {
            Part::All => index,
            Part::Only(rows) => rows[index as usize],
            Part::Without(rows) => {
                // rows[j] − j documents stand before the j-th row left out, and that never falls.
                let (mut low, mut high) = (0, rows.len());
                while low < high {
                    let middle = usize::midpoint(low, high);
                    if rows[middle] - middle as u64 <= index {
                        low = middle + 1;
                    } else {
                        high = middle;
                    }
                }
                index + low as u64
            }
        }
    }
}

impl Source {
    /// Reads the rows `wanted` (ascending, near each other), and drops those between.
    fn read_rows(&self, wanted: &[u64], documents: &mut Vec<Document>) -> Result<()> {
        let (Some(&first), Some(&last)) = (wanted.first(), wanted.last()) else {
            return Ok(());
        };
        let mut wanted = wanted.iter().copied().peekable();
        let mut start = first;
        while start <= last {
            let batch = self.dataset.read(start, last - start + 1)?;
            if batch.rows() == 0 || batch.rows() as u64 > last - start + 1 {
                return Err(Error::data(format!(
                    "the dataset gave {} rows where rows {start} to {last} of {} were asked for",
                    batch.rows(),
                    self.rows
                ))
                .hint("did the source change while it was read?"));
            }
            let end = start + batch.rows() as u64;
            while let Some(row) = wanted.next_if(|&row| row < end) {
                documents.push(self.document(&batch, (row - start) as usize)?);
            }
            start = end;
        }
        Ok(())
    }

    fn document(&self, batch: &Batch, index: usize) -> Result<Document> {
        let column = batch.column(&self.column)?;
        let Values::Text(texts) = &column.values else {
            return Err(Error::data(format!(
                "column {:?} came as {:?}, not as text",
                self.column,
                column.values.field_type()
            )));
        };
        let text = if column.is_null(index) {
            String::new()
        } else {
            texts.as_texts().get(index).unwrap_or_default().to_owned()
        };
        let log_probability = match &self.log_probabilities {
            None => None,
            Some(name) => {
                let column = batch.column(name)?;
                match &column.values {
                    _ if column.is_null(index) => None,
                    Values::F64(values) => values.get(index).copied(),
                    Values::F32(values) => values.get(index).map(|&value| f64::from(value)),
                    _ => None,
                }
            }
        };
        Ok(Document {
            text,
            log_probability,
        })
    }
}

fn choose_column(info: &DatasetInfo, asked: Option<&str>) -> Result<String> {
    let all = || {
        let names: Vec<String> = info
            .fields
            .iter()
            .map(|field| format!("{} ({})", field.name, type_name(field.field_type)))
            .collect();
        format!("the columns are {}", names.join(", "))
    };
    if let Some(name) = asked.or(info.text_column.as_deref()) {
        return match info.fields.iter().find(|field| field.name == name) {
            Some(field) if field.field_type == FieldType::Text => Ok(name.to_owned()),
            Some(field) => Err(Error::config(format!(
                "column {name:?} holds {}, not text",
                type_name(field.field_type)
            ))
            .hint(all())),
            None => Err(Error::config(format!("the dataset has no column {name:?}"))
                .hint(format!("set data.text_column: {}", all()))),
        };
    }
    let mut texts = info
        .fields
        .iter()
        .filter(|field| field.field_type == FieldType::Text);
    match (texts.next(), texts.next()) {
        (Some(only), None) => Ok(only.name.clone()),
        (None, _) => Err(Error::data("the dataset has no text column").hint(all())),
        (Some(_), Some(_)) => Err(Error::config(
            "the dataset has several text columns and does not say which to use",
        )
        .hint(format!("set data.text_column: {}", all()))),
    }
}

/// The type's word as users read it.
pub(crate) fn type_name(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Text => "text",
        FieldType::Bytes => "bytes",
        FieldType::I64 => "integers",
        FieldType::F32 => "32-bit floats",
        FieldType::F64 => "64-bit floats",
        FieldType::Bool => "booleans",
        _ => "something else",
    }
}

/// Counts by doubling and halving, since any row can be read at once.
fn count_rows(dataset: &dyn Dataset) -> Result<u64> {
    let there = |row: u64| -> Result<bool> { Ok(dataset.read(row, 1)?.rows() > 0) };
    if !there(0)? {
        return Ok(0);
    }
    let mut high = 1;
    while there(high)? {
        high = high.checked_mul(2).ok_or_else(|| {
            Error::data("the dataset does not end").hint("it must know how many rows it has")
        })?;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if there(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(high)
}

fn digest(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    hex(&sha.finalize())
}

#[cfg(test)]
mod tests;
