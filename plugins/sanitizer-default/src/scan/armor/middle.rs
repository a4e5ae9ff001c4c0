//! Texts that begin within a key, because a stream let go of its beginning.
//!
//! How the block ends says what it is, so certificates and messages are left alone. Where the end is not in the text
//! either, rows as wide as those of PEM and OpenSSH are taken for a key: only a text that is nothing else, or a block
//! that is longer than all that a stream holds back, comes to that.

use std::ops::Range;

use memchr::memmem;

use super::{Rows, body, is_private, rows};
use crate::check::decode_base64;

/// A text that begins with fewer bytes of base64 is no part of a long key.
const SHORTEST: usize = 200;
/// Rows of PEM and OpenPGP, and of OpenSSH.
const WIDTHS: [usize; 2] = [64, 70];
/// What is left of a border and of headers before the first row.
const LONGEST_HEAD: usize = 240;
/// The last part of a JSON web token: of 160 bits at least.
const SHORTEST_SIGNATURE: usize = 27;

/// What a text begins within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Block,
    Encoded,
    Putty,
    WebToken,
}

/// What the text begins within, and its part of that.
pub(super) fn find(text: &[u8]) -> Option<(Kind, Range<usize>)> {
    let text = &text[..text.len().min(super::LONGEST)];
    if let Some(end) = web_token(text) {
        return Some((Kind::WebToken, 0..end));
    }
    let mut start = 0;
    loop {
        if let Some((kind, range)) = rows_of(&text[start..]) {
            return Some((kind, start + range.start..start + range.end));
        }
        // What is left of the first border, and headers, may stand before the rows.
        let line = text.get(start..text.len().min(LONGEST_HEAD))?;
        let length = line.iter().position(|byte| b"\n\\".contains(byte))?;
        if is_other_border(&line[..length]) {
            return None;
        }
        start = body::behind_gap(text, start + length);
    }
}

/// Whether a line is what is left of a border that begins something else than a private key.
fn is_other_border(line: &[u8]) -> bool {
    let Some(words) = line.trim_ascii_end().strip_suffix(b"----") else {
        return false;
    };
    let label = words.strip_suffix(b"-").unwrap_or(words).trim_ascii();
    let keys: [&[u8]; 4] = [
        b"PRIVATE KEY",
        b"SECRET KEY",
        b"PRIVATE KEY BLOCK",
        b"SECRET KEY BLOCK",
    ];
    !keys
        .iter()
        .any(|key| label.ends_with(key) || key.ends_with(label))
}

/// What rows of base64 at the beginning of a text belong to.
fn rows_of(text: &[u8]) -> Option<(Kind, Range<usize>)> {
    let rows = rows(text);
    if rows.data.len() < SHORTEST {
        return None;
    }
    if let Some(plain) = encoded(&rows) {
        let border = memmem::find(&plain, b"-----END").and_then(|place| label(&plain, place));
        let is_cut = body::behind_gap(text, rows.end) == text.len();
        let is_key = border.map_or(is_cut, is_private);
        return is_key.then_some((Kind::Encoded, 0..rows.end));
    }
    let next = body::behind_gap(text, rows.end);
    // The checksum of OpenPGP stands on a row of its own.
    let checksum = body::row(text, next);
    let next = if checksum <= 5 {
        body::behind_gap(text, next + checksum)
    } else {
        next
    };
    let rest = &text[next..];
    if let Some(border) = body::end_border(text, next) {
        let is_key = label(text, next).is_some_and(is_private);
        return is_key.then_some((Kind::Block, 0..border.end));
    }
    if rest.starts_with(b"Private-MAC") || rest.starts_with(b"Key-Derivation") {
        return Some((Kind::Putty, 0..rows.end));
    }
    let endless = rows.width.is_some_and(|width| WIDTHS.contains(&width));
    (endless && is_cut(rest)).then_some((Kind::Block, 0..rows.end))
}

/// Whether the text ends before it says what the block is: nothing is left of it, or the beginning of a border.
fn is_cut(rest: &[u8]) -> bool {
    [&b"-----END"[..], b"Private-MAC", b"Key-Derivation"]
        .iter()
        .any(|border| rest.starts_with(&border[..rest.len().min(border.len())]))
        && rest.len() < super::LONGEST_LABEL
}

/// The label of the border at `place`.
fn label(text: &[u8], place: usize) -> Option<&[u8]> {
    let border = body::end_border(text, place)?;
    let label = text[border].get(8..)?;
    Some(
        label
            .trim_ascii_start()
            .strip_suffix(b"-----")
            .unwrap_or(label),
    )
    .map(|label| label.strip_suffix(b"----").unwrap_or(label))
}

/// The text that the rows encode, where it is itself rows of base64, or the last of one and a border.
fn encoded(rows: &Rows) -> Option<Vec<u8>> {
    (0..4).find_map(|offset| {
        let data = &rows.data[offset..];
        let plain = decode_base64(&data[..data.len() / 4 * 4])?;
        let is_rows = plain
            .iter()
            .take(SHORTEST / 2)
            .all(|&byte| body::is_base64(byte) || b"\r\n- ".contains(&byte));
        let mut breaks = memchr::memchr_iter(b'\n', &plain);
        let (first, second) = (breaks.next()?, breaks.next()?);
        // With the break itself, which may be of two bytes.
        let regular = WIDTHS
            .iter()
            .any(|width| (width + 1..=width + 2).contains(&(second - first)));
        let ends = memmem::find(&plain, b"-----END").is_some_and(|place| place <= second + 1);
        (is_rows && (regular || ends)).then_some(plain)
    })
}

/// What is left of a token: part of its payload, a point, its signature.
fn web_token(text: &[u8]) -> Option<usize> {
    let part = |start: usize| {
        text[start..]
            .iter()
            .take_while(|&&byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            .count()
    };
    let payload = part(0);
    if payload < SHORTEST || text.get(payload) != Some(&b'.') {
        return None;
    }
    let signature = part(payload + 1);
    (signature >= SHORTEST_SIGNATURE).then_some(payload + 1 + signature)
}
