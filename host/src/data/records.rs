//! Rows that are more than one text: pairs and triplets of texts, texts with a class or a value. This file reads and
//! checks them; which columns they come from is [`super::columns`]' affair, their ids are the record store's.

use std::collections::BTreeSet;
use std::fmt;

use codex_plugin_api::{Batch, Column, Dataset, Error, Result, Values};

use super::columns::Columns;
use super::documents::Documents;
use super::rows::{self, Rows, digest};
use crate::config::ColumnNames;
use crate::task::Task;

/// What a record is to be recognised as.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// The task has none.
    None,
    /// The name of a class.
    Class(String),
    /// A value.
    Value(f32),
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Two or three texts that belong together (or not, the third), or the one or two texts that the label is of.
    pub texts: Vec<String>,
    /// What it is.
    pub label: Label,
}

/// A dataset's records, or a part of them. Clones are cheap and share the dataset.
#[derive(Clone)]
pub struct Records {
    rows: Rows,
    task: Task,
    columns: Columns,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("columns", &self.columns)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Records {
    /// Chooses the columns and counts the rows.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] with the columns that exist when some cannot be chosen,
    /// [`codex_plugin_api::ErrorKind::Data`] when the dataset has no row.
    pub fn open(dataset: Box<dyn Dataset>, task: Task, asked: &ColumnNames) -> Result<Self> {
        let columns = Columns::choose(&dataset.info()?, task, asked)?;
        Ok(Self {
            rows: Rows::open(dataset)?,
            task,
            columns,
        })
    }

    /// How many there are, those without text or label included.
    pub fn len(&self) -> u64 {
        self.rows.len()
    }

    /// Whether there is none; never after [`Self::open`] or [`Self::split`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns that the texts come from, in order.
    pub fn text_columns(&self) -> &[String] {
        &self.columns.texts
    }

    /// The column that the label comes from.
    pub fn label_column(&self) -> Option<&str> {
        self.columns.label.as_deref()
    }

    /// The texts of each column, for a tokenizer to learn from.
    pub fn documents(&self) -> Vec<Documents> {
        let columns = self.columns.texts.iter();
        columns
            .map(|column| Documents::of(self.rows.clone(), column.clone()))
            .collect()
    }

    /// A digest of the dataset's content, the columns and the part: equal fingerprints promise equal records.
    pub fn fingerprint(&self) -> String {
        let texts = digest(
            &self
                .columns
                .texts
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        );
        let label = self.columns.label.as_deref().unwrap_or_default();
        let dataset = &self.rows.info().fingerprint;
        let word = self.task.word();
        self.rows
            .fingerprint(&digest(&["records 1", dataset, word, &texts, label]))
    }

    /// Divides them into training and validation records, as [`Documents::split`].
    ///
    /// # Errors
    /// As [`Documents::split`].
    pub fn split(&self, validation_fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let (train, validation) = self.rows.split(validation_fraction, seed)?;
        let part = |rows| Self {
            rows,
            ..self.clone()
        };
        Ok((part(train), part(validation)))
    }

    /// Records `start .. start + count`, fewer at the end; `None` for a row without one of its texts or its label.
    ///
    /// # Errors
    /// The dataset's own, and [`codex_plugin_api::ErrorKind::Data`] naming a label that is none.
    pub fn read(&self, start: u64, count: u64) -> Result<Vec<Option<Record>>> {
        let mut records = Vec::new();
        self.rows.read(start, count, |batch, index| {
            records.push(self.record(batch, index)?);
            Ok(())
        })?;
        Ok(records)
    }

    /// The names of all classes that occur.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn classes(&self) -> Result<BTreeSet<String>> {
        let mut classes = BTreeSet::new();
        if let Some(name) = &self.columns.label {
            self.rows.read(0, u64::MAX, |batch, index| {
                if let Some(class) = class(batch.column(name)?, index)?
                    && !classes.contains(&class)
                {
                    classes.insert(class);
                }
                Ok(())
            })?;
        }
        Ok(classes)
    }

    fn record(&self, batch: &Batch, index: usize) -> Result<Option<Record>> {
        let mut texts = Vec::with_capacity(self.columns.texts.len());
        for name in &self.columns.texts {
            let text = rows::text(batch.column(name)?, index)?;
            if text.trim().is_empty() {
                return Ok(None);
            }
            texts.push(text.to_owned());
        }
        let label = match (&self.columns.label, self.task) {
            (Some(name), Task::Regression) => value(batch.column(name)?, index)?.map(Label::Value),
            (Some(name), _) => class(batch.column(name)?, index)?.map(Label::Class),
            (None, _) => Some(Label::None),
        };
        Ok(label.map(|label| Record { texts, label }))
    }
}

/// The name of a row's class; `None` where there is none.
fn class(column: &Column, index: usize) -> Result<Option<String>> {
    if column.is_null(index) {
        return Ok(None);
    }
    let whole = |value: f64| {
        if value.fract() == 0.0 && value.abs() < 1e15 {
            Ok(Some(format!("{value:.0}")))
        } else {
            Err(Error::data(format!(
                "label {value} in column {:?} is not the number of a class",
                column.name
            ))
            .hint("classes are whole numbers or texts; for other numbers set training.task=regression"))
        }
    };
    match &column.values {
        Values::Text(texts) => {
            let text = texts.as_texts().get(index).unwrap_or_default().trim();
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
        Values::I64(values) => Ok(values.get(index).map(i64::to_string)),
        Values::Bool(values) => Ok(values.get(index).map(bool::to_string)),
        Values::F64(values) => values.get(index).map_or(Ok(None), |&value| whole(value)),
        Values::F32(values) => values
            .get(index)
            .map_or(Ok(None), |&value| whole(f64::from(value))),
        other => Err(Error::data(format!(
            "column {:?} came as {:?}, which are no labels",
            column.name,
            other.field_type()
        ))),
    }
}

/// A row's value; `None` where there is none.
fn value(column: &Column, index: usize) -> Result<Option<f32>> {
    if column.is_null(index) {
        return Ok(None);
    }
    let found = match &column.values {
        Values::Text(texts) => {
            let text = texts.as_texts().get(index).unwrap_or_default().trim();
            if text.is_empty() {
                return Ok(None);
            }
            text.parse().map_err(|_| text.to_owned())
        }
        Values::I64(values) => Ok(values.get(index).copied().unwrap_or_default() as f32),
        Values::Bool(values) => Ok(f32::from(values.get(index).copied().unwrap_or_default())),
        Values::F64(values) => Ok(values.get(index).copied().unwrap_or_default() as f32),
        Values::F32(values) => Ok(values.get(index).copied().unwrap_or_default()),
        other => Err(format!("{:?}", other.field_type())),
    };
    match found {
        Ok(value) if value.is_finite() => Ok(Some(value)),
        Ok(value) => Err(value.to_string()),
        Err(text) => Err(text),
    }
    .map_err(|text| {
        Error::data(format!(
            "label {text:?} in column {:?} is no number",
            column.name
        ))
        .hint("regression needs numbers; for classes set training.task=classification")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn column(values: Values) -> Column {
        Column::new("label", values)
    }

    #[test]
    fn classes_are_texts_and_whole_numbers() {
        let text = |texts: &[&str]| Values::Text(texts.iter().collect());
        for (values, expected) in [
            (text(&[" good "]), Ok(Some("good"))),
            (text(&[" "]), Ok(None)),
            (Values::I64(vec![-3]), Ok(Some("-3"))),
            (Values::F64(vec![2.0]), Ok(Some("2"))),
            (Values::F32(vec![0.0]), Ok(Some("0"))),
            (Values::Bool(vec![true]), Ok(Some("true"))),
            (Values::F64(vec![0.5]), Err("label 0.5")),
            (Values::F64(vec![f64::NAN]), Err("label NaN")),
        ] {
            match class(&column(values), 0) {
                Ok(found) => assert_eq!(Ok(found.as_deref()), expected),
                Err(error) => assert!(error.message().contains(expected.unwrap_err())),
            }
        }
    }

    #[test]
    fn values_are_numbers() {
        let text = |texts: &[&str]| Values::Text(texts.iter().collect());
        for (values, expected) in [
            (text(&[" 2.5 "]), Ok(Some(2.5))),
            (text(&[""]), Ok(None)),
            (Values::I64(vec![-3]), Ok(Some(-3.0))),
            (Values::Bool(vec![true]), Ok(Some(1.0))),
            (
                text(&["good"]),
                Err("label \"good\" in column \"label\" is no number"),
            ),
            (Values::F64(vec![f64::INFINITY]), Err("label \"inf\"")),
        ] {
            match value(&column(values), 0) {
                Ok(found) => assert_eq!(Ok(found), expected),
                Err(error) => assert!(error.message().contains(expected.unwrap_err())),
            }
        }
        let mut null = column(Values::F64(vec![0.0]));
        null.validity = Some(vec![false]);
        assert_eq!(
            (value(&null, 0).unwrap(), class(&null, 0).unwrap()),
            (None, None)
        );
    }
}
