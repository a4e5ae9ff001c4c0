//! Content in pieces that are scanned apart, so that no file is held whole and several cores share a large one.
//!
//! Plain text is cut anywhere: a piece has a margin on both sides, wide enough for whatever a finding depends on, and what
//! begins within the margin belongs to the neighbour. Records (lines of NDJSON, rows of CSV) are never cut; a JSON document
//! is one piece. A record that is larger than [`LONGEST_RECORD`] goes on as plain text.

use std::io::{self, Read};
use std::ops::Range;

use codex_redaction::{Delimiter, Format};

/// What a piece answers for.
const REGION: usize = 1 << 20;
/// What is held for a single record.
const LONGEST_RECORD: usize = 64 << 20;
/// Where a NUL makes a file binary.
const HEAD: usize = 8 << 10;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Bytes to be scanned.
#[derive(Debug)]
pub(super) struct Piece {
    /// From 0.
    pub(super) number: usize,
    pub(super) bytes: Vec<u8>,
    /// Which of them are its own.
    pub(super) region: Range<usize>,
    /// The place of the first byte in the content.
    pub(super) at: u64,
    /// Records before it.
    pub(super) row: u64,
    pub(super) format: Format,
    pub(super) last: bool,
}

/// Reads content.
pub(super) struct Pieces {
    input: Box<dyn Read + Send>,
    format: Format,
    margin: usize,
    region: usize,
    /// What was read and is still needed; the first `before` bytes belong to pieces that were given already.
    buffer: Vec<u8>,
    before: usize,
    at: u64,
    row: u64,
    number: usize,
    ended: bool,
    given_last: bool,
}

impl Pieces {
    /// `margin` is how far a finding and what it depends on can reach.
    pub(super) fn new(input: Box<dyn Read + Send>, format: Format, margin: usize) -> Self {
        Self {
            input,
            format,
            margin,
            region: REGION,
            buffer: Vec::new(),
            before: 0,
            at: 0,
            row: 0,
            number: 0,
            ended: false,
            given_last: false,
        }
    }

    /// Whether the content is not text: a NUL near its beginning.
    pub(super) fn is_binary(&mut self) -> io::Result<bool> {
        self.fill(HEAD)?;
        let head = &self.buffer[..self.buffer.len().min(HEAD)];
        Ok(head.contains(&0))
    }

    /// The next piece. Empty content has one, which is empty.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        if self.given_last {
            return Ok(None);
        }
        if self.number == 0 {
            self.skip_mark()?;
        }
        let (end, rows) = match self.format {
            Format::Plain => self.plain()?,
            _ => self.records()?,
        };
        let last = self.ended && end == self.buffer.len();
        let visible = match self.format {
            Format::Plain => self.buffer.len().min(end + self.margin),
            _ => end,
        };
        let piece = Piece {
            number: self.number,
            bytes: self.buffer[..visible].to_vec(),
            region: self.before..end,
            at: self.at,
            row: self.row,
            format: self.format,
            last,
        };
        let kept = match self.format {
            Format::Plain => end.saturating_sub(self.margin),
            _ => end,
        };
        self.buffer.drain(..kept);
        self.before = end - kept;
        self.at += kept as u64;
        self.row += rows;
        self.number += 1;
        self.given_last = last;
        Ok(Some(piece))
    }

    /// A byte order mark is no part of the text.
    fn skip_mark(&mut self) -> io::Result<()> {
        self.fill(BOM.len())?;
        if self.buffer.starts_with(BOM) {
            self.buffer.drain(..BOM.len());
            self.at = BOM.len() as u64;
        }
        Ok(())
    }

    fn plain(&mut self) -> io::Result<(usize, u64)> {
        let end = self.before + self.region;
        self.fill(end + self.margin)?;
        // A short rest is not worth a piece of its own.
        if self.ended && self.buffer.len() <= end + self.margin {
            return Ok((self.buffer.len(), 0));
        }
        Ok((end, 0))
    }

    fn records(&mut self) -> io::Result<(usize, u64)> {
        let mut wanted = self.region;
        loop {
            self.fill(wanted)?;
            let (end, rows) = whole(&self.buffer, self.format);
            if self.ended {
                return Ok((self.buffer.len(), rows));
            }
            if end > 0 {
                return Ok((end, rows));
            }
            if wanted >= LONGEST_RECORD {
                self.format = Format::Plain;
                return self.plain();
            }
            wanted *= 2;
        }
    }

    /// Reads until there are `wanted` bytes, or no more.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while !self.ended && self.buffer.len() < wanted {
            let missing = (wanted - self.buffer.len()) as u64;
            let read = self
                .input
                .by_ref()
                .take(missing)
                .read_to_end(&mut self.buffer)?;
            self.ended = read == 0;
        }
        // To know whether a piece is the last one takes one byte more.
        if !self.ended && self.buffer.len() == wanted {
            let mut next = [0];
            loop {
                match self.input.read(&mut next) {
                    Ok(0) => self.ended = true,
                    Ok(_) => self.buffer.push(next[0]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                }
                break;
            }
        }
        Ok(())
    }
}

/// How many bytes are whole records, and how many records these are.
fn whole(bytes: &[u8], format: Format) -> (usize, u64) {
    match format {
        Format::Plain | Format::Json | Format::JsonStrings => (0, 0),
        Format::Ndjson => match memchr::memrchr(b'\n', bytes) {
            Some(at) => (at + 1, 0),
            None => (0, 0),
        },
        Format::Csv { delimiter } => rows(bytes, delimiter),
    }
}

/// As `codex_redaction` divides rows: a quote counts only where a field begins, and two within one are a quote.
fn rows(bytes: &[u8], delimiter: Delimiter) -> (usize, u64) {
    let delimiter = match delimiter {
        Delimiter::Comma => b',',
        Delimiter::Semicolon => b';',
        Delimiter::Tab => b'\t',
        Delimiter::Bar => b'|',
    };
    let (mut end, mut count) = (0, 0);
    let mut at = 0;
    let mut begins = true;
    while at < bytes.len() {
        match bytes[at] {
            b'"' if begins => {
                let Some(close) = closing(&bytes[at + 1..]) else {
                    return (end, count);
                };
                at += close + 1;
                begins = false;
            }
            b'\r' if at + 1 == bytes.len() => return (end, count),
            b'\r' if bytes[at + 1] == b'\n' => {}
            b'\n' | b'\r' => {
                end = at + 1;
                count += 1;
                begins = true;
            }
            byte => begins = byte == delimiter,
        }
        at += 1;
    }
    (end, count)
}

/// The place of the quote that closes a field.
fn closing(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr(b'"', &bytes[at..])?;
        if bytes.get(at + 1)? != &b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn pieces(text: &[u8], format: Format, region: usize, margin: usize) -> Vec<Piece> {
        let input = Box::new(io::Cursor::new(text.to_vec()));
        let mut pieces = Pieces::new(input, format, margin);
        pieces.region = region;
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    #[test]
    fn regions_follow_each_other_and_margins_show_their_neighbours() {
        let text: Vec<u8> = (0..255).collect();
        for region in [1, 7, 50, 300] {
            for margin in [0, 3, 60] {
                let all = pieces(&text, Format::Plain, region, margin);
                let mut joined: Vec<u8> = Vec::new();
                for (number, piece) in all.iter().enumerate() {
                    let start = piece.at as usize;
                    assert_eq!(piece.number, number);
                    assert_eq!(piece.last, number + 1 == all.len());
                    assert_eq!(piece.bytes, text[start..start + piece.bytes.len()]);
                    joined.extend(&piece.bytes[piece.region.clone()]);
                    let behind = start + piece.bytes.len();
                    let own = start + piece.region.end;
                    assert!(behind == text.len() || behind == own + margin);
                    assert!(start == 0 || piece.region.start == margin);
                }
                assert_eq!(joined, text);
            }
        }
    }

    #[test]
    fn records_are_never_cut() {
        let lines = b"{\"a\": 1}\n{}\n\n{\"long\": \"xxxxxxxxxxxxxxxx\"}\nno end";
        for region in 1..60 {
            let all = pieces(lines, Format::Ndjson, region, 9);
            let joined: Vec<u8> = all.iter().flat_map(|piece| piece.bytes.clone()).collect();
            assert_eq!(joined, lines);
            for piece in &all[..all.len() - 1] {
                assert!(piece.bytes.ends_with(b"\n"), "{piece:?}");
            }
        }
        let csv = b"a,\"b\n\"\"c\"\r\nx\"y,\"\r\"\r2,3\n\"\"\n,\"open\n";
        let format = Format::Csv {
            delimiter: Delimiter::Comma,
        };
        for region in 1..40 {
            let all = pieces(csv, format, region, 9);
            let joined: Vec<u8> = all.iter().flat_map(|piece| piece.bytes.clone()).collect();
            assert_eq!(joined, csv);
            let starts: Vec<(u64, u64)> = all.iter().map(|piece| (piece.at, piece.row)).collect();
            for start in starts {
                assert!(
                    [(0, 0), (11, 1), (19, 2), (23, 3), (26, 4)].contains(&start),
                    "{start:?} with {region}"
                );
            }
        }
    }

    #[test]
    fn empty_content_a_mark_and_a_nul() {
        let empty = pieces(b"", Format::Json, 10, 3);
        assert_eq!((empty.len(), empty[0].last), (1, true));
        let marked = pieces(b"\xef\xbb\xbfab", Format::Plain, 10, 3);
        assert_eq!((marked[0].at, marked[0].bytes.as_slice()), (3, &b"ab"[..]));
        for (bytes, binary) in [(&b"a\0b"[..], true), (b"ab", false), (b"", false)] {
            let input = Box::new(io::Cursor::new(bytes.to_vec()));
            let mut pieces = Pieces::new(input, Format::Plain, 1);
            assert_eq!(pieces.is_binary().unwrap(), binary);
            assert_eq!(pieces.next().unwrap().unwrap().bytes, bytes);
        }
    }
}
