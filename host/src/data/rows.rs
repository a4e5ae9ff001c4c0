//! The rows of a dataset, and their division into training and validation rows. What a row's columns mean is the
//! affair of [`super::documents`] and [`super::records`].

use std::sync::Arc;

use codex_plugin_api::{Batch, Column, Dataset, DatasetInfo, Error, Result, Values};
use sha2::{Digest, Sha256};

use super::hex;
use super::permutation::Permutation;

/// Rows that lie at most this far apart are read in one call, and those between are dropped.
const READ_THROUGH: u64 = 16;

/// A dataset's rows, or a part of them. Clones are cheap and share the dataset.
#[derive(Clone)]
pub(super) struct Rows {
    source: Arc<Source>,
    part: Part,
}

struct Source {
    dataset: Box<dyn Dataset>,
    info: DatasetInfo,
    rows: u64,
}

/// Which rows belong; the lists ascend.
#[derive(Clone)]
enum Part {
    All,
    Only(Arc<[u64]>),
    Without(Arc<[u64]>),
}

impl Rows {
    /// Counts the rows.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when the dataset has no row.
    pub(super) fn open(dataset: Box<dyn Dataset>) -> Result<Self> {
        let info = dataset.info()?;
        let rows = match info.rows {
            Some(rows) => rows,
            None => count_rows(dataset.as_ref())?,
        };
        if rows == 0 {
            return Err(Error::data("the dataset has no rows")
                .hint("`codex-ml data inspect` shows what a dataset holds"));
        }
        Ok(Self {
            source: Arc::new(Source {
                dataset,
                info,
                rows,
            }),
            part: Part::All,
        })
    }

    /// What the dataset says of itself.
    pub(super) fn info(&self) -> &DatasetInfo {
        &self.source.info
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> u64 {
        match &self.part {
            Part::All => self.source.rows,
            Part::Only(rows) => rows.len() as u64,
            Part::Without(rows) => self.source.rows - rows.len() as u64,
        }
    }

    /// A digest of `whole`, which stands for all rows and how they are read, and of the part.
    pub(super) fn fingerprint(&self, whole: &str) -> String {
        let (word, rows) = match &self.part {
            Part::All => return whole.to_owned(),
            Part::Only(rows) => ("only", rows),
            Part::Without(rows) => ("without", rows),
        };
        let mut sha = Sha256::new();
        for row in rows.iter() {
            sha.update(row.to_le_bytes());
        }
        digest(&[whole, word, &hex(&sha.finalize())])
    }

    /// Hands rows `start .. start + count` (fewer at the end) to `take`, in order: the batch that holds each, and its
    /// place in it.
    ///
    /// # Errors
    /// The dataset's own, [`codex_plugin_api::ErrorKind::Data`] when it gives other rows than it promised, and what
    /// `take` says.
    pub(super) fn read(
        &self,
        start: u64,
        count: u64,
        mut take: impl FnMut(&Batch, usize) -> Result<()>,
    ) -> Result<()> {
        let end = start.saturating_add(count).min(self.len());
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
            self.source.read_rows(&wanted, &mut take)?;
        }
        Ok(())
    }

    /// Divides the rows into training and validation rows: about `validation_fraction` of them, chosen by the seed, at
    /// least one on either side. Both keep the dataset's order.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for a fraction that is not between 0 and 1,
    /// [`codex_plugin_api::ErrorKind::Data`] when there are fewer than two rows.
    pub(super) fn split(&self, validation_fraction: f64, seed: u64) -> Result<(Self, Self)> {
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

    /// The dataset's row of row `index` of this part, which must be below the length.
    fn row(&self, index: u64) -> u64 {
        match &self.part {
            Part::All => index,
            Part::Only(rows) => rows[index as usize],
            Part::Without(rows) => {
                // rows[j] − j rows stand before the j-th row left out, and that never falls.
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
    fn read_rows(
        &self,
        wanted: &[u64],
        take: &mut impl FnMut(&Batch, usize) -> Result<()>,
    ) -> Result<()> {
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
                take(&batch, (row - start) as usize)?;
            }
            start = end;
        }
        Ok(())
    }
}

/// The text of one row; empty where the row holds a null.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] when the column did not come as text.
pub(super) fn text(column: &Column, index: usize) -> Result<&str> {
    let Values::Text(texts) = &column.values else {
        return Err(Error::data(format!(
            "column {:?} came as {:?}, not as text",
            column.name,
            column.values.field_type()
        )));
    };
    Ok(if column.is_null(index) {
        ""
    } else {
        texts.as_texts().get(index).unwrap_or_default()
    })
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

/// SHA-256 of some texts, each with its length.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    hex(&sha.finalize())
}
