//! National numbers of western and northern Europe. Sources: the issuing authorities' descriptions.

use super::List;
use super::digits::{
    all, exactly, is_date, is_short_date, letters_and_digits, luhn_digits, number, uniform,
    weighted,
};

pub(super) const CHECKS: List = &[
    ("uk-nhs", uk_nhs),
    ("uk-nino", uk_nino),
    ("de-tax-id", de_tax_id),
    ("de-document", de_document),
    ("de-health-insurance", de_health_insurance),
    ("de-social-security", de_social_security),
    ("de-physician", de_physician),
    ("fr-nir", fr_nir),
    ("fr-siren", fr_siren),
    ("es-nif", es_nif),
    ("it-fiscal-code", it_fiscal_code),
    ("it-vat", it_vat),
    ("nl-bsn", nl_bsn),
    ("be-rrn", be_rrn),
    ("pt-nif", pt_nif),
    ("ch-ahv", ch_ahv),
    ("at-svnr", at_svnr),
    ("ie-pps", ie_pps),
    ("se-personnummer", se_personnummer),
    ("fi-hetu", fi_hetu),
    ("no-fodselsnummer", no_fodselsnummer),
    ("dk-cpr", dk_cpr),
];

/// NHS number: weights 10 to 2, modulo 11.
fn uk_nhs(text: &[u8]) -> bool {
    exactly::<10>(text).is_some_and(|d| {
        let check = 11 - weighted(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        !uniform(&d) && check != 10 && check % 11 == d[9]
    })
}

/// National Insurance number: no checksum, but prefixes that are not given out.
fn uk_nino(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    let [first, second, ..] = text[..] else {
        return false;
    };
    text.len() == 9
        && !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[first, second])
        && (b'A'..=b'D').contains(&text[8])
}

/// Steuer-ID: ISO 7064 mod 11,10; one digit of the first ten two or three times.
fn de_tax_id(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        let mut counts = [0; 10];
        for &digit in &d[..10] {
            counts[digit as usize] += 1;
        }
        d[0] != 0 && counts.iter().all(|&count| count <= 3) && iso7064_11_10(&d)
    })
}

/// ISO 7064, hybrid system mod 11,10; the last digit checks.
pub(super) fn iso7064_11_10(digits: &[u32]) -> bool {
    let Some((&check, body)) = digits.split_last() else {
        return false;
    };
    let product = body.iter().fold(10, |product, &digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == check
}

/// Machine-readable travel documents (ICAO 9303): weights 7, 3, 1 over letters and digits; the last digit checks.
fn de_document(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    let Some((&check, body)) = text.split_last() else {
        return false;
    };
    let sum: u32 = body
        .iter()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(&byte, weight)| weight * value36(byte))
        .sum();
    body.len() >= 8 && check.is_ascii_digit() && sum % 10 == u32::from(check - b'0')
}

/// 0 to 9, then A as 10 to Z as 35.
pub(super) fn value36(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'Z' => u32::from(byte - b'A') + 10,
        _ => 0,
    }
}

/// Sum of the digits of the products with weights 1, 2, 1, 2 …
fn digit_sum(digits: &[u32], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight / 10 + digit * weight % 10)
        .sum()
}

/// Krankenversichertennummer: the letter as two digits, weights 1 and 2 by turns.
fn de_health_insurance(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    let (Some(&letter), Some(rest)) = (text.first(), exactly::<9>(&text)) else {
        return false;
    };
    if !letter.is_ascii_uppercase() || text.len() != 10 {
        return false;
    }
    let place = u32::from(letter - b'A') + 1;
    let digits = [&[place / 10, place % 10], &rest[..8]].concat();
    digit_sum(&digits, &[1, 2, 1, 2, 1, 2, 1, 2, 1, 2]) % 10 == rest[8]
}

/// Rentenversicherungsnummer: area, birthday, letter, serial, check digit.
fn de_social_security(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    if text.len() != 12 || !text[8].is_ascii_uppercase() {
        return false;
    }
    let (Some(head), Some(tail)) = (exactly::<8>(&text[..8]), exactly::<3>(&text[9..])) else {
        return false;
    };
    let letter = u32::from(text[8] - b'A') + 1;
    let digits = [&head[..], &[letter / 10, letter % 10], &tail[..2]].concat();
    let (day, month) = (head[2] * 10 + head[3], head[4] * 10 + head[5]);
    let is_day = (1..=31).contains(&day) || (51..=81).contains(&day);
    is_day
        && (1..=12).contains(&month)
        && digit_sum(&digits, &[2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]) % 10 == tail[2]
}

/// Lebenslange Arztnummer: weights 4 and 9 over six digits, the seventh checks.
fn de_physician(text: &[u8]) -> bool {
    exactly::<9>(text)
        .is_some_and(|d| (10 - weighted(&d[..6], &[4, 9, 4, 9, 4, 9]) % 10) % 10 == d[6])
}

/// NIR: 97 less the number modulo 97; Corsica's departments 2A and 2B count as 19 and 18.
fn fr_nir(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    if text.len() != 15 {
        return false;
    }
    let digits: Vec<u32> = match &text[5..7] {
        b"2A" => all(&[&text[..5], b"19", &text[7..]].concat()),
        b"2B" => all(&[&text[..5], b"18", &text[7..]].concat()),
        _ => all(&text),
    };
    digits.len() == 15
        && matches!(digits[0], 1..=4 | 7 | 8)
        && 97 - number(&digits[..13]) % 97 == number(&digits[13..])
}

/// SIREN of a company: Luhn.
fn fr_siren(text: &[u8]) -> bool {
    let digits = all(text);
    matches!(digits.len(), 9 | 14) && !uniform(&digits) && luhn_digits(&digits)
}

/// DNI and NIE: the letter is the number modulo 23.
fn es_nif(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    let (Some(&letter), Some(&first)) = (text.last(), text.first()) else {
        return false;
    };
    let lead = match first {
        b'X' => Some(0),
        b'Y' => Some(1),
        b'Z' => Some(2),
        _ => None,
    };
    let digits = all(&text);
    let expected = if lead.is_some() { 7 } else { 8 };
    if digits.len() != expected || text.len() != 9 {
        return false;
    }
    let number = number(&digits) + lead.unwrap_or(0) * 10_000_000;
    b"TRWAGMYFPDXBNJZSQVHLCKE"[(number % 23) as usize] == letter
}

/// Codice fiscale: odd and even places have their own values; the last letter checks.
fn it_fiscal_code(text: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let text = letters_and_digits(text);
    if text.len() != 16 || !text[15].is_ascii_uppercase() {
        return false;
    }
    let sum: u32 = text[..15]
        .iter()
        .enumerate()
        .map(|(place, &byte)| {
            let value = if byte.is_ascii_digit() {
                byte - b'0'
            } else {
                byte - b'A'
            };
            if place % 2 == 0 {
                ODD[usize::from(value)]
            } else {
                u32::from(value)
            }
        })
        .sum();
    sum % 26 == u32::from(text[15] - b'A')
}

/// Partita IVA: Luhn over eleven digits.
fn it_vat(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| !uniform(&d) && luhn_digits(&d))
}

/// Burgerservicenummer: the eleven test, the last weight negative.
fn nl_bsn(text: &[u8]) -> bool {
    exactly::<9>(text).is_some_and(|d| {
        let sum = weighted(&d[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
        !uniform(&d) && sum % 11 == d[8] % 11
    })
}

/// Rijksregisternummer: 97 less the first nine digits modulo 97, with a 2 before them from 2000 on.
fn be_rrn(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        let check = number(&d[9..]);
        let body = number(&d[..9]);
        d[2] * 10 + d[3] <= 12
            && [body, body + 2_000_000_000]
                .iter()
                .any(|body| 97 - body % 97 == check)
    })
}

/// Número de identificação fiscal: weights 9 to 2, modulo 11.
fn pt_nif(text: &[u8]) -> bool {
    exactly::<9>(text).is_some_and(|d| {
        let rest = weighted(&d[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        let check = if rest < 2 { 0 } else { 11 - rest };
        d[0] != 0 && !uniform(&d) && check == d[8]
    })
}

/// AHV number: the check digit of EAN-13 behind 756.
fn ch_ahv(text: &[u8]) -> bool {
    exactly::<13>(text).is_some_and(|d| {
        let sum = weighted(&d[..12], &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
        d[..3] == [7, 5, 6] && (10 - sum % 10) % 10 == d[12]
    })
}

/// Sozialversicherungsnummer: the fourth digit checks.
fn at_svnr(text: &[u8]) -> bool {
    exactly::<10>(text).is_some_and(|d| {
        let sum = weighted(&d, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
        d[0] != 0
            && sum % 11 == d[3]
            && (1..=31).contains(&(d[4] * 10 + d[5]))
            && (1..=15).contains(&(d[6] * 10 + d[7]))
    })
}

/// Personal public service number: weights 8 to 2, a second letter counting nine times.
fn ie_pps(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    let Some(d) = text.get(..7).and_then(exactly::<7>) else {
        return false;
    };
    let second = text.get(8).map_or(0, |&byte| match byte {
        b'A'..=b'V' => u32::from(byte - b'A') + 1,
        _ => 0,
    });
    let sum = weighted(&d, &[8, 7, 6, 5, 4, 3, 2]) + second * 9;
    let expected = b"WABCDEFGHIJKLMNOPQRSTUV"[(sum % 23) as usize];
    matches!(text.len(), 8 | 9) && text[7] == expected
}

/// Personnummer and samordningsnummer: Luhn over the last ten digits, a day (plus 60) that exists.
fn se_personnummer(text: &[u8]) -> bool {
    let digits = all(text);
    let (century, d) = match digits.len() {
        12 => (Some(digits[0] * 10 + digits[1]), &digits[2..]),
        10 => (None, &digits[..]),
        _ => return false,
    };
    let (year, month) = (d[0] * 10 + d[1], d[2] * 10 + d[3]);
    let day = match d[4] * 10 + d[5] {
        day @ 61.. => day - 60,
        day => day,
    };
    let is_day = match century {
        Some(century @ 18..=20) => is_date(century * 100 + year, month, day),
        Some(_) => false,
        None => is_short_date(year, month, day),
    };
    is_day && luhn_digits(d)
}

/// Henkilötunnus: the sign of the century, a day that exists, the number modulo 31.
fn fi_hetu(text: &[u8]) -> bool {
    let text = text.to_ascii_uppercase();
    if text.len() != 11 {
        return false;
    }
    let century = match text[6] {
        b'+' => 1800,
        b'-' | b'U'..=b'Y' => 1900,
        b'A'..=b'F' => 2000,
        _ => return false,
    };
    let (Some(day), Some(serial)) = (exactly::<6>(&text[..6]), exactly::<3>(&text[7..10])) else {
        return false;
    };
    let number = number(&day) * 1000 + number(&serial);
    is_date(
        century + day[4] * 10 + day[5],
        day[2] * 10 + day[3],
        day[0] * 10 + day[1],
    ) && self::number(&serial) >= 2
        && b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(number % 31) as usize] == text[10]
}

/// Fødselsnummer and D-number: two check digits modulo 11.
fn no_fodselsnummer(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        let day = (d[0] % 4) * 10 + d[1];
        let month = d[2] * 10 + d[3];
        let first = (11 - weighted(&d[..9], &[3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11) % 11;
        let second = (11 - weighted(&d[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
        (1..=31).contains(&day) && (1..=12).contains(&month) && first == d[9] && second == d[10]
    })
}

/// CPR: a day that exists; numbers since 2007 need not pass the old test modulo 11.
fn dk_cpr(text: &[u8]) -> bool {
    exactly::<10>(text)
        .is_some_and(|d| is_short_date(d[4] * 10 + d[5], d[2] * 10 + d[3], d[0] * 10 + d[1]))
}

#[cfg(test)]
mod tests {
    use super::super::Check;
    use super::*;

    #[test]
    fn published_and_computed_numbers() {
        let cases: [(Check, &str, &str); 18] = [
            (uk_nhs, "943 476 5919", "943 476 5918"),
            (uk_nino, "AB 12 34 56 C", "GB 12 34 56 C"),
            (de_tax_id, "86095742719", "86095742718"),
            (de_document, "T220001293", "T220001294"),
            (de_health_insurance, "A123456780", "A123456781"),
            (de_social_security, "65170839J003", "65170839J009"),
            (fr_nir, "1 84 12 76 451 089 46", "1 84 12 76 451 089 47"),
            (es_nif, "12345678Z", "12345678A"),
            (es_nif, "X1234567L", "X1234567M"),
            (it_fiscal_code, "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
            (nl_bsn, "111222333", "111222334"),
            (be_rrn, "85.07.30-033.28", "85.07.30-033.29"),
            (pt_nif, "123456789", "123456788"),
            (ch_ahv, "756.9217.0769.85", "756.9217.0769.86"),
            (at_svnr, "1237 010180", "1238 010180"),
            (ie_pps, "1234567T", "1234567A"),
            (se_personnummer, "811228-9874", "811228-9875"),
            (fi_hetu, "131052-308T", "131052-308U"),
        ];
        for (check, right, wrong) in cases {
            assert!(check(right.as_bytes()), "{right}");
            assert!(!check(wrong.as_bytes()), "{wrong}");
        }
    }
}
