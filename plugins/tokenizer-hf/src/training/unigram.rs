//! Learns a unigram model (Kudo 2018) with the library's trainer, made to depend on nothing but the words.
//!
//! The trainer sums floats in an order that depends on the threads, so it runs on one; and it hands out the scores of
//! characters that its model lost in the order of a hash table, which is put right afterwards.

use codex_plugin_api::{Error, Result};
use tokenizers::AddedToken;
use tokenizers::models::unigram::{Unigram, UnigramTrainer};

/// What the trainer lowers the score of each lost character by.
const LOST_STEP: f64 = 0.0001;

/// Pieces by id, special tokens first. `words` must be in a fixed order.
pub(super) fn learn(
    words: Vec<(String, u64)>,
    special: &[String],
    vocab_size: u32,
) -> Result<Vec<(String, f64)>> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::data(format!(
            "a unigram model cannot be learned from these texts: {error}"
        ))
        .hint("feed more text, lower vocab_size, or use algorithm byte-level-bpe")
    };
    let trainer = UnigramTrainer::builder()
        .show_progress(false)
        .vocab_size(vocab_size)
        .special_tokens(
            special
                .iter()
                .map(|token| AddedToken::from(token.as_str(), true))
                .collect(),
        )
        .unk_token(Some("<unk>".to_owned()))
        .build()
        .map_err(|error| failed(&error))?;
    let words = scaled(words);
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(|error| failed(&error))?;
    let mut model = Unigram::default();
    one.install(|| trainer.do_train(words, &mut model))
        .map_err(|error| failed(&error))?;
    let mut pieces: Vec<(String, f64)> = model.iter().cloned().collect();
    let learned = pieces.split_off(special.len().min(pieces.len()));
    pieces.extend(in_fixed_order(learned));
    Ok(pieces)
}

/// The trainer counts in 32 bits: counts are scaled down together where their sum would not fit.
fn scaled(words: Vec<(String, u64)>) -> Vec<(String, u32)> {
    let weight = |(word, count): &(String, u64)| count.saturating_mul(word.len() as u64 + 1);
    let total = words
        .iter()
        .fold(0u64, |sum, word| sum.saturating_add(weight(word)));
    let divisor = total / u64::from(u32::MAX / 2) + 1;
    words
        .into_iter()
        .map(|(word, count)| {
            (
                word,
                u32::try_from((count / divisor).max(1)).unwrap_or(u32::MAX),
            )
        })
        .collect()
}

/// Gives the scores of lost characters (a chain that starts at the least score of all) to these characters in the
/// order of their code points, and orders equal scores by piece.
fn in_fixed_order(mut pieces: Vec<(String, f64)>) -> Vec<(String, f64)> {
    let is_character = |piece: &str| piece.chars().nth(1).is_none();
    let least = pieces
        .iter()
        .map(|piece| piece.1)
        .fold(f64::INFINITY, f64::min);
    let mut lost: Vec<usize> = Vec::new();
    let mut penalty = 0.0;
    loop {
        let score = least + penalty;
        let before = lost.len();
        lost.extend(
            (0..pieces.len()).filter(|&at| pieces[at].1 == score && is_character(&pieces[at].0)),
        );
        if lost.len() == before {
            break;
        }
        penalty += LOST_STEP;
    }
    let mut characters: Vec<String> = lost.iter().map(|&at| pieces[at].0.clone()).collect();
    characters.sort_unstable();
    for (&at, character) in lost.iter().zip(characters) {
        pieces[at].0 = character;
    }
    pieces.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
    pieces
}
