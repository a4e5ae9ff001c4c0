//! Whether a value is a secret: neither a placeholder, nor a variable, nor code, nor a sentence.

use std::ops::Range;

use memchr::memmem;

use super::name::Kind;
use super::syntax::{Given, Quote};
use super::words::{NOTHING, PLACEHOLDERS};
use crate::entropy;

/// How sure it is that the value is a secret, or nothing.
pub(super) fn judge(text: &[u8], name: &Range<usize>, kind: Kind, given: &Given) -> Option<f32> {
    let bytes = &text[given.range.clone()];
    let value = std::str::from_utf8(bytes).ok()?;
    let lower = value.to_lowercase();
    let shortest = if kind == Kind::Password { 4 } else { 8 };
    if bytes.len() < shortest || NOTHING.contains(lower.as_str()) {
        return None;
    }
    if is_uniform(bytes)
        || is_reference(bytes)
        || PLACEHOLDERS
            .split('|')
            .any(|word| contains(lower.as_bytes(), word.as_bytes()))
    {
        return None;
    }
    let called = String::from_utf8_lossy(&text[name.clone()]).to_lowercase();
    if is_about(&called, &lower) {
        return None;
    }
    if given.quote == Quote::Bare && !is_bare_value(text, given, bytes, kind) {
        return None;
    }
    match kind {
        Kind::Password => password(text, name, given, bytes),
        Kind::Secret => random(bytes, 3.0, 0.75),
        Kind::Key => random(bytes, 3.5, 0.55).filter(|_| bytes.len() >= 16),
    }
}

/// A few characters again and again.
fn is_uniform(bytes: &[u8]) -> bool {
    let mut seen = bytes.to_vec();
    seen.sort_unstable();
    seen.dedup();
    seen.len() <= 2 || bytes.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

/// Variables, templates, calls, paths, addresses.
fn is_reference(bytes: &[u8]) -> bool {
    let templates: [&[u8]; 10] = [
        b"${", b"{{", b"<%", b"#{", b"%(", b"$(", b"%s", b"{0}", b"&lt;", b"://",
    ];
    templates.iter().any(|sign| contains(bytes, sign))
        || matches!(
            bytes,
            [b'<', .., b'>'] | [b'[', .., b']'] | [b'%', .., b'%'] | [b'{', .., b'}'] | [b'(', ..]
        )
        || (bytes[0] == b'$'
            && bytes[1..]
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_$:.-[]'\"".contains(byte))
            && !bytes.starts_with(b"$2"))
        || bytes.starts_with(b"/")
        || bytes.starts_with(b"./")
        || bytes.starts_with(b"~/")
        || bytes.starts_with(b"@")
        || bytes.starts_with(b"#")
        || bytes.ends_with(b":")
}

/// The value repeats its name, or is a name of the same kind: `password = "user_password"`.
fn is_about(name: &str, value: &str) -> bool {
    let plain = |text: &str| {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
    };
    let (name, value) = (plain(name), plain(value));
    let words = [
        "password",
        "passwd",
        "secret",
        "token",
        "apikey",
        "accesskey",
        "credential",
    ];
    name.contains(&value) && value.len() * 2 >= name.len() && value.len() > 5
        || words.iter().any(|word| {
            value.ends_with(word)
                && value.len() <= word.len() + 14
                && !value.bytes().any(|byte| byte.is_ascii_digit())
        })
}

/// A bare word is a value in a configuration, and a variable or a call in code.
fn is_bare_value(text: &[u8], given: &Given, bytes: &[u8], kind: Kind) -> bool {
    let calls = bytes.iter().any(|byte| b"({[".contains(byte))
        || contains(bytes, b"->")
        || contains(bytes, b"::");
    if calls {
        return false;
    }
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_name = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(byte));
    let dotted =
        bytes.contains(&b'.') && is_name && !bytes[0].is_ascii_digit() && digits * 4 < bytes.len();
    if dotted {
        return false;
    }
    let next = text.get(given.range.end..).and_then(|rest| rest.first());
    // A statement ends with a semicolon, a pair of a connection string as well; only the latter has its neighbours.
    if is_name
        && digits == 0
        && matches!(next, Some(b';' | b'(' | b')' | b'[' | b'.'))
        && !given.configured
    {
        return false;
    }
    if kind == Kind::Password && is_name && digits == 0 {
        return given.configured && has_user_near(text, given.range.start);
    }
    given.configured || digits > 0
}

/// A user's name shortly before: what follows is configuration, not code.
fn has_user_near(text: &[u8], at: usize) -> bool {
    let before = text[at.saturating_sub(160)..at].to_ascii_lowercase();
    let line = before
        .split(|&byte| byte == b'\n')
        .next_back()
        .unwrap_or_default();
    let whole =
        contains(&before, b"user") || contains(&before, b"uid=") || contains(&before, b"login");
    let environment = line
        .iter()
        .take_while(|&&byte| byte != b'=')
        .any(|&byte| byte == b'_')
        && !line.contains(&b' ');
    whole || environment
}

/// A password: no sentence, no label.
fn password(text: &[u8], name: &Range<usize>, given: &Given, bytes: &[u8]) -> Option<f32> {
    if bytes.len() > 128 || bytes.iter().any(u8::is_ascii_control) {
        return None;
    }
    let spaces = memchr::memchr_iter(b' ', bytes).count();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = bytes
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    let signs = bytes.len() - digits - letters - spaces;
    let foreign = bytes.iter().any(|byte| !byte.is_ascii());
    if spaces > 0 && (spaces > 1 || !has_user_near(text, name.start)) && digits == 0 {
        return None;
    }
    if foreign && digits == 0 || bytes[0] == b' ' || (spaces > 2 && given.quote != Quote::Bare) {
        return None;
    }
    // Keys of translations and fields: words joined by dots, dashes or underscores.
    let joined = bytes
        .iter()
        .all(|byte| byte.is_ascii_lowercase() || b"._-".contains(byte));
    if joined && signs > 0 && digits == 0 && !has_user_near(text, name.start) {
        return None;
    }
    let kinds = [
        digits > 0,
        signs + spaces > 0,
        bytes.iter().any(u8::is_ascii_lowercase),
        bytes.iter().any(u8::is_ascii_uppercase),
    ]
    .iter()
    .filter(|&&is| is)
    .count();
    let random = entropy(bytes);
    Some(match (kinds, bytes.len()) {
        (3.., 8..) => 0.85,
        (2.., 8..) if random > 2.5 => 0.7,
        (2.., _) => 0.6,
        _ if bytes.len() >= 8 => 0.5,
        _ => 0.35,
    })
}

/// Something that a machine made: enough entropy, digits among letters, no words.
fn random(bytes: &[u8], least: f64, confidence: f32) -> Option<f32> {
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let plain = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-+/=.~!@#$%^&*:|;?,".contains(byte));
    let random = entropy(bytes);
    let hex = bytes
        .iter()
        .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let least = if hex { least.min(2.8) } else { least };
    if !plain || random < least || bytes.contains(&b' ') {
        return None;
    }
    if digits == 0 && (bytes.len() < 20 || !looks_random(bytes)) {
        return None;
    }
    // Versions, dates and plain numbers.
    let number = bytes
        .iter()
        .all(|byte| byte.is_ascii_digit() || b".:-+/".contains(byte));
    if number && (bytes.len() < 20 || bytes.contains(&b'.')) {
        return None;
    }
    if digits > 0 && digits <= 2 && is_wordy(bytes) {
        return None;
    }
    Some(if bytes.len() >= 16 {
        confidence + 0.1
    } else {
        confidence
    })
}

/// Letters only, yet no words: upper and lower case change often.
fn looks_random(bytes: &[u8]) -> bool {
    let changes = bytes
        .windows(2)
        .filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        .count();
    let one_case =
        bytes.iter().all(u8::is_ascii_lowercase) || bytes.iter().all(u8::is_ascii_uppercase);
    (changes * 6 >= bytes.len() || (one_case && entropy(bytes) > 3.6)) && !is_wordy(bytes)
}

/// Words of a language joined by signs or humps: vowels and consonants take turns, and words are long.
fn is_wordy(bytes: &[u8]) -> bool {
    let mut words = 0;
    let mut wordy = 0;
    for word in bytes.split(|byte| !byte.is_ascii_alphabetic()) {
        if word.len() < 3 {
            continue;
        }
        words += word.len();
        let vowels = word
            .iter()
            .filter(|byte| b"aeiouyAEIOUY".contains(byte))
            .count();
        let inner_upper = word[1..]
            .iter()
            .filter(|byte| byte.is_ascii_uppercase())
            .count();
        let regular = word.iter().all(u8::is_ascii_uppercase) || inner_upper * 4 <= word.len();
        if regular && vowels * 5 >= word.len() && vowels * 3 <= word.len() * 2 {
            wordy += word.len();
        }
    }
    words > 0
        && wordy * 4 >= words * 3
        && words * 10 >= bytes.len() * 7
        && memmem::find(bytes, b"==").is_none()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}
