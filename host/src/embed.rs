//! Embeddings of texts: a window of texts at a time becomes ids, batches of about equal lengths, and rows in the order in
//! which the texts came.
//!
//! Where texts come from (`input`) and where rows go (`sink`) are files of their own; pooling is the model's.

mod input;
mod lines;
mod output_file;
mod sink;

use codex_plugin_api::{
    EncodeOptions, Error, ErrorKind, Ids, Model, Result, TextBuffer, Tokenizer,
};

pub use self::input::{Input, InputFormat, Window};
pub use self::sink::{Format, Rows, Sink, create, lines};
use crate::data::Framing;
use crate::interrupt::Interrupt;
use crate::model_folder::foreign_id;

/// What is asked of an [`Embedder`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only so many leading dimensions, normalised again; all when `None`.
    pub dimensions: Option<usize>,
    /// Texts are cut after so many tokens; at the model's own limit when `None`.
    pub max_length: Option<usize>,
    /// About how many tokens the model gets at once, padding counted.
    pub batch_tokens: usize,
}

/// A model and its tokenizer, ready to embed.
pub struct Embedder<'a> {
    model: &'a mut dyn Model,
    tokenizer: &'a dyn Tokenizer,
    vocab_size: u32,
    width: usize,
    dimensions: usize,
    longest: usize,
    batch_tokens: usize,
    /// What the tokenizer adds to every text, which is what an empty one becomes.
    added: Vec<u32>,
    /// So many texts were embedded.
    pub texts: u64,
    /// So many tokens the model read.
    pub tokens: u64,
    /// So many texts were longer than the limit.
    pub truncated: u64,
}

impl std::fmt::Debug for Embedder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedder")
            .field("dimensions", &self.dimensions)
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

impl<'a> Embedder<'a> {
    /// Finds out whether the model embeds, before any text is waited for.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for options that the model cannot follow, [`ErrorKind::Unsupported`] when the model gives
    /// no embeddings, and what model and tokenizer say.
    pub fn new(
        model: &'a mut dyn Model,
        tokenizer: &'a dyn Tokenizer,
        options: Options,
    ) -> Result<Self> {
        let info = model.info()?;
        let (width, limit) = (info.hidden_size as usize, info.max_sequence_length as usize);
        let longest = options.max_length.unwrap_or(limit);
        if longest > limit {
            return Err(Error::config(format!(
                "--max-length is {longest}, and the model reads {limit} tokens at most"
            ))
            .hint("leave it out to use all that the model reads"));
        }
        let mut embedder = Self {
            model,
            tokenizer,
            vocab_size: info.vocab_size,
            width,
            dimensions: options.dimensions.unwrap_or(width),
            longest,
            batch_tokens: options.batch_tokens.max(1),
            added: Vec::new(),
            texts: 0,
            tokens: 0,
            truncated: 0,
        };
        let empty: TextBuffer = [""].into_iter().collect();
        embedder.added = embedder.encode(&empty, limit)?.0;
        if embedder.added.len() >= longest {
            return Err(Error::config(format!(
                "--max-length is {longest}, and the tokenizer itself adds {} tokens to a text",
                embedder.added.len()
            ))
            .hint("give a larger one"));
        }
        if !info.tasks.iter().any(|task| task == "embedding") {
            embedder.probe(&info.architecture)?;
        }
        let dimensions = embedder.dimensions;
        if dimensions == 0 || dimensions > width {
            return Err(Error::config(format!(
                "--dimensions is {dimensions}, and the model's embeddings have {width}"
            ))
            .hint(format!("give a number from 1 to {width}, or leave it out")));
        }
        Ok(embedder)
    }

    /// Embeds a single token, to hear whether the model can.
    fn probe(&mut self, architecture: &str) -> Result<()> {
        let id = *self.added.first().unwrap_or(&0);
        let answer = self.model.embed(Ids::new(&[id], &[0, 1])?);
        answer.map(|_| ()).map_err(|error| {
            if error.kind() != ErrorKind::Unsupported {
                return error;
            }
            error
                .with_message(format!("the model ({architecture}) gives no embeddings"))
                .hint("give an encoder's folder, or train one with training.task=embedding")
        })
    }

    /// How many numbers a row has.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// After how many tokens a text is cut.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// One row of [`Self::dimensions`] numbers a text, in the texts' order.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`], [`ErrorKind::Plugin`] for numbers that are none, and what model and tokenizer say.
    pub fn embed(&mut self, texts: &TextBuffer, interrupt: &Interrupt) -> Result<Vec<f32>> {
        let (ids, offsets) = self.encode_within(texts)?;
        if let Some(&id) = ids.iter().find(|&&id| id >= self.vocab_size) {
            return Err(foreign_id(id, self.vocab_size));
        }
        let sequence = |text: usize| &ids[offsets[text] as usize..offsets[text + 1] as usize];
        let mut rows = vec![0.0; texts.len() * self.dimensions];
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&text| sequence(text).len());
        let lengths: Vec<usize> = order.iter().map(|&text| sequence(text).len()).collect();
        let (mut batch_ids, mut batch_offsets) = (Vec::new(), Vec::new());
        for range in batches(&lengths, self.batch_tokens) {
            if interrupt.requested() {
                return Err(Error::interrupted());
            }
            let batch = &order[range];
            batch_ids.clear();
            batch_offsets.clear();
            batch_offsets.push(0);
            for &text in batch {
                batch_ids.extend_from_slice(sequence(text));
                batch_offsets.push(batch_ids.len() as u64);
            }
            let values = self.model.embed(Ids::new(&batch_ids, &batch_offsets)?)?;
            if values.len() != batch.len() * self.width {
                return Err(broken(format!(
                    "the model gave {} numbers for {} texts of {} dimensions",
                    values.len(),
                    batch.len(),
                    self.width
                )));
            }
            for (&text, values) in batch.iter().zip(values.chunks_exact(self.width)) {
                let row = &mut rows[text * self.dimensions..][..self.dimensions];
                row.copy_from_slice(&values[..self.dimensions]);
                if self.dimensions < self.width {
                    normalise(row);
                }
                if row.iter().any(|value| !value.is_finite()) {
                    let number = self.texts + text as u64;
                    return Err(broken(format!(
                        "the embedding of text {number} holds numbers that are not finite"
                    )));
                }
            }
        }
        self.texts += texts.len() as u64;
        self.tokens += ids.len() as u64;
        Ok(rows)
    }

    /// The ids of all texts, none longer than the limit.
    fn encode_within(&mut self, texts: &TextBuffer) -> Result<(Vec<u32>, Vec<u64>)> {
        // One token more than the limit tells which texts are cut.
        let (found, found_offsets) = self.encode(texts, self.longest + 1)?;
        let sequences = Ids::new(&found, &found_offsets)?;
        let fits = |ids: &[u32]| (1..=self.longest).contains(&ids.len());
        if sequences.iter().all(fits) {
            return Ok((found, found_offsets));
        }
        let (mut ids, mut offsets) = (Vec::with_capacity(found.len()), vec![0]);
        for (number, sequence) in sequences.iter().enumerate() {
            if sequence.is_empty() {
                let before = Framing::of(&self.tokenizer.vocabulary()?.special).before;
                ids.push(before.ok_or_else(|| {
                    let number = self.texts + number as u64;
                    Error::data(format!(
                        "text {number} is empty, and the tokenizer has no token that begins a text"
                    ))
                    .hint("leave empty texts out")
                })?);
            } else if sequence.len() > self.longest {
                self.truncated += 1;
                // The last of the text's own tokens goes; what the tokenizer adds behind it stays.
                let behind = common_end(sequence, &self.added);
                let end = sequence.len() - behind;
                ids.extend_from_slice(&sequence[..self.longest - behind]);
                ids.extend_from_slice(&sequence[end..]);
            } else {
                ids.extend_from_slice(sequence);
            }
            offsets.push(ids.len() as u64);
        }
        Ok((ids, offsets))
    }

    fn encode(&self, texts: &TextBuffer, max_length: usize) -> Result<(Vec<u32>, Vec<u64>)> {
        let options = EncodeOptions {
            add_special_tokens: true,
            max_length: u32::try_from(max_length).unwrap_or(u32::MAX),
            ..EncodeOptions::default()
        };
        let encoding = self.tokenizer.encode(texts.as_texts(), options)?;
        let sequences = encoding.sequences()?.len();
        if sequences != texts.len() {
            return Err(broken(format!(
                "the tokenizer gave {sequences} sequences for {} texts",
                texts.len()
            )));
        }
        Ok((encoding.ids, encoding.sequence_offsets))
    }
}

/// Ranges of ascending `lengths` that hold at most `tokens` tokens when all are as long as the longest, at least one each.
fn batches(lengths: &[usize], tokens: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == lengths.len() {
            return None;
        }
        let mut end = start + 1;
        while end < lengths.len() && (end + 1 - start) * lengths[end] <= tokens {
            end += 1;
        }
        let range = start..end;
        start = end;
        Some(range)
    })
}

fn common_end(left: &[u32], right: &[u32]) -> usize {
    let pairs = left.iter().rev().zip(right.iter().rev());
    pairs.take_while(|(left, right)| left == right).count()
}

/// Scales to length 1. A row of zeros has no direction and stays.
fn normalise(row: &mut [f32]) {
    let square: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
    if square > 0.0 {
        let scale = square.sqrt().recip();
        for value in row {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
}

fn broken(what: String) -> Error {
    Error::new(ErrorKind::Plugin, what)
        .hint("the plugin is at fault: `codex-ml plugin list` shows which one it is")
}

#[cfg(test)]
mod tests;
