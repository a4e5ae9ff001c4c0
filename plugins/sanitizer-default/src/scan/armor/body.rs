//! The lines between the borders of an armoured block, as files, source code and configurations have them.

use std::ops::Range;

/// Shorter rows of base64 are words, but for the last of a block.
pub(super) const SHORTEST_ROW: usize = 16;
/// What may stand between two rows: a line's end, quotation marks, an operator, indentation.
const LONGEST_GAP: usize = 64;
const LONGEST_HEADER: usize = 120;

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Body {
    /// Behind its last byte, or behind the border that closes the block.
    pub(super) end: usize,
    /// How many bytes of base64 it has.
    pub(super) data: usize,
}

pub(super) fn is_base64(byte: u8) -> bool {
    is_base64_letter(byte) || byte == b'='
}

/// Whether a row may go on with it: the equals sign only ends one.
pub(super) fn is_base64_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/".contains(&byte)
}

/// Reads rows of base64 from `start` on, at most to `limit`.
pub(super) fn read(text: &[u8], start: usize, limit: usize) -> Body {
    let text = &text[..limit.min(text.len())];
    let mut body = Body {
        end: start,
        data: 0,
    };
    let mut at = start;
    loop {
        at = behind_gap(text, at);
        if let Some(border) = end_border(text, at) {
            body.end = border.end;
            return body;
        }
        let row = row(text, at);
        let next = behind_gap(text, at + row);
        let closes = body.data > 0
            && row > 0
            && (next == text.len() || text[at] == b'=' || end_border(text, next).is_some());
        if row >= SHORTEST_ROW || closes {
            body.data += row;
            at += row;
            body.end = at;
        } else if body.data == 0
            && let Some(end) = header(text, at)
        {
            at = end;
        } else {
            return body;
        }
    }
}

/// How many bytes of base64 begin at `at`.
pub(super) fn row(text: &[u8], at: usize) -> usize {
    text[at..]
        .iter()
        .take_while(|&&byte| is_base64(byte))
        .count()
}

/// Passes over what stands between rows, also where the text is a literal of a programming language: `\n" +`.
pub(super) fn behind_gap(text: &[u8], start: usize) -> usize {
    let end = (start + LONGEST_GAP).min(text.len());
    let mut at = start;
    while at < end {
        at += match text[at] {
            b'\\' => match text.get(at + 1) {
                Some(b'n' | b'r' | b't') => 2,
                _ => 1,
            },
            byte if byte.is_ascii_whitespace() || b"\"'`,#*>|.;".contains(&byte) => 1,
            // An operator or a comment, not a row.
            b'+' | b'/' if row(text, at) <= 2 && at > start => row(text, at),
            _ => break,
        };
    }
    at.min(text.len())
}

/// A line such as `Proc-Type: 4,ENCRYPTED` before the first row; where it ends.
fn header(text: &[u8], at: usize) -> Option<usize> {
    let line = &text[at..(at + LONGEST_HEADER).min(text.len())];
    let name = line
        .iter()
        .take_while(|&&byte| byte.is_ascii_alphabetic() || byte == b'-')
        .count();
    if name < 3 || !line[name..].starts_with(b": ") {
        return None;
    }
    let length = line
        .iter()
        .position(|&byte| byte == b'\n' || byte == b'\\' || !byte.is_ascii())?;
    line[length].is_ascii().then_some(at + length)
}

/// The border that ends a block, if it begins at `at`.
pub(super) fn end_border(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    if !rest.starts_with(b"-----END") && !rest.starts_with(b"---- END") {
        return None;
    }
    let word = 8;
    let label = &rest[word..rest.len().min(word + super::LONGEST_LABEL + 5)];
    let close = memchr::memmem::find(label, b"----")?;
    let dashes = rest[word + close..]
        .iter()
        .take(5)
        .take_while(|&&byte| byte == b'-')
        .count();
    Some(at..at + word + close + dashes)
}
