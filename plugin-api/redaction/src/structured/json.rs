//! JSON documents: their strings, keys and integers by byte range.
//!
//! `serde_json` says whether a document is JSON; the tokens' places are then found by a walk that may rely on that.
//! (`RawValue` gives ranges, too, but has to be parsed once a level of nesting, and changes how numbers are kept for
//! every crate of the build.)

use std::ops::Range;

use serde::de::IgnoredAny;

use super::{Builder, Part, Value, View};

/// Shorter integers identify nobody and open nothing; counts and times would be riddled.
const FEWEST_DIGITS: usize = 9;

/// What the walk comes by. Ranges are the source's; a string's is without its quotes.
enum Token {
    Open { list: bool },
    Close,
    Comma,
    String(Range<usize>),
    Number(Range<usize>),
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Walk<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let start = self.at;
            let byte = *self.bytes.get(start)?;
            self.at += 1;
            match byte {
                b'{' | b'[' => return Some(Token::Open { list: byte == b'[' }),
                b'}' | b']' => return Some(Token::Close),
                b',' => return Some(Token::Comma),
                b'"' => {
                    while let Some(&byte) = self.bytes.get(self.at) {
                        self.at += if byte == b'\\' { 2 } else { 1 };
                        if byte == b'"' {
                            return Some(Token::String(start + 1..self.at - 1));
                        }
                    }
                    return None;
                }
                b'-' | b'0'..=b'9' => {
                    let rest = self.bytes[self.at..].iter();
                    self.at += rest
                        .take_while(|byte| {
                            matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
                        })
                        .count();
                    return Some(Token::Number(start..self.at));
                }
                _ => {}
            }
        }
    }
}

fn walk(source: &str) -> Walk<'_> {
    Walk {
        bytes: source.as_bytes(),
        at: 0,
    }
}

/// Where the walk stands: a path of keys (as they are written) and indices.
enum Step<'a> {
    Object { key: Option<&'a str> },
    List { index: usize },
}

/// Follows the tokens and says which string is a key.
struct Path<'a> {
    source: &'a str,
    steps: Vec<Step<'a>>,
}

impl Path<'_> {
    /// Returns whether the token is a key.
    fn follow(&mut self, token: &Token) -> bool {
        match token {
            Token::Open { list: true } => self.steps.push(Step::List { index: 0 }),
            Token::Open { list: false } => self.steps.push(Step::Object { key: None }),
            Token::Close => {
                self.steps.pop();
            }
            Token::Comma => match self.steps.last_mut() {
                Some(Step::Object { key }) => *key = None,
                Some(Step::List { index }) => *index += 1,
                None => {}
            },
            Token::String(range) => {
                if let Some(Step::Object { key: key @ None }) = self.steps.last_mut() {
                    *key = Some(&self.source[range.clone()]);
                    return true;
                }
            }
            Token::Number(_) => {}
        }
        false
    }

    fn pointer(&self) -> String {
        self.steps.iter().fold(String::new(), |mut pointer, step| {
            pointer.push('/');
            match step {
                Step::List { index } => pointer.push_str(&index.to_string()),
                Step::Object { key } => {
                    let mut decoded = String::new();
                    decode(key.unwrap_or_default(), |_, letter| decoded.push(letter));
                    pointer.push_str(&decoded.replace('~', "~0").replace('/', "~1"));
                }
            }
            pointer
        })
    }
}

/// Calls `each` with the range and character of every character of a string's inside; half of a surrogate pair
/// becomes U+FFFD.
fn decode(inside: &str, mut each: impl FnMut(Range<usize>, char)) {
    let mut at = 0;
    while let Some(letter) = inside[at..].chars().next() {
        let start = at;
        at += letter.len_utf8();
        if letter != '\\' {
            each(start..at, letter);
            continue;
        }
        let Some(escape) = inside[at..].chars().next() else {
            return;
        };
        at += escape.len_utf8();
        let letter = match escape {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (letter, length) = unicode(&inside[at..]);
                at += length;
                letter
            }
            other => other,
        };
        each(start..at, letter);
    }
}

/// The character behind `\u`, and the bytes it takes.
fn unicode(digits: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = digits.get(from..from + 4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else {
        return (char::REPLACEMENT_CHARACTER, 0);
    };
    if (0xD800..0xDC00).contains(&first)
        && digits.get(4..6) == Some("\\u")
        && let Some(second) = unit(6)
        && (0xDC00..0xE000).contains(&second)
    {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            10,
        );
    }
    (
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        4,
    )
}

/// The view of a document, or why it is none.
pub(super) fn view(source: &str, numbers: bool) -> Result<View<'_>, String> {
    serde_json::from_str::<IgnoredAny>(source).map_err(|error| error.to_string())?;
    let mut builder = Builder::new(source);
    let mut path = Path {
        source,
        steps: Vec::new(),
    };
    for token in walk(source) {
        let is_key = path.follow(&token);
        let (part, range) = match token {
            Token::String(range) if is_key => (Part::Key, range),
            Token::String(range) => (Part::String, range),
            Token::Number(range) if numbers && is_long_integer(&source[range.clone()]) => {
                (Part::Number, range)
            }
            _ => continue,
        };
        let start = builder.place(range.start);
        let inside = &source[range.clone()];
        if part != Part::Number && inside.contains('\\') {
            decode(inside, |place, letter| {
                if inside[place.clone()].starts_with('\\') {
                    builder.replace(range.start + place.start..range.start + place.end, letter);
                }
            });
        }
        let end = builder.place(range.end);
        builder.values.push(Value {
            part,
            range: start..end,
        });
    }
    Ok(builder.finish())
}

/// The pointers of places, which are in order and lie inside of values.
pub(super) fn pointers(source: &str, places: &[usize]) -> Vec<Option<String>> {
    let mut path = Path {
        source,
        steps: Vec::new(),
    };
    let mut found = Vec::with_capacity(places.len());
    for token in walk(source) {
        path.follow(&token);
        let (Token::String(range) | Token::Number(range)) = token else {
            continue;
        };
        let mut pointer = None;
        while places.get(found.len()).is_some_and(|&at| at < range.end) {
            found.push(Some(pointer.get_or_insert_with(|| path.pointer()).clone()));
        }
        if found.len() == places.len() {
            break;
        }
    }
    found.resize(places.len(), None);
    found
}

fn is_long_integer(token: &str) -> bool {
    let digits = token.strip_prefix('-').unwrap_or(token);
    digits.len() >= FEWEST_DIGITS && is_integer(token)
}

/// Whether a text is an integer as JSON writes one.
pub(super) fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

/// The inside of a JSON string that says this text.
pub(super) fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
