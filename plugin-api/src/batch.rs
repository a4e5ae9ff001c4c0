//! Rows of named, typed columns: what a dataset gives. They cross the native border as an Arrow C stream.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, TextBuffer};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FieldType {
    /// UTF-8 text (Arrow `large_utf8`, or `utf8` from others).
    Text,
    /// Raw bytes (Arrow `large_binary`).
    Bytes,
    /// 64-bit signed integers.
    I64,
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
    /// True or false.
    Bool,
}

/// A column's name and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Unique within the dataset.
    pub name: String,
    /// What its values are.
    pub field_type: FieldType,
}

impl Field {
    /// A field of the given name and type.
    pub fn new(name: impl Into<String>, field_type: FieldType) -> Self {
        Self {
            name: name.into(),
            field_type,
        }
    }
}

/// The values of a column. A null's value is the type's zero (empty text).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// UTF-8 texts.
    Text(TextBuffer),
    /// Raw bytes with `rows + 1` offsets.
    Bytes(Vec<u8>, Vec<u64>),
    /// Integers.
    I64(Vec<i64>),
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// Booleans.
    Bool(Vec<bool>),
}

impl Values {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(texts) => texts.len(),
            Self::Bytes(_, offsets) => offsets.len().saturating_sub(1),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Text(_) => FieldType::Text,
            Self::Bytes(..) => FieldType::Bytes,
            Self::I64(_) => FieldType::I64,
            Self::F32(_) => FieldType::F32,
            Self::F64(_) => FieldType::F64,
            Self::Bool(_) => FieldType::Bool,
        }
    }
}

/// One column of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// Its values.
    pub values: Values,
    /// Which rows hold a value; `None` when all do.
    pub validity: Option<Vec<bool>>,
}

impl Column {
    /// A column without nulls.
    pub fn new(name: impl Into<String>, values: Values) -> Self {
        Self {
            name: name.into(),
            values,
            validity: None,
        }
    }

    /// A text column without nulls.
    pub fn text<S: AsRef<str>>(
        name: impl Into<String>,
        texts: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::new(name, Values::Text(texts.into_iter().collect()))
    }

    /// Whether row `index` is null.
    pub fn is_null(&self, index: usize) -> bool {
        self.validity
            .as_ref()
            .is_some_and(|valid| valid.get(index) == Some(&false))
    }
}

/// Some consecutive rows of a dataset; every column has the same number of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    columns: Vec<Column>,
    rows: usize,
}

impl Batch {
    /// Checks that all columns have equal length and distinct names.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] naming the column that differs.
    pub fn new(columns: Vec<Column>) -> Result<Self> {
        let rows = columns.first().map_or(0, |column| column.values.len());
        for (index, column) in columns.iter().enumerate() {
            let len = column.values.len();
            if len != rows
                || column
                    .validity
                    .as_ref()
                    .is_some_and(|valid| valid.len() != rows)
            {
                return Err(Error::data(format!(
                    "column {:?} has {len} rows where others have {rows}",
                    column.name
                )));
            }
            if columns[..index]
                .iter()
                .any(|other| other.name == column.name)
            {
                return Err(Error::data(format!(
                    "column {:?} is there twice",
                    column.name
                )));
            }
        }
        Ok(Self { columns, rows })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in the dataset's order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns, owned.
    pub fn into_columns(self) -> Vec<Column> {
        self.columns
    }

    /// The column called `name`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] with the names that exist.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.columns
            .iter()
            .find(|column| column.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = self
                    .columns
                    .iter()
                    .map(|column| column.name.as_str())
                    .collect();
                Error::data(format!("there is no column {name:?}"))
                    .hint(format!("the columns are {}", known.join(", ")))
            })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn unequal_and_repeated_columns_are_refused() {
        let short = vec![
            Column::text("a", ["x", "y"]),
            Column::new("b", Values::I64(vec![1])),
        ];
        assert!(
            Batch::new(short)
                .unwrap_err()
                .message()
                .contains("\"b\" has 1 rows")
        );
        let twice = vec![Column::text("a", ["x"]), Column::text("a", ["y"])];
        assert!(Batch::new(twice).unwrap_err().message().contains("twice"));
        let batch = Batch::new(vec![Column::text("a", ["x"])]).unwrap();
        assert_eq!(
            batch.column("b").unwrap_err().hint_text(),
            Some("the columns are a")
        );
    }
}
