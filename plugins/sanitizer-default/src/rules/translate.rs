//! From Go's regular expressions (RE2) to those of the crate `regex-syntax`.
//!
//! The two agree on nearly everything. Where they do not, the Go meaning is spelt out: a bare `{` that is no
//! repetition, `[`, `&&`, `--` and `~~` within a class, `\<` and `\>`, `\Q…\E`, and `\C`.

/// The same expression in the other dialect.
pub(super) fn from_go(pattern: &str) -> String {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut at = 0;
    while at < chars.len() {
        at = match chars[at] {
            '\\' => escape(&chars, at, &mut out),
            '[' => class(&chars, at, &mut out),
            '{' if !is_repetition(&chars[at..]) => {
                out.push_str("\\{");
                at + 1
            }
            other => {
                out.push(other);
                at + 1
            }
        };
    }
    out
}

/// `\…` at `at`; the place after it.
fn escape(chars: &[char], at: usize, out: &mut String) -> usize {
    match chars.get(at + 1) {
        Some('Q') => {
            let mut end = at + 2;
            while end < chars.len() && !(chars[end] == '\\' && chars.get(end + 1) == Some(&'E')) {
                if !chars[end].is_alphanumeric() && chars[end].is_ascii() {
                    out.push('\\');
                }
                out.push(chars[end]);
                end += 1;
            }
            (end + 2).min(chars.len())
        }
        Some('C') => {
            out.push_str("(?s-u:.)");
            at + 2
        }
        // `\<` is the start of a word in Rust, and a plain character in Go.
        Some(&c @ ('<' | '>')) => {
            out.push(c);
            at + 2
        }
        Some(&c) => {
            out.push('\\');
            out.push(c);
            at + 2
        }
        None => {
            out.push('\\');
            at + 1
        }
    }
}

/// A class that begins at `at`; the place after it.
fn class(chars: &[char], start: usize, out: &mut String) -> usize {
    out.push('[');
    let mut at = start + 1;
    if chars.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    // A bracket in the first place is a character, not the end.
    if chars.get(at) == Some(&']') {
        out.push_str("\\]");
        at += 1;
    }
    while at < chars.len() {
        match chars[at] {
            ']' => {
                out.push(']');
                return at + 1;
            }
            '\\' => at = escape(chars, at, out),
            '[' if chars.get(at + 1) == Some(&':') => {
                while at < chars.len() && chars[at] != ']' {
                    out.push(chars[at]);
                    at += 1;
                }
                if at < chars.len() {
                    out.push(']');
                    at += 1;
                }
            }
            '[' => {
                out.push_str("\\[");
                at += 1;
            }
            c @ ('&' | '-' | '~') if chars.get(at + 1) == Some(&c) => {
                out.push('\\');
                out.push(c);
                at += 1;
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    at
}

/// Whether what begins with `{` is `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(rest: &[char]) -> bool {
    let Some(end) = rest.iter().position(|&c| c == '}') else {
        return false;
    };
    let body: String = rest[1..end].iter().collect();
    let (first, second) = body.split_once(',').unwrap_or((&body, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    !first.is_empty() && digits(first) && digits(second)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::from_go;

    #[test]
    fn spells_out_what_the_dialects_read_differently() {
        let cases = [
            (r"^\$(?:\d+|{\d+})$", r"^\$(?:\d+|\{\d+})$"),
            (r"a{2,3}{x", r"a{2,3}\{x"),
            (r"[^[]", r"[^\[]"),
            (r"[]a]", r"[\]a]"),
            (r"[a&&b]", r"[a\&&b]"),
            (r"[[:alnum:]_]", r"[[:alnum:]_]"),
            (r"\<a\>", r"<a>"),
            (r"\Qa.b\E+", r"a\.b+"),
        ];
        for (go, rust) in cases {
            assert_eq!(from_go(go), rust, "{go}");
            regex_syntax::parse(rust).unwrap();
        }
    }
}
