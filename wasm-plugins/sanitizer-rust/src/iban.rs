//! International bank account numbers: a country, two check digits and up to 30 letters and digits, alone or in groups of
//! four.

use crate::Span;

/// 34 characters, and a space behind every fourth.
pub(crate) const LONGEST: usize = 42;

pub(crate) fn find(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    let mut at = 0;
    while at + 4 <= bytes.len() {
        let begins = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let is_head = a.is_ascii_uppercase()
            && b.is_ascii_uppercase()
            && c.is_ascii_digit()
            && d.is_ascii_digit();
        match if begins && is_head {
            account(bytes, at)
        } else {
            None
        } {
            Some(span) => {
                at = span.end;
                spans.push(span);
            }
            None => at += 1,
        }
    }
    spans
}

/// The number that begins at `start`.
fn account(bytes: &[u8], start: usize) -> Option<Span> {
    // Words may follow a number in groups, so an end that passes the check is better than the last one.
    let (mut number, mut end) = (Vec::new(), start);
    let mut last = None;
    loop {
        let group: Vec<u8> = bytes[end..]
            .iter()
            .copied()
            .take_while(u8::is_ascii_alphanumeric)
            .take(35)
            .collect();
        let in_groups = !number.is_empty();
        if group.is_empty() || (in_groups && group.len() > 4) || number.len() + group.len() > 34 {
            break;
        }
        end += group.len();
        let is_last = group.len() != 4;
        number.extend(group);
        if number.len() >= 15
            && number
                .iter()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        {
            let confidence = if is_valid(&number) { 0.98 } else { 0.3 };
            let span = Span {
                start,
                end,
                confidence,
            };
            if confidence > 0.5 {
                return Some(span);
            }
            last = Some(span);
        }
        if is_last || bytes.get(end) != Some(&b' ') {
            break;
        }
        end += 1;
    }
    // Without the checksum only what has mostly digits is worth a finding.
    let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
    last.filter(|_| 3 * digits >= 2 * number.len())
}

/// The head moved to the end, letters as 10 to 35, the whole is 1 modulo 97 (ISO 7064).
fn is_valid(number: &[u8]) -> bool {
    let (head, rest) = number.split_at(4);
    let rest = rest.iter().chain(head);
    rest.fold(0_u32, |remainder, byte| match byte {
        b'0'..=b'9' => (10 * remainder + u32::from(byte - b'0')) % 97,
        _ => (100 * remainder + u32::from(byte - b'A') + 10) % 97,
    }) == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found;

    #[test]
    fn accounts_are_found_however_they_are_grouped() {
        for (text, expected) in [
            ("iban DE89370400440532013000; ", "DE89370400440532013000"),
            (
                "GB82 WEST 1234 5698 7654 32.",
                "GB82 WEST 1234 5698 7654 32",
            ),
            (
                "CZ65 0800 0000 1920 0014 5399 please",
                "CZ65 0800 0000 1920 0014 5399",
            ),
            ("čNO9386011117947č", "NO9386011117947"),
        ] {
            assert_eq!(found(find, text), [(expected, 0.98)], "{text:?}");
        }
    }

    #[test]
    fn a_wrong_checksum_lowers_confidence() {
        let text = "DE88370400440532013000";
        assert_eq!(found(find, text), [(text, 0.3)]);
    }

    #[test]
    fn other_words_are_left() {
        for text in [
            "",
            "DE8",
            "DE89",
            "AB12 this is text",
            "xDE89370400440532013000",
            "ISO9001CERTIFIEDCOMPANY",
            "DE89 3704",
        ] {
            assert_eq!(found(find, text), [], "{text:?}");
        }
    }
}
