//! A dataset whose texts are clean: whoever reads it, tokenizer, token store or evaluation, never meets what was found.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_plugin_api::{Batch, Column, Dataset, DatasetInfo, Result, Stage, TextBuffer, Values};
use sha2::{Digest, Sha256};

use crate::key::hex;
use crate::{Counts, Outcome, ReportedFinding, Sanitizers};

/// Reads from another dataset and cleans every text column, at the stage `ingest`.
///
/// A text that is dropped becomes a null. Where the column of the text changed (any, where the dataset names none), the
/// exact log probability of that row becomes a null, too, since it is another text's. The fingerprint holds the sanitizers' digest, so nothing that is
/// stored by it is taken for the other's. Text columns hold labels as well; those are texts like any other.
pub struct CleanDataset {
    inner: Box<dyn Dataset>,
    sanitizers: Arc<Sanitizers>,
    info: DatasetInfo,
    tally: Tally,
}

/// What was found in the rows of a dataset that were read so far, each row counted once, however often it is read. It
/// outlives the dataset, which whoever trains gives away.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    counts: Counts,
    rows: BTreeSet<u64>,
}

impl CleanDataset {
    /// Wraps a dataset.
    ///
    /// # Errors
    /// The dataset's, when it cannot describe itself.
    pub fn new(inner: Box<dyn Dataset>, sanitizers: Arc<Sanitizers>) -> Result<Self> {
        let mut info = inner.info()?;
        let parts = ["clean dataset 1", &info.fingerprint, sanitizers.digest()].join("\n");
        info.fingerprint = hex(&Sha256::digest(parts));
        Ok(Self {
            inner,
            sanitizers,
            info,
            tally: Tally::default(),
        })
    }

    /// What is found in it from now on.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// Cleans a column in place and says which of its rows are another text now, with what was found in each.
    fn clean(&self, column: &mut Column, start: u64) -> Result<Vec<(usize, Vec<ReportedFinding>)>> {
        let Values::Text(texts) = &column.values else {
            return Ok(Vec::new());
        };
        let name = &column.name;
        let cleaned = self
            .sanitizers
            .clean(texts.as_texts(), Stage::Ingest, None)
            .map_err(|error| {
                let rows = format!("{start} to {}", start + texts.len() as u64);
                let place = format!("column {name:?}, rows from {rows}: ");
                let message = place + error.message();
                error.with_message(message)
            })?;
        let mut found = Vec::new();
        let mut clean = TextBuffer::new();
        let mut validity = column.validity.clone();
        for (row, (one, text)) in cleaned.into_iter().zip(texts.as_texts().iter()).enumerate() {
            let passed = one.text(text);
            clean.push(passed.unwrap_or_default());
            if passed.is_none() {
                let valid = validity.get_or_insert_with(|| vec![true; texts.len()]);
                valid[row] = false;
            }
            if one.outcome != Outcome::Unchanged || !one.findings.is_empty() {
                found.push((row, one.findings));
            }
        }
        column.values = Values::Text(clean);
        column.validity = validity;
        Ok(found)
    }
}

impl Tally {
    /// What was found.
    pub fn counts(&self) -> Counts {
        self.told().counts.clone()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `seen` are the rows that this very read counts: a second column of a row is new in it, and only there.
    fn add(&self, start: u64, found: Vec<(usize, Vec<ReportedFinding>)>, seen: &mut BTreeSet<u64>) {
        let mut told = self.told();
        for (row, findings) in found {
            let row = start + row as u64;
            if told.rows.insert(row) || seen.contains(&row) {
                seen.insert(row);
                told.counts.add(Stage::Ingest, &findings);
                told.counts.not_scanned += u64::from(findings.is_empty());
            }
        }
    }
}

impl Dataset for CleanDataset {
    fn info(&self) -> Result<DatasetInfo> {
        Ok(self.info.clone())
    }

    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let mut columns = self.inner.read(start, count)?.into_columns();
        let mut seen = BTreeSet::new();
        let mut changed = Vec::new();
        for column in &mut columns {
            let before = column.values.clone();
            let found = self.clean(column, start)?;
            let main = self.info.text_column.as_ref();
            if main.is_none_or(|name| *name == column.name) {
                changed.extend(differing(&before, &column.values));
            }
            self.tally.add(start, found, &mut seen);
        }
        if let Some(name) = &self.info.log_probability_column
            && let Some(column) = columns.iter_mut().find(|column| column.name == *name)
        {
            forget(column, &changed);
        }
        Batch::new(columns)
    }
}

/// The rows in which two text columns differ.
fn differing(before: &Values, after: &Values) -> Vec<usize> {
    let (Values::Text(before), Values::Text(after)) = (before, after) else {
        return Vec::new();
    };
    let pairs = before.as_texts().iter().zip(after.as_texts().iter());
    pairs
        .enumerate()
        .filter(|(_, (before, after))| before != after)
        .map(|(row, _)| row)
        .collect()
}

/// Makes rows of a column null.
fn forget(column: &mut Column, rows: &[usize]) {
    if rows.is_empty() {
        return;
    }
    let length = column.values.len();
    let valid = column.validity.get_or_insert_with(|| vec![true; length]);
    for &row in rows {
        valid[row] = false;
        match &mut column.values {
            Values::F64(values) => values[row] = 0.0,
            Values::F32(values) => values[row] = 0.0,
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::{Field, FieldType};

    use super::*;
    use crate::testing::toys;

    struct Fixed;

    impl Dataset for Fixed {
        fn info(&self) -> Result<DatasetInfo> {
            Ok(DatasetInfo {
                fields: vec![
                    Field::new("text", FieldType::Text),
                    Field::new("title", FieldType::Text),
                    Field::new("log_probability", FieldType::F64),
                ],
                rows: Some(3),
                fingerprint: "fixed".into(),
                text_column: Some("text".into()),
                log_probability_column: Some("log_probability".into()),
            })
        }
        fn read(&self, start: u64, count: u64) -> Result<Batch> {
            let range = start as usize..(start + count).min(3) as usize;
            let texts = ["plain", "ask joe@example.org", "sk-abc123def"];
            let titles = ["", "by ann@ex.cz", "c"];
            let numbers = [-1.0, -2.0, -3.0];
            Batch::new(vec![
                Column::text("text", &texts[range.clone()]),
                Column::text("title", &titles[range.clone()]),
                Column::new("log_probability", Values::F64(numbers[range].to_vec())),
            ])
        }
    }

    fn dataset(policy: &str) -> CleanDataset {
        CleanDataset::new(Box::new(Fixed), Arc::new(toys(policy))).unwrap()
    }

    fn texts(batch: &Batch, column: &str) -> Vec<String> {
        match &batch.column(column).unwrap().values {
            Values::Text(texts) => texts.as_texts().iter().map(str::to_owned).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_text_column_is_clean_and_every_row_is_counted_once() {
        let dataset = dataset(
            "version: 1\nextends: none\nactions: [{rules: [token], action: drop}, {action: redact}]\n",
        );
        let tally = dataset.tally();
        let batch = dataset.read(0, 9).unwrap();
        assert_eq!(texts(&batch, "text"), ["plain", "ask [EMAIL_ADDRESS]", ""]);
        assert_eq!(texts(&batch, "title"), ["", "by [EMAIL_ADDRESS]", "c"]);
        assert!(batch.column("text").unwrap().is_null(2));
        assert!(!batch.column("text").unwrap().is_null(1));
        let exact = batch.column("log_probability").unwrap();
        let nulls: Vec<bool> = (0..3).map(|row| exact.is_null(row)).collect();
        assert_eq!(
            nulls,
            [false, true, true],
            "another text has another probability"
        );
        for start in 0..3 {
            dataset.read(start, 1).unwrap();
        }
        let counts: Vec<u64> = tally.counts().list().iter().map(|one| one.count).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn the_fingerprint_follows_the_policy() {
        let plain = dataset("version: 1\n").info().unwrap().fingerprint;
        assert_ne!(plain, "fixed");
        assert_eq!(plain, dataset("version: 1\n").info().unwrap().fingerprint);
        assert_ne!(
            plain,
            dataset("version: 1\nmode: mask\n")
                .info()
                .unwrap()
                .fingerprint
        );
    }

    #[test]
    fn a_blocked_row_names_column_and_rows() {
        let dataset = dataset("version: 1\nactions: [{rules: [token], action: block}]\n");
        let error = dataset.read(1, 2).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("column \"text\", rows from 1 to 3: text 1"),
            "{error}"
        );
        assert!(error.message().contains("rule token"), "{error}");
    }
}
