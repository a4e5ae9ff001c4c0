//! The name of a value: where it ends, and whether it is the name of a credential.

use std::ops::Range;

use super::Hit;
use super::words::{ABOUT, ENDINGS, KEY_OF, NOT_KEY_OF, PASSWORDS, SECRETS, Words};

/// Names are at most this long to either side of the keyword.
const REACH: usize = 64;

/// What a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Chosen by people: any text.
    Password,
    /// Made by machines: random.
    Secret,
    /// Only says "key": random, and nothing less.
    Key,
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

/// The whole name around a keyword.
pub(super) fn around(text: &[u8], hit: Hit) -> Range<usize> {
    let before = text[..hit.start]
        .iter()
        .rev()
        .take(REACH)
        .take_while(|&&byte| is_name(byte))
        .count();
    let after = text[hit.end..]
        .iter()
        .take(REACH)
        .take_while(|&&byte| is_name(byte))
        .count();
    hit.start - before..hit.end + after
}

/// The words of a name, in lower case: `clientSecret`, `CLIENT_SECRET` and `client-secret` are two words each.
fn words(name: &[u8]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut fresh = true;
    for (place, &byte) in name.iter().enumerate() {
        if !byte.is_ascii_alphanumeric() {
            fresh = true;
            continue;
        }
        let lower_before =
            place > 0 && (name[place - 1].is_ascii_lowercase() || name[place - 1].is_ascii_digit());
        let lower_after = name.get(place + 1).is_some_and(u8::is_ascii_lowercase);
        let upper_before = place > 0 && name[place - 1].is_ascii_uppercase();
        let hump = byte.is_ascii_uppercase() && (lower_before || (upper_before && lower_after));
        if fresh || hump {
            words.push(String::new());
            fresh = false;
        }
        if let Some(word) = words.last_mut() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    words
}

/// What kind of credential a name is of, if any.
pub(super) fn kind(name: &[u8]) -> Option<Kind> {
    let words = words(name);
    if words.is_empty() || words.len() > 12 {
        return None;
    }
    let mut last = words.len();
    while last > 1 && (ENDINGS.contains(words[last - 1].as_str()) || is_number(&words[last - 1])) {
        last -= 1;
    }
    let words: Vec<&str> = words[..last]
        .iter()
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
        .collect();
    if words.iter().any(|word| ABOUT.contains(word)) {
        return None;
    }
    let (&end, before) = words.split_last()?;
    let joined = before.last().map(|word| format!("{word}{end}"));
    let is = |list: &Words| {
        list.contains(end)
            || joined
                .as_deref()
                .is_some_and(|joined| list.contains(joined))
    };
    if is(&PASSWORDS)
        || ["password", "passwd", "passphrase"]
            .iter()
            .any(|word| end.ends_with(word))
    {
        return Some(Kind::Password);
    }
    if is(&SECRETS) || end.ends_with("secret") || end.ends_with("apikey") || end.ends_with("token")
    {
        return Some(Kind::Secret);
    }
    if end == "key" || end == "keys" {
        return match before.last() {
            Some(word) if NOT_KEY_OF.contains(word) => None,
            Some(word) if KEY_OF.contains(word) => Some(Kind::Secret),
            _ => Some(Kind::Key),
        };
    }
    if ["auth", "salt", "signature", "cred", "seckey", "skey"].contains(&end)
        || end.ends_with("key")
    {
        return Some(Kind::Key);
    }
    None
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_and_names_about_them() {
        let cases = [
            ("password", Some(Kind::Password)),
            ("DB_PASSWORD", Some(Kind::Password)),
            ("AdminPassword2", Some(Kind::Password)),
            ("clientSecret", Some(Kind::Secret)),
            ("AWS_SECRET_ACCESS_KEY", Some(Kind::Secret)),
            ("x-api-key", Some(Kind::Secret)),
            ("key", Some(Kind::Key)),
            ("primary_key", None),
            ("password_reset_url", None),
            ("max_tokens", None),
            ("compass", None),
            ("secret_name", None),
        ];
        for (name, expected) in cases {
            assert_eq!(kind(name.as_bytes()), expected, "{name}");
        }
    }
}
