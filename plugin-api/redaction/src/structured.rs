//! Text with a structure: which parts of it are values, what they say when decoded, and where they stand in the source.
//!
//! A record is scanned as its *view*: the source with the escapes of its strings resolved, so that a value is seen as it
//! is meant and still beside its key, which is often what gives a secret away. Findings are cut to the values they
//! touch; a redaction replaces those bytes of the source and no others, so whatever was not found stays as it was.

mod csv;
mod json;

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// How a text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As it stands; the text is one record.
    #[default]
    Plain,
    /// One JSON document, which is one record. Strings, keys and integers of nine digits or more are looked at.
    Json,
    /// As [`Self::Json`] without the numbers: for records whose numbers are known to be harmless.
    JsonStrings,
    /// A JSON document a line, each a record.
    Ndjson,
    /// Fields parted by a delimiter, quoted with `"` (RFC 4180); each row is a record.
    Csv {
        /// What parts them.
        delimiter: Delimiter,
    },
}

/// What parts the fields of a row. None of these is in what redaction writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delimiter {
    /// `,`
    #[default]
    Comma,
    /// `;`
    Semicolon,
    /// A tabulator.
    Tab,
    /// `|`
    Bar,
}

impl Delimiter {
    fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }
}

/// What a part of a view is in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The inside of a JSON string.
    String,
    /// The inside of a JSON key.
    Key,
    /// A JSON integer, whole.
    Number,
    /// The inside of a CSV field, or between its quotes.
    Field {
        /// Between quotes.
        quoted: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) part: Part,
    /// In the view.
    pub(crate) range: Range<usize>,
}

/// A record as it is scanned.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Where findings count, in order; `None` is everywhere.
    pub(crate) values: Option<Vec<Value>>,
    /// Pairs of a place in the view and its place in the source, wherever their difference changes.
    shifts: Vec<(usize, usize)>,
}

/// One record of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) source: &'a str,
    /// Where it begins in its text.
    pub(crate) start: usize,
    /// With its line's end.
    pub(crate) end: usize,
    /// From 0.
    pub(crate) index: usize,
    pub(crate) format: Format,
}

/// Divides a text into records.
pub(crate) fn records(text: &str, format: Format) -> Vec<Record<'_>> {
    match format {
        Format::Plain | Format::Json | Format::JsonStrings => vec![Record {
            source: text,
            start: 0,
            end: text.len(),
            index: 0,
            format,
        }],
        Format::Ndjson => lines(text, text.split_inclusive('\n').map(str::len), Format::Json),
        Format::Csv { delimiter } => match csv::rows(text, delimiter.byte()) {
            Some(rows) => lines(text, rows.into_iter(), format),
            None => records(text, Format::Plain),
        },
    }
}

fn lines(text: &str, lengths: impl Iterator<Item = usize>, format: Format) -> Vec<Record<'_>> {
    let mut start = 0;
    lengths
        .enumerate()
        .map(|(index, length)| {
            let end = start + length;
            let source = text[start..end].trim_end_matches(['\n', '\r']);
            let record = Record {
                source,
                start,
                end,
                index,
                format,
            };
            start = end;
            record
        })
        .collect()
}

impl<'a> View<'a> {
    /// The view of a record; where the record is not what its format says it is plain text, and the reason comes along.
    pub(crate) fn of(record: Record<'a>) -> (Self, Option<String>) {
        let plain = Self {
            text: Cow::Borrowed(record.source),
            values: None,
            shifts: Vec::new(),
        };
        match record.format {
            Format::Plain | Format::Ndjson => (plain, None),
            Format::Csv { delimiter } => (csv::view(record.source, delimiter.byte()), None),
            Format::Json | Format::JsonStrings if record.source.trim().is_empty() => (plain, None),
            Format::Json | Format::JsonStrings => {
                match json::view(record.source, record.format == Format::Json) {
                    Ok(view) => (view, None),
                    Err(error) => (plain, Some(error)),
                }
            }
        }
    }

    /// Where a place of the view stands in the source.
    pub(crate) fn source_of(&self, at: usize) -> usize {
        let next = self.shifts.partition_point(|&(view, _)| view <= at);
        match next.checked_sub(1).map(|last| self.shifts[last]) {
            Some((view, source)) => source + (at - view),
            None => at,
        }
    }

    /// Cuts a finding to the values it touches. Keys count only where it touches nothing else: a rule that needs a
    /// name before a value finds both, and the name is no secret. Of a number all is taken.
    pub(crate) fn cut(&self, finding: Range<usize>) -> Vec<Range<usize>> {
        let Some(values) = &self.values else {
            return vec![finding];
        };
        let first = values.partition_point(|value| value.range.end <= finding.start);
        let touched = || {
            values[first..]
                .iter()
                .take_while(|value| value.range.start < finding.end)
                .filter(|value| !value.range.is_empty())
        };
        let keys_alone = touched().all(|value| value.part == Part::Key);
        touched()
            .filter(|value| keys_alone || value.part != Part::Key)
            .map(|value| match value.part {
                Part::Number => value.range.clone(),
                _ => finding.start.max(value.range.start)..finding.end.min(value.range.end),
            })
            .collect()
    }

    /// Writes a replacement as the part of the source that it stands in demands.
    pub(crate) fn encode(&self, at: usize, replacement: String) -> String {
        match self.part_at(at) {
            None | Some(Part::Field { quoted: false }) => replacement,
            Some(Part::Field { quoted: true }) => replacement.replace('"', "\"\""),
            Some(Part::String | Part::Key) => json::escaped(&replacement),
            Some(Part::Number) if json::is_integer(&replacement) => replacement,
            Some(Part::Number) => format!("\"{}\"", json::escaped(&replacement)),
        }
    }

    fn part_at(&self, at: usize) -> Option<Part> {
        let values = self.values.as_ref()?;
        let next = values.partition_point(|value| value.range.end <= at);
        values.get(next).map(|value| value.part)
    }

    /// The pointers (RFC 6901) of places in the source, which are in order. `row` is the record's number.
    pub(crate) fn pointers(&self, record: Record<'_>, places: &[usize]) -> Vec<Option<String>> {
        if self.values.is_none() || places.is_empty() {
            return vec![None; places.len()];
        }
        match record.format {
            Format::Csv { delimiter } => {
                csv::pointers(record.source, delimiter.byte(), record.index, places)
            }
            _ => json::pointers(record.source, places),
        }
    }
}

/// Collects a view piece by piece.
struct Builder<'a> {
    source: &'a str,
    text: String,
    /// How much of the source was taken.
    taken: usize,
    values: Vec<Value>,
    shifts: Vec<(usize, usize)>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            text: String::new(),
            taken: 0,
            values: Vec::new(),
            shifts: Vec::new(),
        }
    }

    /// Where a place of the source that was not taken yet will be in the view.
    fn place(&self, at: usize) -> usize {
        self.text.len() + (at - self.taken)
    }

    /// Puts one character in place of a range of the source.
    fn replace(&mut self, range: Range<usize>, letter: char) {
        self.text.push_str(&self.source[self.taken..range.start]);
        self.text.push(letter);
        self.taken = range.end;
        self.shifts.push((self.text.len(), self.taken));
    }

    fn finish(mut self) -> View<'a> {
        let text = if self.shifts.is_empty() {
            Cow::Borrowed(self.source)
        } else {
            self.text.push_str(&self.source[self.taken..]);
            Cow::Owned(self.text)
        };
        View {
            text,
            values: Some(self.values),
            shifts: self.shifts,
        }
    }
}

#[cfg(test)]
mod tests;
