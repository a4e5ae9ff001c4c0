//! Learns merges: byte pair encoding (Sennrich et al. 2016), the most frequent neighbours first, ties to lower ids.
//!
//! The library's own trainer visits words in the order of a hash table, which decides ids and ties for WordPiece, and
//! counts in 32 bits. Here the result depends on nothing but the words and their counts.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use codex_plugin_api::Result;

type Pair = (u32, u32);

/// A word as symbols, and how often it was met.
pub(super) struct Word {
    pub(super) symbols: Vec<u32>,
    pub(super) count: u64,
}

/// What to learn.
pub(super) struct Goal<'a> {
    /// How many tokens there should be in the end.
    pub(super) vocab_size: usize,
    /// The least frequency of a pair.
    pub(super) min_frequency: u64,
    /// Marks a symbol that continues a word (`##`).
    pub(super) prefix: &'a str,
    /// The first so many tokens must never come out of a merge: special tokens and byte tokens.
    pub(super) reserved: usize,
}

#[derive(Default)]
struct Statistics {
    count: u64,
    /// Words that hold or held the pair; may repeat.
    words: Vec<u32>,
}

/// Adds tokens until there are `vocab_size`, and returns the merges in order. `progress` is called now and then with
/// the number of tokens and may stop the training.
pub(super) fn learn(
    mut words: Vec<Word>,
    tokens: &mut Vec<String>,
    goal: &Goal<'_>,
    mut progress: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<(String, String)>> {
    let mut ids: HashMap<String, u32> = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| (token.clone(), id as u32))
        .collect();
    let mut pairs: HashMap<Pair, Statistics> = HashMap::new();
    for (index, word) in words.iter().enumerate() {
        add(&mut pairs, word, index as u32);
    }
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> = pairs
        .iter()
        .map(|(&pair, statistics)| (statistics.count, Reverse(pair)))
        .collect();
    let mut merged: HashSet<Pair> = HashSet::new();
    let mut merges = Vec::new();
    while tokens.len() < goal.vocab_size
        && let Some((count, Reverse(pair))) = queue.pop()
    {
        let Some(statistics) = pairs.get_mut(&pair) else {
            continue;
        };
        if statistics.count != count {
            // Stale: the pair became rarer since. A pair that became more frequent is in the queue once more.
            if statistics.count > 0 && statistics.count < count {
                queue.push((statistics.count, Reverse(pair)));
            }
            continue;
        }
        if count < goal.min_frequency.max(1) {
            break;
        }
        let (left, right) = (&tokens[pair.0 as usize], &tokens[pair.1 as usize]);
        let joined = format!("{left}{}", right.strip_prefix(goal.prefix).unwrap_or(right));
        let id = match ids.get(&joined) {
            Some(&id) if (id as usize) < goal.reserved => {
                pairs.remove(&pair);
                continue;
            }
            Some(&id) => id,
            None => tokens.len() as u32,
        };
        if merged.insert(pair) {
            merges.push((left.clone(), right.clone()));
        }
        if id as usize == tokens.len() {
            ids.insert(joined.clone(), id);
            tokens.push(joined);
            if tokens.len().is_multiple_of(64) {
                progress(tokens.len())?;
            }
        }
        let places = std::mem::take(&mut statistics.words);
        let mut grown: HashSet<Pair> = HashSet::new();
        for index in places {
            let word = &mut words[index as usize];
            if !word.symbols.windows(2).any(|two| (two[0], two[1]) == pair) {
                continue;
            }
            for two in word.symbols.windows(2) {
                if let Some(statistics) = pairs.get_mut(&(two[0], two[1])) {
                    statistics.count = statistics.count.saturating_sub(word.count);
                }
            }
            merge(&mut word.symbols, pair, id);
            add(&mut pairs, word, index);
            let touched = word.symbols.windows(2).map(|two| (two[0], two[1]));
            grown.extend(touched.filter(|two| two.0 == id || two.1 == id));
        }
        queue.extend(
            grown
                .into_iter()
                .map(|pair| (pairs.get(&pair).map_or(0, |s| s.count), Reverse(pair))),
        );
    }
    Ok(merges)
}

fn add(pairs: &mut HashMap<Pair, Statistics>, word: &Word, index: u32) {
    for two in word.symbols.windows(2) {
        let statistics = pairs.entry((two[0], two[1])).or_default();
        statistics.count += word.count;
        if statistics.words.last() != Some(&index) {
            statistics.words.push(index);
        }
    }
}

fn merge(symbols: &mut Vec<u32>, pair: Pair, id: u32) {
    let (mut read, mut write) = (0, 0);
    while read < symbols.len() {
        if read + 1 < symbols.len() && (symbols[read], symbols[read + 1]) == pair {
            symbols[write] = id;
            read += 2;
        } else {
            symbols[write] = symbols[read];
            read += 1;
        }
        write += 1;
    }
    symbols.truncate(write);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn learned(words: &[(&str, u64)], vocab_size: usize, min_frequency: u64) -> Vec<String> {
        let mut tokens: Vec<String> = ('a'..='z').map(String::from).collect();
        let words = words
            .iter()
            .map(|(word, count)| Word {
                symbols: word.bytes().map(|b| u32::from(b - b'a')).collect(),
                count: *count,
            })
            .collect();
        let goal = Goal {
            vocab_size,
            min_frequency,
            prefix: "",
            reserved: 0,
        };
        learn(words, &mut tokens, &goal, |_| Ok(())).unwrap();
        tokens.split_off(26)
    }

    #[test]
    fn frequent_neighbours_come_first() {
        // The example of the library's own trainer.
        let words = [
            ("roses", 1),
            ("are", 2),
            ("red", 1),
            ("voilets", 1),
            ("blue", 1),
            ("is", 2),
            ("big", 1),
            ("and", 1),
            ("so", 1),
        ];
        assert_eq!(learned(&words, 100, 2), ["re", "are", "is"]);
        assert_eq!(learned(&words, 27, 2), ["re"]);
        assert_eq!(learned(&[("aaaa", 3), ("aaa", 1)], 100, 2), ["aa", "aaaa"]);
    }

    #[test]
    fn counts_beyond_32_bits_do_not_overflow() {
        let words = [("ab", u64::from(u32::MAX) * 4), ("cd", u64::from(u32::MAX))];
        assert_eq!(learned(&words, 100, 2), ["ab", "cd"]);
    }
}
