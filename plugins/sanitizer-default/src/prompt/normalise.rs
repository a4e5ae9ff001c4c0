//! Text as a reader would take it: without invisible characters, with look-alike letters as the Latin ones.

use std::ops::Range;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// What is suspicious about a text.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Runs of characters that nobody sees.
    pub(super) invisible: Vec<Range<usize>>,
    /// Words of Latin letters with look-alikes of another script among them.
    pub(super) mixed: Vec<Range<usize>>,
    /// Whether the text reads differently once it is normalised.
    pub(super) worth_normalising: bool,
}

/// Characters that take no room: zero-width, soft hyphen, directions, tags, variation selectors, fillers.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e01ef}')
}

/// Letters of Cyrillic, Greek and Armenian that look like a Latin one (Unicode TS 39, the pairs that are told apart by
/// nothing).
fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'а' | 'α' => 'a',
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'с' | 'ϲ' => 'c',
        'С' | 'Ϲ' => 'C',
        'ԁ' => 'd',
        'е' => 'e',
        'Е' | 'Ε' => 'E',
        'һ' => 'h',
        'Н' | 'Η' => 'H',
        'і' | 'ι' => 'i',
        'І' | 'Ι' => 'I',
        'ј' | 'ϳ' => 'j',
        'Ј' => 'J',
        'К' | 'Κ' => 'K',
        'ӏ' => 'l',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'о' | 'ο' | 'օ' => 'o',
        'О' | 'Ο' => 'O',
        'р' | 'ρ' => 'p',
        'Р' | 'Ρ' => 'P',
        'ѕ' => 's',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'υ' | 'ս' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' => 'w',
        'х' | 'χ' => 'x',
        'Х' | 'Χ' => 'X',
        'у' => 'y',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        _ => return None,
    })
}

/// Letters of other blocks that are compatibility forms of Latin ones: full-width, mathematical, enclosed.
fn is_styled(c: char) -> bool {
    matches!(c, '\u{ff21}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}' | '\u{2460}'..='\u{24ff}' | '\u{1f110}'..='\u{1f16b}')
}

/// Looks at every character beyond ASCII.
pub(super) fn signs(text: &str, shortest_run: usize) -> Signs {
    let mut signs = Signs::default();
    let mut run: Option<(Range<usize>, usize)> = None;
    let mut mixed_until = 0;
    let mut at = 0;
    while let Some(skipped) = text.as_bytes()[at..]
        .iter()
        .position(|byte| !byte.is_ascii())
    {
        at += skipped;
        let Some(c) = text[at..].chars().next() else {
            break;
        };
        let end = at + c.len_utf8();
        if is_invisible(c) {
            signs.worth_normalising = true;
            run = match run {
                Some((span, count)) if span.end == at => Some((span.start..end, count + 1)),
                other => {
                    signs.keep(other, shortest_run);
                    Some((at..end, 1))
                }
            };
        } else if look_alike(c).is_some() && at >= mixed_until {
            let word = word_around(text, at);
            mixed_until = word.end;
            if is_mixed(&text[word.clone()]) {
                signs.worth_normalising = true;
                signs.mixed.push(word);
            }
        } else if is_styled(c) {
            signs.worth_normalising = true;
        }
        at = end;
    }
    signs.keep(run, shortest_run);
    signs
}

impl Signs {
    fn keep(&mut self, run: Option<(Range<usize>, usize)>, shortest: usize) {
        self.invisible.extend(
            run.filter(|(_, count)| *count >= shortest)
                .map(|(span, _)| span),
        );
    }
}

/// The word at `at`, at most 64 characters to either side.
fn word_around(text: &str, at: usize) -> Range<usize> {
    let start = text[..at]
        .char_indices()
        .rev()
        .take(64)
        .take_while(|(_, c)| c.is_alphabetic())
        .last()
        .map_or(at, |(place, _)| place);
    let end = text[at..]
        .char_indices()
        .take(64)
        .take_while(|(_, c)| c.is_alphabetic())
        .last()
        .map_or(at, |(place, c)| at + place + c.len_utf8());
    start..end
}

/// Mostly Latin letters, the others all look-alikes: a word of Greek or Russian has letters of its own.
fn is_mixed(word: &str) -> bool {
    let latin = word.chars().filter(char::is_ascii_alphabetic).count();
    latin >= 2
        && word
            .chars()
            .all(|c| c.is_ascii_alphabetic() || look_alike(c).is_some())
}

/// A text that was made plain, and where its bytes are from.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) text: String,
    /// For each byte of `text`, and its end: the first byte it comes from.
    places: Vec<usize>,
}

impl Plain {
    /// The bytes of the original that a range of the plain text stands for.
    pub(super) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let end = self.places.get(range.end).or(self.places.last());
        let start = self.places.get(range.start).copied().unwrap_or(0);
        start..end.copied().unwrap_or(start).max(start)
    }
}

/// Makes a text plain.
pub(super) fn normalise(text: &str) -> Plain {
    let mut plain = Plain {
        text: String::with_capacity(text.len()),
        places: Vec::with_capacity(text.len() + 1),
    };
    for (place, c) in text.char_indices() {
        let mut push = |c: char| {
            if !is_combining_mark(c) {
                plain.text.push(look_alike(c).unwrap_or(c));
                plain.places.resize(plain.text.len(), place);
            }
        };
        match c {
            // Tags repeat ASCII where nobody sees it.
            '\u{e0020}'..='\u{e007e}' => push(char::from((c as u32 - 0xe0000) as u8)),
            c if is_invisible(c) => {}
            c if c.is_ascii() => push(c),
            c => decompose_compatible(c, push),
        }
    }
    plain.places.push(text.len());
    plain
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn hidden_letters_become_plain_and_keep_their_places() {
        let text = "ig\u{200b}nоre ａll";
        let plain = normalise(text);
        assert_eq!(plain.text, "ignore all");
        assert_eq!(&text[plain.origin(0..6)], "ig\u{200b}nоre");
        assert_eq!(&text[plain.origin(7..10)], "ａll");
        let tags: String = "hi"
            .chars()
            .map(|c| char::from_u32(0xe0000 + c as u32).unwrap())
            .collect();
        assert_eq!(normalise(&tags).text, "hi");
    }

    #[test]
    fn scripts_are_only_mixed_within_a_word() {
        assert_eq!(signs("pаssword", 4).mixed, vec![Range { start: 0, end: 9 }]);
        assert!(signs("слово and word", 4).mixed.is_empty());
        let hidden = signs("a\u{200b}\u{200b}\u{200b}\u{200b}b", 4).invisible;
        assert_eq!(hidden, vec![Range { start: 1, end: 13 }]);
        assert!(
            signs("family 👨\u{200d}👩\u{200d}👧", 4)
                .invisible
                .is_empty()
        );
    }
}
