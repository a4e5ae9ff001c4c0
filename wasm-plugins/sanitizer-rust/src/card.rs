//! Payment cards: 13 to 19 digits that begin as the networks' numbers do, alone or in groups with spaces or hyphens.

use crate::Span;

/// 19 digits and a separator between any two.
pub(crate) const LONGEST: usize = 37;

pub(crate) fn find(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let (digits, end) = number(bytes, at);
        let alone = (at == 0 || !is_word(bytes[at - 1]))
            && bytes.get(end).is_none_or(|&next| !is_word(next));
        if alone && (13..=19).contains(&digits.len()) && is_of_a_network(&digits) {
            let confidence = if passes_luhn(&digits) { 0.95 } else { 0.3 };
            spans.push(Span {
                start: at,
                end,
                confidence,
            });
        }
        at = end;
    }
    spans
}

/// The digits of a number from `start` on, with single spaces or hyphens between them, and where it ends.
fn number(bytes: &[u8], start: usize) -> (Vec<u8>, usize) {
    let (mut digits, mut end) = (Vec::new(), start);
    loop {
        match bytes.get(end..).unwrap_or_default() {
            [digit, ..] if digit.is_ascii_digit() => end += 1,
            [b' ' | b'-', digit, ..] if digit.is_ascii_digit() => end += 2,
            _ => return (digits, end),
        }
        digits.push(bytes[end - 1] - b'0');
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// American Express, Diners and JCB begin with 3, Visa with 4, Mastercard with 5 or 2, Discover and UnionPay with 6.
fn is_of_a_network(digits: &[u8]) -> bool {
    matches!(digits, [2..=6, ..])
}

/// Every second digit from the right doubled, the digits of all added up (Luhn 1954).
fn passes_luhn(digits: &[u8]) -> bool {
    let value = |(place, digit): (usize, &u8)| match (place % 2, digit) {
        (0, digit) => u32::from(*digit),
        (_, 0..=4) => u32::from(2 * digit),
        _ => u32::from(2 * digit - 9),
    };
    digits.iter().rev().enumerate().map(value).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found;

    #[test]
    fn cards_are_found_however_they_are_grouped() {
        for (text, expected) in [
            ("card 4111 1111 1111 1111.", "4111 1111 1111 1111"),
            ("5500-0000-0000-0004", "5500-0000-0000-0004"),
            ("č378282246310005č", "378282246310005"),
        ] {
            assert_eq!(found(find, text), [(expected, 0.95)], "{text:?}");
        }
    }

    #[test]
    fn a_wrong_checksum_lowers_confidence() {
        assert_eq!(
            found(find, "4111 1111 1111 1112"),
            [("4111 1111 1111 1112", 0.3)]
        );
    }

    #[test]
    fn other_numbers_are_left() {
        for text in [
            "411111111111",
            "41111111111111111111",
            "x4111111111111111",
            "4111111111111111_",
            "0123456789012",
            "4111  1111 1111 1111",
            "",
        ] {
            assert_eq!(found(find, text), [], "{text:?}");
        }
    }
}
