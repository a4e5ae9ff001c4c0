//! Chooses the characters that get a token of their own where there may be too many.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use codex_plugin_api::{Error, Result};

/// Below this share of all characters a tokenizer would answer mostly with its unknown token.
const LEAST_COVERAGE: f64 = 0.98;

/// The `room` most frequent characters, ties to lower code points.
pub(super) fn choose(
    words: &[(String, u64)],
    room: usize,
    vocab_size: u32,
) -> Result<BTreeSet<char>> {
    let mut counts: HashMap<char, u64> = HashMap::new();
    for (word, count) in words {
        for character in word.chars() {
            *counts.entry(character).or_default() += count;
        }
    }
    let mut by_count: Vec<(char, u64)> = counts.into_iter().collect();
    by_count.sort_unstable_by_key(|&(character, count)| (Reverse(count), character));
    let total: u64 = by_count.iter().map(|entry| entry.1).sum();
    let kept: u64 = by_count.iter().take(room).map(|entry| entry.1).sum();
    let coverage = kept as f64 / total.max(1) as f64;
    if coverage < LEAST_COVERAGE {
        return Err(Error::data(format!(
            "vocab_size {vocab_size} is too small for these texts: it leaves room for {room} of their {} characters, which are \
             {:.1} % of the text",
            by_count.len(),
            coverage * 100.0
        ))
        .hint(format!(
            "set vocab_size to {} or more, or use algorithm byte-level-bpe, which needs no alphabet",
            (vocab_size as usize).saturating_mul(by_count.len()).div_ceil(room.max(1))
        )));
    }
    Ok(by_count
        .into_iter()
        .take(room)
        .map(|entry| entry.0)
        .collect())
}

/// The parts of the words between characters that have no token.
pub(super) fn known_parts(
    words: Vec<(String, u64)>,
    alphabet: &BTreeSet<char>,
) -> Vec<(String, u64)> {
    if words
        .iter()
        .all(|(word, _)| word.chars().all(|c| alphabet.contains(&c)))
    {
        return words;
    }
    let mut parts: HashMap<String, u64> = HashMap::new();
    for (word, count) in words {
        for part in word
            .split(|c| !alphabet.contains(&c))
            .filter(|part| !part.is_empty())
        {
            *parts.entry(part.to_owned()).or_default() += count;
        }
    }
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_unstable();
    parts
}
