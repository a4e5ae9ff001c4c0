//! Delimited text (RFC 4180): rows and fields by byte range. A quote counts only where a field begins.
//!
//! The crate `csv` gives decoded fields and where a record begins, but not where its fields stand, and replacing
//! fields in place is what keeps everything else as it was.

use std::ops::Range;

use super::{Builder, Part, Value, View};

struct Field {
    /// Without its quotes.
    inside: Range<usize>,
    quoted: bool,
    /// Where the next one begins, behind delimiter or line end.
    next: usize,
    last_of_row: bool,
}

/// The field that begins at `start`; `None` where a quote is never closed.
fn field(text: &str, start: usize, delimiter: u8) -> Option<Field> {
    let bytes = text.as_bytes();
    let quoted = bytes.get(start) == Some(&b'"');
    let mut at = start;
    let mut inside = start..start;
    if quoted {
        at += 1;
        loop {
            match bytes.get(at)? {
                b'"' if bytes.get(at + 1) == Some(&b'"') => at += 2,
                b'"' => break,
                _ => at += 1,
            }
        }
        inside = start + 1..at;
        at += 1;
    }
    // Behind a closing quote comes the delimiter; what else is there is nobody's, but is not lost.
    let rest = bytes[at..].iter();
    let end = at
        + rest
            .take_while(|&&byte| byte != delimiter && byte != b'\n' && byte != b'\r')
            .count();
    let quoted = quoted && end == at;
    if !quoted {
        inside = start..end;
    }
    let (length, last_of_row) = match bytes.get(end) {
        Some(b'\r') if bytes.get(end + 1) == Some(&b'\n') => (2, true),
        Some(byte) if *byte == delimiter => (1, false),
        Some(_) => (1, true),
        None => (0, true),
    };
    Some(Field {
        inside,
        quoted,
        next: end + length,
        last_of_row,
    })
}

/// The lengths of a text's rows with their ends; `None` where the text is malformed.
pub(super) fn rows(text: &str, delimiter: u8) -> Option<Vec<usize>> {
    let mut rows = Vec::new();
    let (mut at, mut row) = (0, 0);
    while at < text.len() {
        let field = field(text, at, delimiter)?;
        at = field.next;
        if field.last_of_row || at == text.len() {
            rows.push(at - row);
            row = at;
        }
    }
    Some(rows)
}

fn fields(row: &str, delimiter: u8) -> impl Iterator<Item = Field> {
    let mut at = Some(0);
    std::iter::from_fn(move || {
        let field = field(row, at?, delimiter)?;
        at = (!field.last_of_row).then_some(field.next);
        Some(field)
    })
}

pub(super) fn view(row: &str, delimiter: u8) -> View<'_> {
    let mut builder = Builder::new(row);
    for field in fields(row, delimiter) {
        let start = builder.place(field.inside.start);
        if field.quoted {
            let inside = &row[field.inside.clone()];
            for (at, _) in inside.match_indices("\"\"") {
                let at = field.inside.start + at;
                builder.replace(at..at + 2, '"');
            }
        }
        builder.values.push(Value {
            part: Part::Field {
                quoted: field.quoted,
            },
            range: start..builder.place(field.inside.end),
        });
    }
    builder.finish()
}

/// `/row/column`, both from 0, as if the file were a list of lists.
pub(super) fn pointers(
    row: &str,
    delimiter: u8,
    index: usize,
    places: &[usize],
) -> Vec<Option<String>> {
    let mut found = Vec::with_capacity(places.len());
    for (column, field) in fields(row, delimiter).enumerate() {
        while places
            .get(found.len())
            .is_some_and(|&at| at < field.inside.end)
        {
            found.push(Some(format!("/{index}/{column}")));
        }
    }
    found.resize(places.len(), None);
    found
}
