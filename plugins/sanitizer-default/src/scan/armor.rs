//! Private keys, however long: blocks between PEM borders (also OpenSSH, OpenPGP), PuTTY's files, and blocks that were
//! encoded as base64 once more.
//!
//! A key may be longer than a finding, and its rest is worth as much as its beginning; so it comes in pieces that cover
//! it ([`super::pieces`]). A text may also begin in the middle of a key, because a stream let go of what came before
//! ([`middle`]).

mod body;
mod middle;

use std::ops::Range;

use codex_plugin_api::Result;
use memchr::memmem;

use super::Found;
use super::keywords::Hit;
use crate::check::decode_base64;
use crate::rules::{Place, Rule};

/// Blocks are read so far; a key of 16,384 bits is 12,700 bytes long, and 17,300 once it is encoded again.
pub(super) const LONGEST: usize = 24 << 10;
/// Between `BEGIN` and the dashes.
const LONGEST_LABEL: usize = 110;
/// Less is a sample that was cut short.
const SHORTEST: usize = 32;

/// The rules that keys are reported under.
#[derive(Debug)]
pub(super) struct Armor {
    block: Option<usize>,
    encoded: Option<usize>,
    putty: Option<usize>,
    /// Only for what a stream may leave of one; its beginning has an expression.
    web_token: Option<usize>,
}

impl Armor {
    /// Nothing when no rule needs it.
    pub(super) fn new(rules: &[Rule]) -> Option<Self> {
        let place = |id: &str, place: Place| {
            rules
                .iter()
                .position(|rule| rule.place == place && rule.id == id && !rule.foreign)
        };
        let armor = Self {
            block: place("private-key", Place::Finder),
            encoded: place("private-key-base64", Place::Finder),
            putty: place("putty-private-key", Place::Finder),
            web_token: place("jwt", Place::Keyword),
        };
        let any = armor.block.or(armor.encoded).or(armor.putty);
        any.or(armor.web_token).map(|_| armor)
    }

    /// Reports keys that begin around the keywords of one of their rules; nothing happens for another rule.
    pub(super) fn search(&self, found: &mut Found<'_>, rule: usize, hits: &[Hit]) -> Result<()> {
        let read = match Some(rule) {
            rule if rule == self.block => block,
            rule if rule == self.encoded => encoded,
            rule if rule == self.putty => putty,
            _ => return Ok(()),
        };
        let text = found.bytes();
        let confidence = found.rule(rule).confidence;
        let mut done = 0;
        for hit in hits {
            if hit.start >= done
                && let Some(range) = read(text, *hit)
            {
                done = range.end;
                found.push(rule, range.clone(), range, confidence)?;
            }
        }
        Ok(())
    }

    /// Reports the key that the text begins within.
    pub(super) fn beginning(&self, found: &mut Found<'_>) {
        use middle::Kind;
        let Some((kind, range)) = middle::find(found.bytes()) else {
            return;
        };
        let rule = match kind {
            Kind::Block => self.block,
            Kind::Encoded => self.encoded,
            Kind::Putty => self.putty,
            Kind::WebToken => self.web_token,
        };
        // A part passes no check that the whole would.
        if let Some(rule) = rule.filter(|&rule| !found.rule(rule).silent) {
            let confidence = found.rule(rule).confidence;
            found.pieces(rule, range, confidence);
        }
    }
}

/// The block whose first border has the keyword.
fn block(text: &[u8], hit: Hit) -> Option<Range<usize>> {
    let before = hit.start.saturating_sub(LONGEST_LABEL);
    let place = before + memmem::rfind(&text[before..hit.start], b"BEGIN")?;
    let lead = text[..place].strip_suffix(b" ").unwrap_or(&text[..place]);
    let dashes = lead
        .iter()
        .rev()
        .take(5)
        .take_while(|&&byte| byte == b'-')
        .count();
    let label_start = place + b"BEGIN".len();
    let label = &text[label_start..(label_start + LONGEST_LABEL + 5).min(text.len())];
    let length = memmem::find(label, b"----")?;
    if dashes < 4 || !is_private(&label[..length]) {
        return None;
    }
    let behind = label[length..]
        .iter()
        .take(5)
        .take_while(|&&byte| byte == b'-')
        .count();
    let start = lead.len() - dashes;
    let body = body::read(text, label_start + length + behind, start + LONGEST);
    (body.data >= SHORTEST).then_some(start..body.end)
}

/// Whether a border's label names a private key: `RSA PRIVATE KEY`, `PGP SECRET KEY BLOCK`.
fn is_private(label: &[u8]) -> bool {
    let plain =
        |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" _-".contains(byte);
    let end = label.trim_ascii_end();
    let end = end.strip_suffix(b" BLOCK").unwrap_or(end);
    (end.ends_with(b"PRIVATE KEY") || end.ends_with(b"SECRET KEY")) && label.iter().all(plain)
}

/// The base64 that begins with the keyword, where its text is a block with a private key.
fn encoded(text: &[u8], hit: Hit) -> Option<Range<usize>> {
    let place = hit.start;
    let before = place.checked_sub(1).map(|before| text[before]);
    let rest = &text[place..(place + LONGEST).min(text.len())];
    let rows = rows(rest);
    let head: Vec<u8> = rows.data.iter().copied().take(160).collect();
    let plain = decode_base64(&head[..head.len() / 4 * 4])?;
    let label = plain.strip_prefix(b"-----BEGIN")?;
    let close = memmem::find(label, b"----")?;
    (is_private(&label[..close])
        && rows.data.len() >= 2 * SHORTEST
        && !before.is_some_and(body::is_base64_letter))
    .then_some(place..place + rows.end)
}

/// The lines behind `Private-Lines:`.
fn putty(text: &[u8], hit: Hit) -> Option<Range<usize>> {
    let number = hit.end;
    let line = &text[number..(number + 8).min(text.len())];
    let digits = line.trim_ascii_start();
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let skipped = line.len() - digits.len()
        + digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
    let start = body::behind_gap(text, number + skipped);
    let body = body::read(text, start, start + LONGEST);
    (body.data >= SHORTEST).then_some(start..body.end)
}

/// Rows of base64 as tools break them.
#[derive(Debug, Default)]
struct Rows {
    /// Behind the last.
    end: usize,
    /// Without the breaks.
    data: Vec<u8>,
    /// Of all rows but the first and the last, where there are such.
    width: Option<usize>,
}

/// Reads rows from the beginning of `text`, or from behind a break that it begins within: all but the first and the
/// last are equally long, and one break is as the other.
fn rows(text: &[u8]) -> Rows {
    let mut rows = Rows::default();
    let mut first_gap: Option<&[u8]> = None;
    let start = body::behind_gap(text, 0);
    let mut at = start;
    loop {
        let length = body::row(text, at);
        let end = at + length;
        let fits = match rows.width {
            Some(width) if length < width => is_last(text, end),
            Some(width) => length == width,
            None => at == start || length >= body::SHORTEST_ROW,
        };
        if length == 0 || !fits {
            return rows;
        }
        rows.data.extend_from_slice(&text[at..end]);
        rows.end = end;
        let next = body::behind_gap(text, end);
        let gap = &text[end..next];
        let breaks = gap.contains(&b'\n') || memmem::find(gap, b"\\n").is_some();
        let same = first_gap.is_none_or(|first| first == gap);
        let shorter = rows.width.is_some_and(|width| length < width);
        if !breaks || !same || shorter {
            return rows;
        }
        first_gap = Some(gap);
        if at != start {
            rows.width = Some(length);
        }
        at = next;
    }
}

/// Whether a row that is shorter than the others ends at `end`, and not a word of what comes behind them.
fn is_last(text: &[u8], end: usize) -> bool {
    let rest = &text[end..];
    rest.first().is_none_or(|byte| b"\r\n\\\"'<".contains(byte)) || rest.starts_with(b"-----")
}
