//! The text column of a dataset, read document by document. Which rows belong to which part is [`super::rows`]'
//! affair, tokens are the store's.

use std::fmt;

use codex_plugin_api::{Dataset, DatasetInfo, Error, FieldType, Result, Values};

use super::rows::{self, Rows, digest};

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
    rows: Rows,
    column: String,
    log_probabilities: Option<String>,
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents")
            .field("column", &self.column)
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
        let column = choose_column(&dataset.info()?, text_column)?;
        Ok(Self::of(Rows::open(dataset)?, column))
    }

    /// The texts of a column that is known to hold text.
    pub(super) fn of(rows: Rows, column: String) -> Self {
        let info = rows.info();
        let log_probabilities = info.log_probability_column.clone().filter(|name| {
            info.fields.iter().any(|field| {
                field.name == *name && matches!(field.field_type, FieldType::F64 | FieldType::F32)
            })
        });
        Self {
            rows,
            column,
            log_probabilities,
        }
    }

    /// How many documents there are, empty ones included.
    pub fn len(&self) -> u64 {
        self.rows.len()
    }

    /// Whether there is no document; never after [`Self::open`] or [`Self::split`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the text column.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// Whether documents come with exact log probabilities.
    pub fn has_log_probabilities(&self) -> bool {
        self.log_probabilities.is_some()
    }

    /// A digest of the dataset's content, the column and the part: equal fingerprints promise equal documents.
    pub fn fingerprint(&self) -> String {
        let dataset = &self.rows.info().fingerprint;
        self.rows
            .fingerprint(&digest(&["documents 1", dataset, &self.column]))
    }

    /// Documents `start .. start + count`, fewer at the end.
    ///
    /// # Errors
    /// The dataset's own, or [`codex_plugin_api::ErrorKind::Data`] when it gives other rows than it promised.
    pub fn read(&self, start: u64, count: u64) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        self.rows.read(start, count, |batch, index| {
            let text = rows::text(batch.column(&self.column)?, index)?.to_owned();
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
            documents.push(Document {
                text,
                log_probability,
            });
            Ok(())
        })?;
        Ok(documents)
    }

    /// Divides the documents into training and validation text: about `validation_fraction` of them, chosen by the
    /// seed, at least one on either side. Both keep the dataset's order.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for a fraction that is not between 0 and 1,
    /// [`codex_plugin_api::ErrorKind::Data`] when there are fewer than two documents.
    pub fn split(&self, validation_fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let (train, validation) = self.rows.split(validation_fraction, seed)?;
        let part = |rows| Self {
            rows,
            ..self.clone()
        };
        Ok((part(train), part(validation)))
    }
}

fn choose_column(info: &DatasetInfo, asked: Option<&str>) -> Result<String> {
    let all = || columns_hint(info);
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

/// Names and types of all columns, for a hint.
pub(super) fn columns_hint(info: &DatasetInfo) -> String {
    let names: Vec<String> = info
        .fields
        .iter()
        .map(|field| format!("{} ({})", field.name, type_name(field.field_type)))
        .collect();
    format!("the columns are {}", names.join(", "))
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

#[cfg(test)]
mod tests;
