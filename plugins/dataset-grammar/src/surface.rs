//! Words to text and back: spaces, punctuation, capitals, "a" and "an".
//!
//! The way back ([`words`]) exists so that a text alone can be scored. Both directions together are one-to-one: [`words`]
//! undoes each step of [`text`], so two different word sequences never give the same text.

use crate::grammar::Grammar;

fn ends_sentence(word: &str) -> bool {
    matches!(word, "." | "?" | "!")
}

fn is_punctuation(word: &str) -> bool {
    ends_sentence(word) || word == ","
}

/// Renders words as text.
///
/// A space before every word but the first, none before punctuation; the first letter of a sentence is a capital; "a" is
/// written "an" where the next word starts with a vowel (the lexicons hold no word where letter and sound differ).
pub fn text(grammar: &Grammar, words: &[u32]) -> String {
    let mut text = String::with_capacity(words.len() * 6);
    let mut sentence_start = true;
    for (place, &number) in words.iter().enumerate() {
        let word = grammar.words[number as usize].as_str();
        if is_punctuation(word) {
            text.push_str(word);
            sentence_start = ends_sentence(word);
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        let mut letters = word.chars();
        if sentence_start && let Some(first) = letters.next() {
            text.extend(first.to_uppercase());
        }
        text.push_str(letters.as_str());
        let next = words
            .get(place + 1)
            .map(|&next| grammar.words[next as usize].as_str());
        if word == "a" && next.is_some_and(|next| next.starts_with(['a', 'e', 'i', 'o', 'u'])) {
            text.push('n');
        }
        sentence_start = false;
    }
    text
}

/// The sentences of a text, each with the mark at its end.
pub fn sentences(text: &str) -> Vec<&str> {
    text.split_inclusive(['.', '?', '!'])
        .map(str::trim_start)
        .collect()
}

/// The words of a text, or nothing when no word sequence renders as this text.
pub fn words(grammar: &Grammar, text: &str) -> Option<Vec<u32>> {
    let mut words = Vec::new();
    let mut sentence_start = true;
    for piece in text.split(' ') {
        let bare = piece.trim_end_matches(['.', '?', '!', ',']);
        // A name keeps its capital; any other word has it only from the start of the sentence.
        let lower = || {
            let mut letters = bare.chars();
            letters
                .next()
                .map(|first| first.to_lowercase().chain(letters).collect::<String>())
        };
        let mut number = grammar.word_number(bare);
        if number.is_none() && sentence_start {
            number = lower().and_then(|word| grammar.word_number(&word));
        }
        if number.is_none() && matches!(bare, "an" | "An") {
            number = grammar.word_number("a");
        }
        words.push(number?);
        sentence_start = false;
        for mark in piece[bare.len()..].chars() {
            words.push(grammar.word_number(mark.encode_utf8(&mut [0; 4]))?);
            sentence_start = mark != ',';
        }
    }
    (self::text(grammar, &words) == text).then_some(words)
}
