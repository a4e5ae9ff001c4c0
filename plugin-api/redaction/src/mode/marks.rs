//! What was redacted before is known again and left alone, so that redacting twice changes nothing.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{WITHHELD, fake, upper};
use crate::Key;

const PSEUDONYM_DIGITS: usize = 12;

/// Recognises placeholders, pseudonyms, masks and fakes. The words in brackets are those of the entities that the
/// sanitizers name: any word would let a secret pass by writing it in brackets.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    words: BTreeSet<String>,
    masks: bool,
    /// Under which fakes are made, where any are.
    fakes: Option<Key>,
}

impl Marks {
    pub(crate) fn new<'a>(
        entities: impl Iterator<Item = &'a str>,
        masks: bool,
        fakes: Option<Key>,
    ) -> Self {
        let mut words: BTreeSet<String> = entities.map(upper).collect();
        words.insert(WITHHELD.trim_matches(['[', ']']).to_owned());
        Self {
            words,
            masks,
            fakes,
        }
    }

    /// The longest mark in bytes: what a stream must keep in sight.
    pub(crate) fn longest(&self) -> usize {
        self.words.iter().map(String::len).max().unwrap_or(0) + PSEUDONYM_DIGITS + 3
    }

    /// Where placeholders and pseudonyms stand, in order.
    pub(crate) fn brackets(&self, text: &str) -> Vec<Range<usize>> {
        text.match_indices('[')
            .filter_map(|(start, _)| {
                let inside = &text[start + 1..];
                let end = inside
                    .bytes()
                    .take(self.longest())
                    .position(|byte| byte == b']')?;
                let (word, name) = match inside[..end].split_once(':') {
                    Some((word, name)) => (word, Some(name)),
                    None => (&inside[..end], None),
                };
                let named = name.is_none_or(|name| {
                    name.len() == PSEUDONYM_DIGITS
                        && name
                            .bytes()
                            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
                });
                (named && self.words.contains(word)).then_some(start..start + end + 2)
            })
            .collect()
    }

    /// Whether a whole value is a mask or a fake.
    pub(crate) fn is_whole(&self, value: &str) -> bool {
        let masked = self.masks
            && value.contains('*')
            && value
                .bytes()
                .all(|byte| byte.is_ascii_punctuation() || byte.is_ascii_whitespace());
        masked
            || self
                .fakes
                .as_ref()
                .is_some_and(|key| fake::is_known_fake(key, value))
    }

    /// The parts of a finding that no bracket covers; all of it where none does. Parts without a letter or a
    /// digit are what is left of a finding that was redacted: quotes, commas.
    pub(crate) fn uncovered(
        text: &str,
        brackets: &[Range<usize>],
        finding: Range<usize>,
    ) -> Vec<Range<usize>> {
        let first = brackets.partition_point(|mark| mark.end <= finding.start);
        let mut parts = Vec::new();
        let mut from = finding.start;
        let mut covered = false;
        for mark in brackets[first..]
            .iter()
            .take_while(|mark| mark.start < finding.end)
        {
            covered = true;
            if mark.start > from {
                parts.push(from..mark.start);
            }
            from = from.max(mark.end);
        }
        if from < finding.end {
            parts.push(from..finding.end);
        }
        if covered {
            parts.retain(|part| text[part.clone()].chars().any(char::is_alphanumeric));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(masks: bool) -> Marks {
        Marks::new(["email-address", "secret"].into_iter(), masks, None)
    }

    #[test]
    fn only_words_of_entities_in_brackets_are_marks() {
        for (text, found) in [
            ("a [SECRET] b", &["[SECRET]"][..]),
            (
                "[EMAIL_ADDRESS:0123456789ab]",
                &["[EMAIL_ADDRESS:0123456789ab]"],
            ),
            ("[WITHHELD]", &["[WITHHELD]"]),
            (
                "[[SECRET][SECRET:0123456789ab]",
                &["[SECRET]", "[SECRET:0123456789ab]"],
            ),
            ("[AKIAIOSFODNN7EXAMPLE] [secret] [SECRET", &[]),
            ("[SECRET:0123456789AB] [SECRET:12] [SECRETS]", &[]),
            ("[ž]", &[]),
        ] {
            let brackets = marks(false).brackets(text);
            let marked: Vec<&str> = brackets.into_iter().map(|range| &text[range]).collect();
            assert_eq!(marked, found);
        }
    }

    #[test]
    fn what_marks_leave_of_a_finding() {
        let text = "key=[SECRET]tail, \"[SECRET]\"";
        let brackets = marks(false).brackets(text);
        let left = |start: usize, end: usize| -> Vec<&str> {
            let parts = Marks::uncovered(text, &brackets, start..end);
            parts.into_iter().map(|range| &text[range]).collect()
        };
        assert!(left(4, 12).is_empty());
        assert_eq!(left(4, 16), ["tail"], "nothing hides behind a mark");
        assert_eq!(left(0, 16), ["key=", "tail"]);
        assert!(left(18, 28).is_empty(), "quotes around one");
        assert_eq!(left(16, 18), [", "], "what touches none stays whole");
    }

    #[test]
    fn masks_are_marks_where_masks_are_made() {
        assert!(marks(true).is_whole("***@**.**"));
        assert!(!marks(false).is_whole("***@**.**"));
        assert!(!marks(true).is_whole("@.!") && !marks(true).is_whole("**a"));
    }
}
