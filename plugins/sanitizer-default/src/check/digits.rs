//! Check digits that several countries and cards share, and dates.

use super::List;

pub(super) const CHECKS: List = &[
    ("luhn", luhn),
    ("card", card),
    ("iban", iban),
    ("verhoeff", verhoeff),
    ("date", date_text),
];

/// The digits of `text`, when it holds exactly `N`; separators do not count.
pub(super) fn exactly<const N: usize>(text: &[u8]) -> Option<[u32; N]> {
    let mut digits = [0; N];
    let mut count = 0;
    for &byte in text.iter().filter(|byte| byte.is_ascii_digit()) {
        *digits.get_mut(count)? = u32::from(byte - b'0');
        count += 1;
    }
    (count == N).then_some(digits)
}

/// All digits of `text`.
pub(super) fn all(text: &[u8]) -> Vec<u32> {
    text.iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|byte| u32::from(byte - b'0'))
        .collect()
}

/// Letters and digits of `text`, in upper case.
pub(super) fn letters_and_digits(text: &[u8]) -> Vec<u8> {
    text.iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_uppercase)
        .collect()
}

/// Σ digit × weight.
pub(super) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum()
}

/// The number that digits form.
pub(super) fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0u64, |number, &digit| {
        number.wrapping_mul(10).wrapping_add(u64::from(digit))
    })
}

/// Whether all digits are the same, which no authority gives out.
pub(super) fn uniform(digits: &[u32]) -> bool {
    digits.windows(2).all(|pair| pair[0] == pair[1])
}

/// Whether there is such a day.
pub(super) fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// Whether a year of two digits has such a day in this century or the last.
pub(super) fn is_short_date(year: u32, month: u32, day: u32) -> bool {
    is_date(1900 + year, month, day) || is_date(2000 + year, month, day)
}

pub(super) fn luhn_digits(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, digit) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// ISO/IEC 7812: the last digit of payment cards and of many numbers.
fn luhn(text: &[u8]) -> bool {
    let digits = all(text);
    digits.len() > 1 && !uniform(&digits) && luhn_digits(&digits)
}

/// A payment card: a length that is given out, and Luhn.
fn card(text: &[u8]) -> bool {
    (12..=19).contains(&all(text).len()) && luhn(text)
}

/// ISO 13616 with the length that each country has.
fn iban(text: &[u8]) -> bool {
    /// Country and length of the number, as the registry of SWIFT has them.
    const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 \
        EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 \
        IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 \
        NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 SM27 ST25 SV28 \
        TL23 TN24 TR26 UA29 VA22 VG24 XK20";
    let text = letters_and_digits(text);
    let Some((country, rest)) = text.split_first_chunk::<4>() else {
        return false;
    };
    let length = text.len().to_string();
    let known = LENGTHS.split_ascii_whitespace().any(|entry| {
        let (code, of) = entry.split_at(2);
        country.starts_with(code.as_bytes()) && of == length
    });
    known && mod97(rest.iter().chain(country)) == 1
}

/// The remainder modulo 97, letters counting as 10 to 35.
pub(super) fn mod97<'a>(text: impl Iterator<Item = &'a u8>) -> u32 {
    text.fold(0, |rest, &byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        b'A'..=b'Z' => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        _ => rest,
    })
}

/// Verhoeff's check digit in the dihedral group of order ten.
fn verhoeff(text: &[u8]) -> bool {
    const PERMUTATION: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let digits = all(text);
    if digits.len() < 2 || uniform(&digits) {
        return false;
    }
    let permute = |digit: u32, times: usize| {
        (0..times % 8).fold(digit, |digit, _| PERMUTATION[digit as usize])
    };
    let multiply = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a - 5 + 5 - (b - 5)) % 5,
    };
    digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |check, (place, &digit)| {
            multiply(check, permute(digit, place))
        })
        == 0
}

/// A date with a year of four digits, the year first or last; day and month in either order.
fn date_text(text: &[u8]) -> bool {
    let parts: Vec<u32> = text
        .split(|byte| !byte.is_ascii_digit())
        .filter(|part| !part.is_empty() && part.len() <= 4)
        .map(|part| {
            part.iter()
                .fold(0, |n, byte| n * 10 + u32::from(byte - b'0'))
        })
        .collect();
    let plausible = |year: u32, month: u32, day: u32| {
        (1880..=2100).contains(&year) && is_date(year, month, day)
    };
    match parts[..] {
        [a, b, c] => {
            plausible(a, b, c)
                || plausible(c, b, a)
                || plausible(c, a, b)
                || (c < 100 && (is_short_date(c, b, a) || is_short_date(c, a, b)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_of_published_numbers() {
        assert!(card(b"4111 1111 1111 1111") && !card(b"4111 1111 1111 1112"));
        assert!(iban(b"GB82 WEST 1234 5698 7654 32") && !iban(b"GB82 WEST 1234 5698 7654 33"));
        assert!(iban(b"DE89370400440532013000") && !iban(b"DE8937040044053201300"));
        assert!(verhoeff(b"2363") && !verhoeff(b"2364"));
        assert!(date_text(b"29.02.2000") && !date_text(b"29.02.1900") && date_text(b"1990-12-31"));
    }
}
