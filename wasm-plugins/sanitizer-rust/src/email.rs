//! E-mail addresses: from each `@` as far as the characters of a name and of a domain go.

use crate::Span;

/// An address in bytes: 64 before the `@`, 189 behind it (RFC 3696, errata 1690).
pub(crate) const LONGEST: usize = 254;
const LONGEST_NAME: usize = 64;

pub(crate) fn find(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    let mut behind_last = 0;
    for at in (0..bytes.len()).filter(|&at| bytes[at] == b'@') {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
        let name = &bytes[behind_last.max(at.saturating_sub(LONGEST_NAME))..at];
        let mut start = at - name.iter().rev().take_while(|byte| is_name(byte)).count();
        while start < at && matches!(bytes[start], b'.' | b'-') {
            start += 1;
        }
        let rest = &bytes[at + 1..bytes.len().min(at + LONGEST - LONGEST_NAME)];
        let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let mut domain = &rest[..rest.iter().take_while(|byte| is_domain(byte)).count()];
        // A full stop or a dash behind an address belongs to the sentence.
        while let [shorter @ .., b'.' | b'-'] = domain {
            domain = shorter;
        }
        if start < at && has_top_level(domain) {
            behind_last = at + 1 + domain.len();
            spans.push(Span {
                start,
                end: behind_last,
                confidence: 0.9,
            });
        }
    }
    spans
}

/// Labels between dots, the last of at least two letters.
fn has_top_level(domain: &[u8]) -> bool {
    let mut labels = domain.split(|&byte| byte == b'.').rev();
    let last = labels.next().unwrap_or_default();
    let mut rest = labels.peekable();
    last.len() >= 2
        && last.iter().all(u8::is_ascii_alphabetic)
        && rest.peek().is_some()
        && rest.all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found;

    fn addresses(text: &str) -> Vec<&str> {
        found(find, text).into_iter().map(|span| span.0).collect()
    }

    #[test]
    fn addresses_are_found_without_the_sentence_around_them() {
        for (text, expected) in [
            ("write to ada@example.org.", &["ada@example.org"][..]),
            (
                "<a.b+c@mail.example.co.uk>, or: d_e@x-y.de!",
                &["a.b+c@mail.example.co.uk", "d_e@x-y.de"],
            ),
            ("čada@example.orgů", &["ada@example.org"]),
            ("...me@here.io-", &["me@here.io"]),
            ("a@b.cz@d.cz", &["a@b.cz"]),
        ] {
            assert_eq!(addresses(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_left() {
        for text in [
            "",
            "@",
            "a@b",
            "@example.org",
            "a@b.1",
            "a@b..cz",
            "a @ b.cz",
            "a@.cz",
            "user@host.x",
        ] {
            assert!(addresses(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn none_is_longer_than_promised() {
        let text = format!("{}@{}.org", "a".repeat(500), "b.".repeat(300));
        for span in find(&text) {
            assert!(span.end - span.start <= LONGEST, "{span:?}");
        }
    }
}
