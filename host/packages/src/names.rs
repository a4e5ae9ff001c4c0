//! Names of plugins and paths in packages: what is allowed, and what looks too much like something else.

use codex_plugin_api::{Error, Result};

mod paths;

pub use paths::{PathSet, check_path};

/// The longest name.
pub const MAX_NAME: usize = 64;

/// Letters of other alphabets that are drawn like Latin ones. Names are ASCII anyway; this only makes the error say why.
const LOOK_ALIKES: &[(char, char)] = &[
    ('а', 'a'),
    ('с', 'c'),
    ('ԁ', 'd'),
    ('е', 'e'),
    ('һ', 'h'),
    ('і', 'i'),
    ('ј', 'j'),
    ('ӏ', 'l'),
    ('о', 'o'),
    ('р', 'p'),
    ('ѕ', 's'),
    ('х', 'x'),
    ('у', 'y'),
    ('ο', 'o'),
    ('ν', 'v'),
    ('α', 'a'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ρ', 'p'),
    ('υ', 'u'),
    ('ℓ', 'l'),
    ('ı', 'i'),
    ('‐', '-'),
    ('‑', '-'),
    ('–', '-'),
    ('—', '-'),
    ('−', '-'),
];

/// Checks a plugin's name: lower-case letters, digits and hyphens, beginning with a letter, at most 64 characters.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] that names the character; the name is shown without what would steer a
/// terminal.
pub fn check(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let shown: String = name
        .chars()
        .take(MAX_NAME)
        .flat_map(char::escape_default)
        .collect();
    let wrong = |why: String| {
        Err(Error::config(format!("plugin name \"{shown}\" {why}"))
            .hint("a name is lower-case letters, digits and hyphens, begins with a letter and has at most 64 of them"))
    };
    if let Some(bad) = name.chars().find(|c| !good(*c)) {
        let code = bad as u32;
        let latin = LOOK_ALIKES.iter().find(|(other, _)| *other == bad);
        return match latin {
            Some((_, latin)) => wrong(format!(
                "holds U+{code:04X}, which looks like {latin:?} and is not"
            )),
            None if bad.is_control() => wrong(format!("holds the control character U+{code:04X}")),
            None => wrong(format!("holds U+{code:04X}")),
        };
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return wrong("does not begin with a letter".into());
    }
    if name.len() > MAX_NAME {
        return wrong(format!("has {} characters", name.len()));
    }
    Ok(())
}

/// A known name that `name` could be taken for: one that is drawn alike, or one slip of the hand away.
pub fn resembles<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let drawn = skeleton(name);
    known.into_iter().filter(|other| *other != name).find(|other| {
        drawn == skeleton(other)
            // Short names differ by one letter for good reasons.
            || name.len().min(other.len()) >= 5 && strsim::osa_distance(name, other) == 1 && !differ_in_number(name, other)
    })
}

/// The known name that somebody who typed `name` most likely meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|other| {
            // Parts of a name are often forgotten (`lm` for `metric-lm`), which edit distance punishes.
            let part = name.len() >= 2 && other.split('-').any(|part| part == name);
            let likeness = strsim::jaro_winkler(name, other);
            (other, if part { likeness.max(0.9) } else { likeness })
        })
        .filter(|(_, likeness)| *likeness >= 0.8)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(other, _)| other)
}

/// A name with what is drawn alike made the same, and without hyphens.
fn skeleton(name: &str) -> String {
    name.replace('-', "")
        .replace("rn", "m")
        .replace("vv", "w")
        .replace("cl", "d")
        .replace('0', "o")
        .replace(['1', 'i'], "l")
        .replace('5', "s")
}

/// Whether two names are the same but for a digit (`tokenizer-v1`, `tokenizer-v2`): versions of one thing, not a slip.
fn differ_in_number(a: &str, b: &str) -> bool {
    let letters = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    letters(a) == letters(b)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_are_ascii_and_errors_say_which_character_is_not() {
        for good in ["a", "metric-lm", "x2", &"a".repeat(64)] {
            check(good).unwrap();
        }
        for (bad, words) in [
            ("", "does not begin with a letter"),
            ("-a", "does not begin with a letter"),
            ("1a", "does not begin with a letter"),
            ("Metric", "holds U+004D"),
            ("metric_lm", "holds U+005F"),
            (
                "me\u{1b}[2Jtric",
                "\"me\\u{1b}[2Jtric\" holds the control character U+001B",
            ),
            (
                "m\u{0435}tric",
                "holds U+0435, which looks like 'e' and is not",
            ),
            ("../up", "holds U+002E"),
            (&"a".repeat(65), "has 65 characters"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.message().contains(words), "{error} lacks {words}");
            assert!(!error.message().chars().any(char::is_control));
        }
    }

    #[test]
    fn names_that_could_be_mistaken_are_recognised() {
        let known = ["metric-lm", "shout", "tokenizer-v1", "abc"];
        for (name, like) in [
            ("metric-1m", Some("metric-lm")),
            ("metriclm", Some("metric-lm")),
            ("metrlc-lm", Some("metric-lm")),
            ("shoot", Some("shout")),
            ("shuot", Some("shout")),
            ("tokenizer-v2", None),
            ("abd", None),
            ("shout", None),
            ("tracker", None),
        ] {
            assert_eq!(resembles(name, known), like, "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_found() {
        let known = ["metric-lm", "shout"];
        assert_eq!(nearest("lm", known), Some("metric-lm"));
        assert_eq!(nearest("shuot", known), Some("shout"));
        assert_eq!(nearest("tracker", known), None);
    }
}
