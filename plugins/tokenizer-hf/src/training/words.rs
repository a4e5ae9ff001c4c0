//! Counts words in bounded memory: what is left of the texts that were fed.
//!
//! Texts are normalised and divided as the tokenizer will divide them. The counts, and so the vocabulary, depend on the
//! texts and their order alone, not on how they were divided into calls or on the number of threads.

use std::collections::HashMap;

use codex_plugin_api::{Error, Result, Texts};
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    Tokenizer,
};

use crate::pieces::{Piece, pieces};
use crate::threads::Threads;

/// Bytes of words above which the rarest are forgotten.
const MAX_HELD_BYTES: usize = 256 << 20;
/// What a word costs beside its text.
const WORD_OVERHEAD: usize = 64;
/// Longer words are cut: nothing is learned from a megabyte without a space but time is lost on it.
const MAX_WORD_CHARS: usize = 1024;
/// Texts are divided for counting after this many bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that are counted before their counts are added up.
const GROUP: usize = 256;

#[derive(Default)]
pub(super) struct WordCounts {
    counts: HashMap<String, u64>,
    held: usize,
    /// Words met fewer times than this were forgotten at some time.
    pub(super) forgotten_below: u64,
}

impl WordCounts {
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Counts the words of some texts. `interrupted` is asked now and then.
    pub(super) fn feed(
        &mut self,
        texts: Texts<'_>,
        tokenizer: &Tokenizer,
        threads: &Threads,
        interrupted: impl Fn() -> bool,
    ) -> Result<()> {
        for group in pieces(texts, Some(PIECE_BYTES)).chunks(GROUP) {
            if interrupted() {
                return Err(Error::interrupted());
            }
            for counted in threads.map(
                group,
                |piece: &Piece<'_>| piece.text.len(),
                |piece| count(piece.text, tokenizer),
            )? {
                for (word, count) in counted {
                    self.add(word, count);
                }
                self.forget_rare(MAX_HELD_BYTES);
            }
        }
        Ok(())
    }

    /// All words in the order of their text.
    pub(super) fn into_sorted(self) -> Vec<(String, u64)> {
        let mut words: Vec<_> = self.counts.into_iter().collect();
        words.sort_unstable();
        words
    }

    fn add(&mut self, word: String, count: u64) {
        let bytes = word.len() + WORD_OVERHEAD;
        let held = &mut self.held;
        *self.counts.entry(word).or_insert_with(|| {
            *held += bytes;
            0
        }) += count;
    }

    fn forget_rare(&mut self, limit: usize) {
        let mut least = 2;
        while self.held > limit {
            let mut held = 0;
            self.counts.retain(|word, count| {
                let keep = *count >= least;
                held += usize::from(keep) * (word.len() + WORD_OVERHEAD);
                keep
            });
            self.held = held;
            self.forgotten_below = self.forgotten_below.max(least);
            least *= 2;
        }
    }
}

fn count(text: &str, tokenizer: &Tokenizer) -> Result<HashMap<String, u64>> {
    let failed = |error: tokenizers::Error| {
        Error::failed(format!("a text cannot be divided into words: {error}"))
    };
    let mut normalized = NormalizedString::from(text);
    if let Some(normalizer) = tokenizer.get_normalizer() {
        normalizer.normalize(&mut normalized).map_err(failed)?;
    }
    let mut divided = PreTokenizedString::from(normalized);
    if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut divided).map_err(failed)?;
    }
    let mut counts = HashMap::new();
    for (word, ..) in divided.get_splits(OffsetReferential::Normalized, OffsetType::None) {
        let mut rest = word;
        while let Some((at, _)) = rest.char_indices().nth(MAX_WORD_CHARS) {
            *counts.entry(rest[..at].to_owned()).or_default() += 1;
            rest = &rest[at..];
        }
        if let Some(count) = counts.get_mut(rest) {
            *count += 1;
        } else if !rest.is_empty() {
            counts.insert(rest.to_owned(), 1);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_are_forgotten_when_memory_runs_out() {
        let mut words = WordCounts::default();
        for (word, count) in [("often", 9), ("seldom", 2), ("once", 1), ("one", 1)] {
            words.add(word.to_owned(), count);
        }
        words.forget_rare(2 * WORD_OVERHEAD + 11);
        assert_eq!(
            words.into_sorted(),
            [("often".to_owned(), 9), ("seldom".to_owned(), 2)]
        );
    }
}
