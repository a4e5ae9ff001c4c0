//! Types of columns as they are inferred, and columns as they are filled.

use codex_plugin_api::{Column, Field, FieldType, TextBuffer, Values};

/// What the values of a column have been so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Nothing but nulls.
    #[default]
    Null,
    /// True and false.
    Bool,
    /// Integers of 64 bits.
    I64,
    /// 32-bit floats (Parquet only).
    F32,
    /// 64-bit floats.
    F64,
    /// Raw bytes (Parquet only).
    Bytes,
    /// Text, or anything as text.
    Text,
}

impl Kind {
    /// The narrowest kind that holds both: integers become floats beside floats, anything else text.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (Self::I64 | Self::F32 | Self::F64, Self::I64 | Self::F32 | Self::F64) => Self::F64,
            _ => Self::Text,
        }
    }

    /// The column type; a column without any value is one of text.
    pub fn field_type(self) -> FieldType {
        match self {
            Self::Bool => FieldType::Bool,
            Self::I64 => FieldType::I64,
            Self::F32 => FieldType::F32,
            Self::F64 => FieldType::F64,
            Self::Bytes => FieldType::Bytes,
            Self::Null | Self::Text => FieldType::Text,
        }
    }
}

/// The columns of a file, in the order of their first appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Name and kind of each.
    pub columns: Vec<(String, Kind)>,
}

impl Schema {
    /// Adds a value's kind to column `name`, which is probably at `guess`; returns where it is.
    pub fn see(&mut self, name: &str, guess: usize, kind: Kind) -> usize {
        let place = match self.columns.get(guess) {
            Some((there, _)) if there == name => guess,
            _ => self
                .columns
                .iter()
                .position(|(there, _)| there == name)
                .unwrap_or_else(|| {
                    self.columns.push((name.to_owned(), Kind::Null));
                    self.columns.len() - 1
                }),
        };
        let column = &mut self.columns[place].1;
        *column = column.join(kind);
        place
    }

    /// Adds the columns of another file.
    pub fn merge(&mut self, other: &Self) {
        for (place, (name, kind)) in other.columns.iter().enumerate() {
            self.see(name, place, *kind);
        }
    }
}

/// A value on its way into a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// A float.
    F64(f64),
    /// Text, or JSON text of what has no type of its own.
    Text(&'a str),
}

/// A column being filled.
pub struct Builder {
    name: String,
    values: Values,
    valid: Vec<bool>,
}

impl Builder {
    /// An empty column.
    pub fn new(field: &Field) -> Self {
        let values = match field.field_type {
            FieldType::Bool => Values::Bool(Vec::new()),
            FieldType::I64 => Values::I64(Vec::new()),
            FieldType::F32 => Values::F32(Vec::new()),
            FieldType::F64 => Values::F64(Vec::new()),
            FieldType::Bytes => Values::Bytes(Vec::new(), vec![0]),
            _ => Values::Text(TextBuffer::new()),
        };
        Self {
            name: field.name.clone(),
            values,
            valid: Vec::new(),
        }
    }

    /// How many values there are.
    pub fn rows(&self) -> usize {
        self.valid.len()
    }

    /// Whether it is a column of text.
    pub fn is_text(&self) -> bool {
        matches!(self.values, Values::Text(_))
    }

    /// Adds a value, as text where the column is one of text; `false` where the column cannot hold it.
    pub fn push(&mut self, cell: &Cell<'_>) -> bool {
        let mut valid = true;
        match (&mut self.values, cell) {
            (Values::Text(texts), Cell::Text(text)) => texts.push(text),
            (Values::Text(texts), Cell::Bool(value)) => {
                texts.push(if *value { "true" } else { "false" });
            }
            (Values::Text(texts), Cell::I64(value)) => texts.push(&value.to_string()),
            (Values::Text(texts), Cell::F64(value)) => texts.push(&value.to_string()),
            (Values::Bool(values), Cell::Bool(value)) => values.push(*value),
            (Values::I64(values), Cell::I64(value)) => values.push(*value),
            (Values::F64(values), Cell::F64(value)) => values.push(*value),
            (Values::F64(values), Cell::I64(value)) => values.push(*value as f64),
            (Values::F32(values), Cell::F64(value)) => values.push(*value as f32),
            (values, Cell::Null) => {
                valid = false;
                match values {
                    Values::Text(texts) => texts.push(""),
                    Values::Bool(values) => values.push(false),
                    Values::I64(values) => values.push(0),
                    Values::F32(values) => values.push(0.0),
                    Values::F64(values) => values.push(0.0),
                    Values::Bytes(_, offsets) => offsets.push(offsets.last().copied().unwrap_or(0)),
                    _ => return false,
                }
            }
            _ => return false,
        }
        self.valid.push(valid);
        true
    }

    /// Adds raw bytes; `false` where the column is not one of bytes.
    pub fn push_bytes(&mut self, value: &[u8]) -> bool {
        let Values::Bytes(bytes, offsets) = &mut self.values else {
            return false;
        };
        bytes.extend_from_slice(value);
        offsets.push(bytes.len() as u64);
        self.valid.push(true);
        true
    }

    /// The column.
    pub fn finish(self) -> Column {
        let mut column = Column::new(self.name, self.values);
        if self.valid.contains(&false) {
            column.validity = Some(self.valid);
        }
        column
    }
}
