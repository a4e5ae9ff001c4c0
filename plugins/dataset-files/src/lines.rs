//! Rows of plain text: paragraphs, lines or whole files. Also the lines of JSON lines.

use crate::charset::is_inside;
use crate::index::{Broken, Scanner};

/// The longest piece of plain text in bytes (UTF-16: code units).
pub const LIMIT: usize = 8 * 1024;

/// Finds paragraphs or lines.
#[derive(Debug)]
pub struct LineScanner {
    /// Whether lines up to a blank one belong together.
    pub paragraphs: bool,
    /// Whether rows over [`LIMIT`] are cut.
    pub cut: bool,
    /// Whether a cut may fall between any two characters ([`Charset::cuts_anywhere`](crate::charset::Charset)).
    pub cut_anywhere: bool,
    /// Where the current line starts.
    line: u64,
    /// Where the current row (after cuts: its current piece) starts.
    row: Option<u64>,
    /// Whether the current line was found not to be blank.
    filled: bool,
}

impl LineScanner {
    /// A scanner at the start of a file.
    pub fn new(paragraphs: bool, cut: bool, cut_anywhere: bool) -> Self {
        Self {
            paragraphs,
            cut,
            cut_anywhere,
            line: 0,
            row: None,
            filled: false,
        }
    }

    /// Cuts the row until it is short enough up to `end`.
    fn cut(&mut self, view: &[u8], base: u64, end: u64, starts: &mut Vec<u64>) {
        while self.cut
            && let Some(row) = self.row
            && end - row > LIMIT as u64
        {
            let at = |unit: u64| (unit - base) as usize;
            let window = &view[at(row)..at(row) + LIMIT];
            let next = if self.line > row {
                self.line
            } else if let Some(space) = memchr::memrchr2(b' ', b'\t', &window[1..]) {
                row + space as u64 + 2
            } else if self.cut_anywhere {
                let back = (0..4)
                    .find(|back| !is_inside(view[at(row) + LIMIT - back]))
                    .unwrap_or(0);
                row + (LIMIT - back) as u64
            } else if let Some(space) =
                memchr::memchr2(b' ', b'\t', &view[at(row) + LIMIT..at(end)])
            {
                row + (LIMIT + space) as u64 + 1
            } else {
                return;
            };
            starts.push(next);
            self.row = Some(next);
        }
    }
}

impl Scanner for LineScanner {
    fn scan(
        &mut self,
        view: &[u8],
        base: u64,
        seen: u64,
        last: bool,
        starts: &mut Vec<u64>,
    ) -> Result<u64, Broken> {
        let view_end = base + view.len() as u64;
        let mut from = seen;
        loop {
            let feed = memchr::memchr(b'\n', &view[(from - base) as usize..])
                .map(|place| from + place as u64);
            let end = feed.unwrap_or(view_end);
            if !self.filled {
                let line = &view[(from.max(self.line) - base) as usize..(end - base) as usize];
                self.filled = line.iter().any(|byte| !byte.is_ascii_whitespace());
                if self.filled && (!self.paragraphs || self.row.is_none()) {
                    starts.push(self.line);
                    self.row = Some(self.line);
                }
            }
            if self.filled {
                self.cut(view, base, end, starts);
            }
            match feed {
                Some(feed) => {
                    if !self.filled {
                        self.row = None;
                    }
                    self.filled = false;
                    self.line = feed + 1;
                    from = feed + 1;
                }
                None if last => return Ok(view_end),
                // A blank line so far starts no row, but may turn out to be the start of one.
                None => return Ok(self.line.min(self.row.unwrap_or(self.line))),
            }
        }
    }
}

/// The whole file as one row, if there is anything in it.
#[derive(Debug, Default)]
pub struct WholeScanner {
    found: bool,
}

impl Scanner for WholeScanner {
    fn scan(
        &mut self,
        view: &[u8],
        base: u64,
        _: u64,
        _: bool,
        starts: &mut Vec<u64>,
    ) -> Result<u64, Broken> {
        if !self.found && view.iter().any(|byte| !byte.is_ascii_whitespace()) {
            self.found = true;
            starts.push(0);
        }
        Ok(base + view.len() as u64)
    }
}

/// A row as a model should see it: without the blank end, and with line feeds only.
pub fn tidy(text: &str) -> std::borrow::Cow<'_, str> {
    let text = text.trim_end_matches(|c: char| c.is_ascii_whitespace());
    if memchr::memchr(b'\r', text.as_bytes()).is_some() {
        text.replace("\r\n", "\n").into()
    } else {
        text.into()
    }
}
