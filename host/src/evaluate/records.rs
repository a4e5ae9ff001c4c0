//! Reads records in pieces of an exact number, encoded, without those that lack a text or the label.

use std::collections::VecDeque;

use codex_plugin_api::{Error, Result, TextBuffer, Tokenizer};

use crate::data::{Record, Records, encode_texts};

/// Rows that are read and encoded at once.
const CHUNK: u64 = 1024;

/// A record and the ids of its texts, special tokens not added.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) record: Record,
    pub(super) texts: Vec<Vec<u32>>,
}

impl Encoded {
    pub(super) fn bytes(&self) -> u64 {
        let texts = self.record.texts.iter();
        texts.map(|text| text.len() as u64).sum()
    }
}

/// Reads records one after the other.
pub(super) struct RecordReader<'a> {
    records: &'a Records,
    tokenizer: &'a dyn Tokenizer,
    next: u64,
    end: u64,
    waiting: VecDeque<Encoded>,
}

impl<'a> RecordReader<'a> {
    /// A reader of the first `limit` rows.
    pub(super) fn new(records: &'a Records, tokenizer: &'a dyn Tokenizer, limit: u64) -> Self {
        Self {
            records,
            tokenizer,
            next: 0,
            end: limit.min(records.len()),
            waiting: VecDeque::new(),
        }
    }

    /// How many rows there are to read in all.
    pub(super) fn rows(&self) -> u64 {
        self.end
    }

    /// The next records: `count`, or fewer at the end.
    pub(super) fn read(&mut self, count: usize) -> Result<Vec<Encoded>> {
        while self.waiting.len() < count && self.next < self.end {
            let chunk = CHUNK.min(self.end - self.next);
            let read = self.records.read(self.next, chunk)?;
            self.next += chunk;
            let whole: Vec<Record> = read.into_iter().flatten().collect();
            let texts: TextBuffer = whole.iter().flat_map(|record| &record.texts).collect();
            let encoding = encode_texts(self.tokenizer, &texts)?;
            let mut encoded = encoding.sequences()?.iter();
            for record in whole {
                let texts: Vec<Vec<u32>> = encoded
                    .by_ref()
                    .take(record.texts.len())
                    .map(<[u32]>::to_vec)
                    .collect();
                if texts.iter().all(|text| !text.is_empty()) {
                    self.waiting.push_back(Encoded { record, texts });
                }
            }
        }
        let count = count.min(self.waiting.len());
        Ok(self.waiting.drain(..count).collect())
    }

    /// The error for rows of which none is whole.
    pub(super) fn nothing(&self) -> Error {
        let columns = self.records.text_columns().iter().map(String::as_str);
        let columns: Vec<&str> = columns.chain(self.records.label_column()).collect();
        Error::data(format!(
            "none of the {} rows has something in each of the columns {}",
            self.end,
            columns.join(", ")
        ))
        .hint("`codex-ml data inspect` shows the columns and the first rows")
    }
}
