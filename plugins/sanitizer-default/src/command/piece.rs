//! One piece scanned, and pieces put together again: places count from the beginning of the content.

use std::ops::Range;

use codex_plugin_api::{Result, Stage, TextBuffer};
use codex_redaction::{Action, Format, ReportedFinding, Sanitizers};

use super::reader::Piece;

/// Stands for each byte that is not UTF-8: one byte for one, so that places stay, no letter, and allowed in JSON.
const UNREADABLE: u8 = 0x7f;

/// A range of the content's bytes, and what takes its place.
pub(super) type Splice = (Range<u64>, String);

/// How far a piece leads: lines, and characters behind the last line's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Extent {
    lines: u64,
    columns: u64,
}

impl Extent {
    fn of(text: &str) -> Self {
        let lines = text.bytes().filter(|&byte| byte == b'\n').count() as u64;
        let line = text.rfind('\n').map_or(text, |at| &text[at + 1..]);
        Self {
            lines,
            columns: line.chars().count() as u64,
        }
    }

    fn then(self, next: Self) -> Self {
        Self {
            lines: self.lines + next.lines,
            columns: if next.lines == 0 {
                self.columns + next.columns
            } else {
                next.columns
            },
        }
    }

    /// Where something is that is `next` behind this; line and column from 1.
    fn place(self, next: Self) -> (u64, u64) {
        let all = self.then(next);
        (all.lines + 1, all.columns + 1)
    }
}

/// What was found in a piece, or in all of a file.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) findings: Vec<ReportedFinding>,
    pub(super) edits: Vec<Splice>,
    /// What its reader should know, once for all records of a kind.
    pub(super) notes: Vec<String>,
    /// Records that are not what the format says.
    pub(super) misread: u64,
    /// Bytes that are not UTF-8.
    pub(super) unreadable: u64,
    /// Nothing of the file passes.
    pub(super) dropped: bool,
    extent: Extent,
}

/// Scans a piece; lines and columns of its findings count from the piece's own beginning.
pub(super) fn scan(
    piece: Piece,
    sanitizers: &Sanitizers,
    stage: Stage,
    path: &str,
) -> Result<Scanned> {
    let region = piece.region;
    let (text, unreadable) = readable(piece.bytes, &region);
    let (start, end) = (border(&text, region.start), border(&text, region.end));
    let texts: TextBuffer = [&text].into_iter().collect();
    let cleaned = sanitizers.inspect(texts.as_texts(), piece.format, stage, Some(path))?;
    let Some(cleaned) = cleaned.into_iter().next() else {
        return Ok(Scanned::default());
    };
    let before = Extent::of(&text[..start]);
    let relative = |line: u64, column: u64| {
        let lines = line - 1 - before.lines;
        let columns = column - 1;
        if lines == 0 {
            (0, columns - before.columns)
        } else {
            (lines, columns)
        }
    };
    let own = |at: usize| start <= at && at < end;
    let findings: Vec<ReportedFinding> = cleaned
        .findings
        .into_iter()
        .filter(|found| own(found.byte_start as usize))
        .map(|mut found| {
            (found.line, found.column) = relative(found.line, found.column);
            (found.end_line, found.end_column) = relative(found.end_line, found.end_column);
            found.byte_start += piece.at;
            found.byte_end += piece.at;
            found.pointer = found.pointer.map(|at| moved(at, piece.row, piece.format));
            found
        })
        .collect();
    let edits = cleaned.edits.into_iter();
    // Of plain text the record is the file, not what this piece shows of it.
    let whole = !matches!(piece.format, Format::Ndjson | Format::Csv { .. });
    Ok(Scanned {
        dropped: whole && findings.iter().any(|found| found.action == Action::Drop),
        edits: edits
            .filter(|edit| own(edit.range.start))
            .map(|edit| {
                let range = edit.range.start as u64 + piece.at..edit.range.end as u64 + piece.at;
                (range, edit.replacement)
            })
            .collect(),
        misread: cleaned.notes.len() as u64,
        notes: Vec::new(),
        unreadable,
        extent: Extent::of(&text[start..end]),
        findings,
    })
}

/// The pieces of a file as one, in their order.
pub(super) fn join(pieces: impl IntoIterator<Item = Scanned>) -> Scanned {
    let mut all = Scanned::default();
    for piece in pieces {
        for mut found in piece.findings {
            let here = all.extent;
            let place = |lines, columns| here.place(Extent { lines, columns });
            (found.line, found.column) = place(found.line, found.column);
            (found.end_line, found.end_column) = place(found.end_line, found.end_column);
            all.findings.push(found);
        }
        for (mut range, text) in piece.edits {
            // Two pieces may disagree about where a finding that crosses their border begins: nothing is taken twice.
            let taken = all.edits.last().map_or(0, |(last, _)| last.end);
            range.start = range.start.max(taken);
            range.end = range.end.max(range.start);
            all.edits.push((range, text));
        }
        all.notes.extend(piece.notes);
        all.misread += piece.misread;
        all.unreadable += piece.unreadable;
        all.dropped |= piece.dropped;
        all.extent = all.extent.then(piece.extent);
    }
    all
}

/// Bytes as text of the same length, and how many of those in `region` are not UTF-8.
fn readable(bytes: Vec<u8>, region: &Range<usize>) -> (String, u64) {
    let mut bytes = match String::from_utf8(bytes) {
        Ok(text) => return (text, 0),
        Err(error) => error.into_bytes(),
    };
    let (mut at, mut count) = (0, 0);
    while let Err(error) = std::str::from_utf8(&bytes[at..]) {
        let start = at + error.valid_up_to();
        let end = error.error_len().map_or(bytes.len(), |len| start + len);
        bytes[start..end].fill(UNREADABLE);
        count += (start..end).filter(|at| region.contains(at)).count() as u64;
        at = end;
    }
    (String::from_utf8(bytes).unwrap_or_default(), count)
}

/// The first place at or behind `at` that does not split a character: the character is the region's in which it begins.
fn border(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len())
}

/// `/row/column` with the rows of the pieces before.
fn moved(pointer: String, row: u64, format: Format) -> String {
    if row == 0 || !matches!(format, Format::Csv { .. }) {
        return pointer;
    }
    let mut parts = pointer.splitn(3, '/').skip(1);
    match (
        parts.next().and_then(|own| own.parse::<u64>().ok()),
        parts.next(),
    ) {
        (Some(own), Some(column)) => format!("/{}/{column}", own + row),
        _ => pointer,
    }
}
