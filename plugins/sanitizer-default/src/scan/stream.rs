//! Text of any size, in pieces of any size, with bounded memory.
//!
//! The text is scanned in blocks that begin at fixed places, each with so much of what is before and behind it as a
//! finding can depend on ([`Engine::reach`]). Where a block begins and what it sees follows from the text alone, so the
//! findings are the same for any pieces, and those of the whole text.

use codex_plugin_api::Result;

use super::{Engine, Span};

/// Bytes of a block: far more than what every block scans twice.
const BLOCK: usize = 512 << 10;

/// A scan of a text that comes in pieces.
#[derive(Debug)]
pub struct Stream<'a> {
    engine: &'a Engine,
    path: Option<&'a str>,
    /// What was given and may still be needed.
    buffer: String,
    /// Where in the text the buffer begins.
    origin: usize,
    /// Where in the text the next block begins.
    next: usize,
    block: usize,
}

impl<'a> Stream<'a> {
    /// The scan of one text; `path` is where it is from.
    pub fn new(engine: &'a Engine, path: Option<&'a str>) -> Self {
        Self::with_block(engine, path, BLOCK)
    }

    /// A scan in blocks of another size, at least one byte.
    pub fn with_block(engine: &'a Engine, path: Option<&'a str>, block: usize) -> Self {
        Self {
            engine,
            path,
            buffer: String::new(),
            origin: 0,
            next: 0,
            block: block.max(1),
        }
    }

    /// Takes the next piece; findings that nothing to come can change are added to `found`, their places counted from
    /// the beginning of the text.
    ///
    /// # Errors
    /// As [`Engine::scan`].
    pub fn push(&mut self, piece: &str, found: &mut Vec<Span>) -> Result<()> {
        let mut rest = piece;
        // A piece may be larger than a block: it is not copied at once.
        while !rest.is_empty() {
            let mut length = rest.len().min(self.block);
            while !rest.is_char_boundary(length) {
                length += 1;
            }
            self.buffer.push_str(&rest[..length]);
            rest = &rest[length..];
            while self.given() >= self.next + self.block + self.engine.reach() {
                self.scan_block(found)?;
            }
        }
        Ok(())
    }

    /// Ends the text; the last findings are added to `found`.
    ///
    /// # Errors
    /// As [`Engine::scan`].
    pub fn finish(mut self, found: &mut Vec<Span>) -> Result<()> {
        // A text without bytes has a path to be judged by.
        while self.next == 0 || self.next < self.given() {
            self.scan_block(found)?;
        }
        Ok(())
    }

    /// How much of the text was given.
    fn given(&self) -> usize {
        self.origin + self.buffer.len()
    }

    /// Scans the next block, and lets go of what no later one sees.
    fn scan_block(&mut self, found: &mut Vec<Span>) -> Result<()> {
        let reach = self.engine.reach();
        let start = self.border(self.next.saturating_sub(reach));
        let end = self.border(self.given().min(self.next + self.block + reach));
        let (first, after) = (self.next, self.next + self.block);
        let text = &self.buffer[start - self.origin..end - self.origin];
        // What is before a later block is seen as far as it matters.
        let spans = self.engine.scan_part(text, self.path, start == 0)?;
        found.extend(
            spans
                .into_iter()
                .map(|span| Span {
                    start: span.start + start,
                    end: span.end + start,
                    ..span
                })
                .filter(|span| (first..after).contains(&span.start)),
        );
        self.next = after;
        let keep = self.border(self.given().min(after.saturating_sub(reach)));
        self.buffer.drain(..keep - self.origin);
        self.origin = keep;
        Ok(())
    }

    /// The beginning of the character at a place of the text.
    fn border(&self, place: usize) -> usize {
        let place = place.max(self.origin) - self.origin;
        self.origin + self.buffer.floor_char_boundary(place)
    }
}
