//! The ways to redact one finding. Which is used is the policy's affair.

mod fake;
mod marks;

use serde::{Deserialize, Serialize};

use crate::Key;
use crate::key::hex;
pub(crate) use marks::Marks;

/// What stands in place of a text that could not be scanned.
pub const WITHHELD: &str = "[WITHHELD]";

/// How a finding is redacted. None of these can be undone, not even by who holds the key.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// `[EMAIL_ADDRESS]`: what it was, in brackets.
    #[default]
    Placeholder,
    /// `***@*******.***`: a star for each character that is no ASCII punctuation or white space.
    Mask,
    /// Nothing; one space where two words would join.
    Remove,
    /// `[EMAIL_ADDRESS:3f9a12bc04de]`: equal values have equal pseudonyms under one key.
    Pseudonym,
    /// `qwk.zrt@hbvn.zzz`: characters of the same classes, the same length and separators; equal values have equal
    /// fakes under one key. What is too short to be told from a real value gets a placeholder.
    Fake,
}

/// How an entity stands in text: `email-address` as `[EMAIL_ADDRESS]`.
pub fn placeholder(entity: &str) -> String {
    format!("[{}]", upper(entity))
}

/// The word inside a placeholder: upper-case ASCII letters, digits and `_`.
fn upper(entity: &str) -> String {
    entity
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

/// A finding about to be redacted, and what stands beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) value: &'a str,
    pub(crate) entity: &'a str,
    pub(crate) before: Option<char>,
    pub(crate) after: Option<char>,
}

impl Mode {
    /// What stands in place of the value.
    pub(crate) fn replacement(self, place: Place<'_>, key: &Key) -> String {
        match self {
            Self::Placeholder => placeholder(place.entity),
            Self::Mask => place.value.chars().map(mask).collect(),
            Self::Remove => {
                let word = |side: Option<char>| side.is_some_and(char::is_alphanumeric);
                // Two halves that join could make what was not there before.
                let joins = word(place.before) && word(place.after);
                if joins { " ".into() } else { String::new() }
            }
            Self::Pseudonym => {
                let name = key
                    .purpose("pseudonym v1")
                    .tag(&[place.entity.as_bytes(), place.value.as_bytes()]);
                format!("[{}:{}]", upper(place.entity), hex(&name[..6]))
            }
            Self::Fake => fake::fake(key, place.value).unwrap_or_else(|| placeholder(place.entity)),
        }
    }
}

fn mask(letter: char) -> char {
    if letter.is_ascii_punctuation() || letter.is_ascii_whitespace() {
        letter
    } else {
        '*'
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn redact(mode: Mode, value: &str, sides: (Option<char>, Option<char>)) -> String {
        let key = Key::new(b"a key for these tests").unwrap();
        let place = Place {
            value,
            entity: "email-address",
            before: sides.0,
            after: sides.1,
        };
        mode.replacement(place, &key)
    }

    #[test]
    fn each_mode_has_its_shape() {
        let at_ends = (None, None);
        assert_eq!(
            redact(Mode::Placeholder, "a@b.cz", at_ends),
            "[EMAIL_ADDRESS]"
        );
        assert_eq!(redact(Mode::Mask, "žo.e@b.cz\n", at_ends), "**.*@*.**\n");
        assert_eq!(redact(Mode::Mask, "\u{200b}", at_ends), "*");
        assert_eq!(redact(Mode::Remove, "a@b.cz", (Some(' '), Some('x'))), "");
        assert_eq!(redact(Mode::Remove, "a@b.cz", (Some('ů'), Some('x'))), " ");
    }

    #[test]
    fn pseudonyms_are_consistent() {
        let one = redact(Mode::Pseudonym, "a@b.cz", (None, None));
        assert_eq!(one, redact(Mode::Pseudonym, "a@b.cz", (Some('x'), None)));
        assert_ne!(one, redact(Mode::Pseudonym, "a@b.cy", (None, None)));
        assert_eq!(one.len(), "[EMAIL_ADDRESS:]".len() + 12, "{one}");
    }
}
