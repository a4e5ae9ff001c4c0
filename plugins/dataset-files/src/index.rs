//! One pass over a text file of any encoding: where its rows start, whether its bytes are text, and the hash of its content.
//!
//! Memory is a block of 1 MiB, the longest row, and 8 bytes a row. What a row is, a [`Scanner`] says; what is in it, the
//! callback may look at while the bytes are there.

use std::borrow::Cow;

use codex_plugin_api::{Error, HostRef, LogLevel, Result};
use sha2::{Digest, Sha256};

use crate::charset::{Charset, Checker};
use crate::handle::Handle;

const BLOCK: usize = 1 << 20;

/// Finds the starts of rows in a narrowed file ([`Charset::narrow`]).
pub trait Scanner {
    /// Looks at `view`, which holds the units from `base` on; those before `seen` were looked at in an earlier call.
    /// Appends the starts found. `last` says that the file ends with the view. Returns the first unit that the next call
    /// must see again.
    fn scan(
        &mut self,
        view: &[u8],
        base: u64,
        seen: u64,
        last: bool,
        starts: &mut Vec<u64>,
    ) -> Result<u64, Broken>;
}

/// Looks at whole rows while they pass.
pub type Inspect<'a> = &'a mut dyn FnMut(Rows<'_>) -> Result<()>;

/// Why a file has no rows from some place on.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    /// The unit.
    pub at: u64,
    /// What is wrong there.
    pub what: String,
}

/// A file and the places of its rows.
#[derive(Debug)]
pub struct Index {
    handle: Handle,
    charset: Charset,
    /// Unit offsets; row *i* ends where the next begins.
    starts: Vec<u64>,
    units: u64,
    /// SHA-256 of the whole file.
    pub digest: [u8; 32],
}

/// Some whole rows, as they are in the file.
pub struct Rows<'a> {
    index: &'a Index,
    /// The number of the first row.
    pub first: u64,
    count: u64,
    bytes: Cow<'a, [u8]>,
}

impl Rows<'_> {
    /// The error for row `row`, `lines` below its start.
    pub fn wrong(&self, row: u64, lines: u64, what: &str) -> Error {
        Error::data(format!(
            "{}, line {}: {what}",
            self.index.name(),
            self.index.line_of(row) + lines
        ))
    }

    /// The text of all rows, one after the other.
    pub fn text(&self) -> Cow<'_, str> {
        self.index.charset.decode(&self.bytes)
    }

    /// Number and text of each row, with what separates it from the next at its end.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Cow<'_, str>)> {
        let index = self.index;
        let base = index.start_of(self.first);
        (self.first..self.first + self.count).map(move |row| {
            let end = index.within(base, index.end_of(row)).min(self.bytes.len());
            (
                row,
                index
                    .charset
                    .decode(&self.bytes[index.within(base, index.start_of(row))..end]),
            )
        })
    }
}

impl Index {
    /// Reads the file once. `inspect` gets all rows, some at a time, in order, without a gap.
    ///
    /// # Errors
    /// Data: unreadable, changed, not the encoding that was asked for, or what scanner and callback find.
    pub fn build(
        handle: Handle,
        charset: Charset,
        host: &HostRef,
        scanner: &mut dyn Scanner,
        mut inspect: Option<Inspect<'_>>,
    ) -> Result<Self> {
        let size = handle.size();
        let mut hash = Sha256::new();
        hash.update(handle.read_range(0, charset.start())?);
        let mut checker = Checker::new(&charset);
        let units = (size - charset.start()) / charset.width();
        let mut index = Self {
            handle,
            charset,
            starts: Vec::new(),
            units,
            digest: [0; 32],
        };
        let label = format!("reading {}", index.handle.name());

        // `raw` holds the file from unit `base` on; everything before unit `seen` was scanned.
        let mut raw: Vec<u8> = Vec::new();
        let (mut base, mut seen, mut inspected) = (0, 0, 0);
        let mut offset = charset.start();
        loop {
            if host.interrupted() {
                return Err(Error::interrupted());
            }
            let old = raw.len();
            let count = (size - offset).min(BLOCK as u64) as usize;
            raw.resize(old + count, 0);
            index.handle.read_exact_at(offset, &mut raw[old..])?;
            offset += count as u64;
            let last = offset == size;
            hash.update(&raw[old..]);
            checker.feed(&raw[old..], last);
            if charset.is_strict()
                && let Some(at) = checker.first
            {
                return Err(index.not_text(at));
            }
            let view = charset.narrow(&raw);
            let keep = scanner
                .scan(&view, base, seen, last, &mut index.starts)
                .map_err(|broken| index.broken(&broken))?;
            seen = base + view.len() as u64;
            // The last row is whole only at the end of the file.
            let whole = if last {
                index.count()
            } else {
                index.count().saturating_sub(1)
            };
            if let Some(inspect) = &mut inspect
                && whole > inspected
            {
                let (from, to) = (index.start_of(inspected), index.end_of(whole - 1));
                let bytes = &raw[index.within(base, from)..index.within(base, to).min(raw.len())];
                inspect(Rows {
                    index: &index,
                    first: inspected,
                    count: whole - inspected,
                    bytes: bytes.into(),
                })?;
            }
            inspected = whole;
            if last {
                break;
            }
            let keep = index.starts.last().map_or(keep, |start| {
                if inspect.is_some() {
                    keep.min(*start)
                } else {
                    keep
                }
            });
            raw.drain(..index.within(base, keep));
            base = keep;
            host.progress(&label, offset, size);
        }
        index.starts.shrink_to_fit();
        index.digest = hash.finalize().into();
        if checker.broken > 0 {
            let first = checker.first.unwrap_or(0);
            host.log(
                LogLevel::Warning,
                &format!(
                    "{}: {} byte sequences are not {} (the first at byte {first}) and were replaced; \
                     set data.encoding if the file has another one",
                    index.handle.name(),
                    checker.broken,
                    charset.name()
                ),
            );
        }
        Ok(index)
    }

    /// How many rows there are.
    pub fn count(&self) -> u64 {
        self.starts.len() as u64
    }

    /// The file's name, for messages.
    pub fn name(&self) -> String {
        self.handle.name()
    }

    /// Leaves the first row out: a header.
    pub fn drop_first(&mut self) {
        self.starts.remove(0);
    }

    /// Reads rows `start .. start + count`, which must exist and be at least one.
    ///
    /// # Errors
    /// Data: unreadable or changed.
    pub fn read(&self, start: u64, count: u64) -> Result<Rows<'_>> {
        let (from, to) = (self.start_of(start), self.end_of(start + count - 1));
        let bytes = self.handle.read_range(self.offset(from), self.offset(to))?;
        Ok(Rows {
            index: self,
            first: start,
            count,
            bytes: bytes.into(),
        })
    }

    fn start_of(&self, row: u64) -> u64 {
        self.starts.get(row as usize).copied().unwrap_or(self.units)
    }

    fn end_of(&self, row: u64) -> u64 {
        self.start_of(row + 1)
    }

    fn offset(&self, unit: u64) -> u64 {
        self.charset.start() + unit * self.charset.width()
    }

    fn within(&self, base: u64, unit: u64) -> usize {
        ((unit - base) * self.charset.width()) as usize
    }

    /// The line, from 1, in which row `row` starts. Reads the file up to there: for errors only.
    pub fn line_of(&self, row: u64) -> u64 {
        self.line_at(self.start_of(row))
    }

    fn line_at(&self, unit: u64) -> u64 {
        let (mut lines, mut offset, end) = (1, self.charset.start(), self.offset(unit));
        while offset < end {
            let next = (offset + BLOCK as u64).min(end);
            // If the file cannot be read any more, the line counted so far is the best to say.
            let Ok(bytes) = self.handle.read_range(offset, next) else {
                break;
            };
            lines += memchr::memchr_iter(b'\n', &self.charset.narrow(&bytes)).count() as u64;
            offset = next;
        }
        lines
    }

    fn broken(&self, broken: &Broken) -> Error {
        Error::data(format!(
            "{}, line {}: {}",
            self.name(),
            self.line_at(broken.at),
            broken.what
        ))
    }

    fn not_text(&self, at: u64) -> Error {
        let line = self.line_at((at - self.charset.start()) / self.charset.width());
        Error::data(format!("{}, line {line}: byte {at} is not {}", self.name(), self.charset.name())).hint(
            "set data.encoding to the file's own (for example windows-1252), or to auto to replace what is broken",
        )
    }
}
