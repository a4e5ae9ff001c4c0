//! CSV and its relatives: RFC 4180 with any one-byte delimiter and line feeds, carriage returns or both as line ends.

use codex_plugin_api::{Error, Result};
use csv::StringRecord;

use crate::index::{Broken, Rows, Scanner};
use crate::kind::{Builder, Cell, Kind, Schema};

/// The delimiter of the configuration, or the likeliest one of the first line.
///
/// # Errors
/// Config: not a single ASCII character.
pub fn delimiter(configured: Option<&str>, tabs: bool, head: &str) -> Result<u8> {
    match configured.map(str::as_bytes) {
        Some(b"\\t" | b"tab") => Ok(b'\t'),
        Some(&[byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(byte),
        Some(_) => Err(Error::config(format!(
            "delimiter {:?} is not one ASCII character",
            configured.unwrap_or("")
        ))
        .hint("use a character such as \",\" or \";\", or \"\\t\" for tabs")),
        None if tabs => Ok(b'\t'),
        None => {
            let mut quoted = false;
            let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
            for byte in head.trim_start().bytes() {
                match byte {
                    b'"' => quoted = !quoted,
                    b'\n' | b'\r' if !quoted => break,
                    byte if !quoted => {
                        counts
                            .iter_mut()
                            .filter(|(candidate, _)| *candidate == byte)
                            .for_each(|(_, count)| *count += 1);
                    }
                    _ => {}
                }
            }
            // The first of equals wins, so a file of one column has a comma.
            let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
            Ok(counts
                .iter()
                .find(|(_, count)| *count == most)
                .map_or(b',', |(byte, _)| *byte))
        }
    }
}

/// Learns the columns from some rows. The first row of all is the header; it only names them.
///
/// # Errors
/// Data: a ragged row, a repeated name.
pub fn inspect(rows: &Rows<'_>, delimiter: u8, schema: &mut Schema) -> Result<()> {
    records(rows, delimiter, |row, record| {
        if row == 0 {
            return header(rows, record, schema);
        }
        check_length(rows, row, record, schema.columns.len())?;
        for (value, (_, kind)) in record.iter().zip(&mut schema.columns) {
            if *kind != Kind::Text {
                *kind = kind.join(cell(value).1);
            }
        }
        Ok(())
    })
}

/// Fills columns from some rows: column *i* of the file goes to `columns[places[i]]`.
///
/// # Errors
/// Data: a ragged row.
pub fn fill(
    rows: &Rows<'_>,
    delimiter: u8,
    places: &[Option<usize>],
    columns: &mut [Builder],
) -> Result<()> {
    records(rows, delimiter, |row, record| {
        check_length(rows, row, record, places.len())?;
        for (value, place) in record.iter().zip(places) {
            let Some(place) = place else { continue };
            let column = &mut columns[*place];
            // In a column of text an empty value is an empty text; in the others it is none.
            if !column.is_text() && !column.push(&cell(value).0) {
                return Err(rows.wrong(
                    row,
                    0,
                    "a value of another type than when the file was opened",
                ));
            } else if column.is_text() {
                column.push(&Cell::Text(value));
            }
        }
        Ok(())
    })
}

fn records(
    rows: &Rows<'_>,
    delimiter: u8,
    mut take: impl FnMut(u64, &StringRecord) -> Result<()>,
) -> Result<()> {
    let text = rows.text();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut row = rows.first;
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => take(row, &record)?,
            Ok(false) => return Ok(()),
            Err(error) => return Err(rows.wrong(row, 0, &error.to_string())),
        }
        row += 1;
    }
}

fn header(rows: &Rows<'_>, record: &StringRecord, schema: &mut Schema) -> Result<()> {
    for (place, name) in record.iter().enumerate() {
        let name = match name.trim() {
            "" => format!("column_{}", place + 1),
            name => name.to_owned(),
        };
        if schema.columns.iter().any(|(other, _)| *other == name) {
            return Err(rows
                .wrong(0, 0, &format!("the header names column {name:?} twice"))
                .hint("the first line must hold the column names"));
        }
        schema.columns.push((name, Kind::Null));
    }
    Ok(())
}

fn check_length(rows: &Rows<'_>, row: u64, record: &StringRecord, expected: usize) -> Result<()> {
    if record.len() == expected {
        return Ok(());
    }
    let what = format!(
        "{} values where the header has {expected} columns",
        record.len()
    );
    Err(rows.wrong(row, 0, &what).hint(
        "mend the line; if its values hold the delimiter, they need quotes; see data.delimiter",
    ))
}

/// A value and its kind, by its look.
fn cell(value: &str) -> (Cell<'_>, Kind) {
    let trimmed = value.trim();
    let bytes = trimmed.as_bytes();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    match bytes {
        [] => return (Cell::Null, Kind::Null),
        [b't' | b'T', ..] if trimmed.eq_ignore_ascii_case("true") => {
            return (Cell::Bool(true), Kind::Bool);
        }
        [b'f' | b'F', ..] if trimmed.eq_ignore_ascii_case("false") => {
            return (Cell::Bool(false), Kind::Bool);
        }
        // "007" is a name, not a number.
        [b'0'..=b'9' | b'+' | b'-' | b'.', ..] if !is_padded(digits) => {
            if let Ok(value) = trimmed.parse() {
                return (Cell::I64(value), Kind::I64);
            }
            let plain = digits
                .bytes()
                .any(|byte| matches!(byte, b'.' | b'e' | b'E'))
                && digits.starts_with(|c: char| c == '.' || c.is_ascii_digit());
            if plain
                && let Ok(value) = trimmed.parse::<f64>()
                && value.is_finite()
            {
                return (Cell::F64(value), Kind::F64);
            }
        }
        _ => {}
    }
    (Cell::Text(value), Kind::Text)
}

fn is_padded(digits: &str) -> bool {
    matches!(digits.as_bytes(), [b'0', b'0'..=b'9', ..])
}

/// Finds records. It must see line ends and quotes as the `csv` crate does, for that splits the records into values.
#[derive(Debug)]
pub struct RecordScanner {
    delimiter: u8,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    FieldStart,
    Bare,
    Quoted,
    /// Behind a quote within quotes: the end of the field, or the first of two.
    Quote,
}

impl RecordScanner {
    /// A scanner at the start of a file.
    pub fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            state: State::RecordStart,
        }
    }
}

impl Scanner for RecordScanner {
    fn scan(
        &mut self,
        view: &[u8],
        base: u64,
        seen: u64,
        last: bool,
        starts: &mut Vec<u64>,
    ) -> Result<u64, Broken> {
        let mut place = (seen - base) as usize;
        while place < view.len() {
            match self.state {
                State::Bare => {
                    match memchr::memchr3(self.delimiter, b'\n', b'\r', &view[place..]) {
                        Some(skip) => place += skip,
                        None => break,
                    }
                }
                State::Quoted => match memchr::memchr(b'"', &view[place..]) {
                    Some(skip) => place += skip,
                    None => break,
                },
                _ => {}
            }
            let byte = view[place];
            let ends = matches!(byte, b'\n' | b'\r');
            if self.state == State::RecordStart && !ends {
                starts.push(base + place as u64);
                self.state = State::FieldStart;
            }
            self.state = match (self.state, byte) {
                (State::Quoted, _) => State::Quote,
                (State::FieldStart | State::Quote, b'"') => State::Quoted,
                _ if ends => State::RecordStart,
                _ if byte == self.delimiter => State::FieldStart,
                _ => State::Bare,
            };
            place += 1;
        }
        if last && self.state == State::Quoted {
            let at = starts.last().copied().unwrap_or(0);
            return Err(Broken {
                at,
                what: "a quote opens in this row and never closes".into(),
            });
        }
        Ok(base + view.len() as u64)
    }
}
