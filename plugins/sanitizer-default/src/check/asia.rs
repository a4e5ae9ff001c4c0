//! National numbers of Asia and Oceania.

use super::List;
use super::digits::{
    all, exactly, is_date, letters_and_digits, luhn_digits, number, uniform, weighted,
};
use super::europe::value36;

pub(super) const CHECKS: List = &[
    ("cn-id", cn_id),
    ("kr-rrn", kr_rrn),
    ("kr-frn", kr_frn),
    ("kr-brn", kr_brn),
    ("jp-my-number", jp_my_number),
    ("tw-id", tw_id),
    ("hk-id", hk_id),
    ("sg-nric", sg_nric),
    ("th-id", th_id),
    ("in-gstin", in_gstin),
    ("il-id", il_id),
    ("au-tfn", au_tfn),
    ("au-abn", au_abn),
    ("au-acn", au_acn),
    ("au-medicare", au_medicare),
    ("nz-ird", nz_ird),
];

/// Resident identity number: a birthday, ISO 7064 mod 11-2, X for ten.
fn cn_id(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    let Some(d) = text.get(..17).and_then(exactly::<17>) else {
        return false;
    };
    let sum = weighted(&d, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let (year, month, day) = (
        number(&d[6..10]) as u32,
        d[10] * 10 + d[11],
        d[12] * 10 + d[13],
    );
    text.len() == 18
        && is_date(year, month, day)
        && (1850..=2100).contains(&year)
        && b"10X98765432"[(sum % 11) as usize] == text[17]
}

/// A Korean birthday, with the century from the seventh digit.
fn kr_birthday(d: &[u32; 13]) -> bool {
    let century = match d[6] {
        1 | 2 | 5 | 6 => 1900,
        3 | 4 | 7 | 8 => 2000,
        _ => 1800,
    };
    is_date(
        century + d[0] * 10 + d[1],
        d[2] * 10 + d[3],
        d[4] * 10 + d[5],
    )
}

/// Resident registration number; those given out since October 2020 have no checksum.
fn kr_rrn(text: &[u8]) -> bool {
    exactly::<13>(text).is_some_and(|d| (1..=4).contains(&d[6]) && kr_birthday(&d))
}

/// Foreigner registration number.
fn kr_frn(text: &[u8]) -> bool {
    exactly::<13>(text).is_some_and(|d| (5..=8).contains(&d[6]) && kr_birthday(&d))
}

/// Business registration number.
fn kr_brn(text: &[u8]) -> bool {
    exactly::<10>(text).is_some_and(|d| {
        let sum = weighted(&d[..9], &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + d[8] * 5 / 10;
        !uniform(&d) && (10 - sum % 10) % 10 == d[9]
    })
}

/// My Number: weights 6 to 2 and 7 to 2, modulo 11.
fn jp_my_number(text: &[u8]) -> bool {
    exactly::<12>(text).is_some_and(|d| {
        let rest = weighted(&d[..11], &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
        let check = if rest <= 1 { 0 } else { 11 - rest };
        !uniform(&d) && check == d[11]
    })
}

/// National identification card: the letter as two digits, weights 1, 9, 8 … 1, 1.
fn tw_id(text: &[u8]) -> bool {
    const ORDER: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let text = letters_and_digits(text);
    let (Some(&letter), Some(d)) = (text.first(), exactly::<9>(&text)) else {
        return false;
    };
    let Some(place) = ORDER.iter().position(|&known| known == letter) else {
        return false;
    };
    let code = place as u32 + 10;
    let sum = code / 10 + code % 10 * 9 + weighted(&d, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    text.len() == 10 && sum.is_multiple_of(10)
}

/// Hong Kong identity card: weights 9 to 1 over letters and digits, modulo 11, A for ten.
fn hk_id(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    if !(8..=9).contains(&text.len()) {
        return false;
    }
    let (body, check) = text.split_at(text.len() - 1);
    let mut sum = if body.len() == 7 { 9 * 36 } else { 0 };
    for (&byte, weight) in body.iter().rev().zip(2..) {
        sum += value36(byte) * weight;
    }
    let check = if check[0] == b'A' {
        10
    } else {
        value36(check[0])
    };
    (sum + check).is_multiple_of(11)
}

/// NRIC and FIN: weights 2 7 6 5 4 3 2, an offset by prefix, a letter of three tables.
fn sg_nric(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    let Some(d) = text.get(1..8).and_then(exactly::<7>) else {
        return false;
    };
    let (offset, table): (u32, &[u8; 11]) = match text[0] {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    let sum = weighted(&d, &[2, 7, 6, 5, 4, 3, 2]) + offset;
    text.len() == 9 && table[(sum % 11) as usize] == text[8]
}

/// Thai national ID: weights 13 to 2, modulo 11.
fn th_id(text: &[u8]) -> bool {
    exactly::<13>(text).is_some_and(|d| {
        let sum = weighted(&d[..12], &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
        d[0] != 0 && !uniform(&d) && (11 - sum % 11) % 10 == d[12]
    })
}

/// GSTIN: base 36, weights 1 and 2 by turns.
fn in_gstin(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    if text.len() != 15 {
        return false;
    }
    let sum: u32 = text[..14]
        .iter()
        .enumerate()
        .map(|(place, &byte)| {
            let product = value36(byte) * (1 + place as u32 % 2);
            product / 36 + product % 36
        })
        .sum();
    (36 - sum % 36) % 36 == value36(text[14])
}

/// Teudat zehut: Luhn over nine digits.
fn il_id(text: &[u8]) -> bool {
    exactly::<9>(text).is_some_and(|d| !uniform(&d) && luhn_digits(&d))
}

/// Tax file number: weights modulo 11.
fn au_tfn(text: &[u8]) -> bool {
    exactly::<9>(text).is_some_and(|d| {
        !uniform(&d) && weighted(&d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
    })
}

/// Business number: one less in the first place, weights modulo 89.
fn au_abn(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|mut d| {
        if d[0] == 0 {
            return false;
        }
        d[0] -= 1;
        weighted(&d, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]).is_multiple_of(89)
    })
}

/// Company number: weights 8 to 1, modulo 10.
fn au_acn(text: &[u8]) -> bool {
    exactly::<9>(text).is_some_and(|d| {
        let sum = weighted(&d[..8], &[8, 7, 6, 5, 4, 3, 2, 1]);
        !uniform(&d) && (10 - sum % 10) % 10 == d[8]
    })
}

/// Medicare card: weights 1, 3, 7, 9; the ninth digit checks.
fn au_medicare(text: &[u8]) -> bool {
    let d = all(text);
    (10..=11).contains(&d.len())
        && (2..=6).contains(&d[0])
        && weighted(&d[..8], &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == d[8]
}

/// IRD number: two rows of weights modulo 11.
fn nz_ird(text: &[u8]) -> bool {
    let mut d = all(text);
    if d.len() == 8 {
        d.insert(0, 0);
    }
    if d.len() != 9 || !(10_000_000..=150_000_000).contains(&number(&d)) {
        return false;
    }
    let check = |weights: &[u32]| (11 - weighted(&d[..8], weights) % 11) % 11;
    match check(&[3, 2, 7, 6, 5, 4, 3, 2]) {
        10 => check(&[7, 4, 3, 2, 5, 2, 7, 6]) == d[8],
        digit => digit == d[8],
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check;
    use super::*;

    #[test]
    fn published_and_computed_numbers() {
        let cases: [(Check, &str, &str); 12] = [
            (cn_id, "11010519491231002X", "110105194912310021"),
            (kr_rrn, "960121-1234567", "961321-1234567"),
            (kr_brn, "104-86-56659", "104-86-56658"),
            (jp_my_number, "123456789018", "123456789019"),
            (tw_id, "A123456789", "A123456788"),
            (hk_id, "A123456(3)", "A123456(4)"),
            (sg_nric, "S1234567D", "S1234567E"),
            (th_id, "1101700230708", "1101700230709"),
            (au_tfn, "123 456 782", "123 456 783"),
            (au_abn, "51 824 753 556", "51 824 753 557"),
            (au_acn, "004 085 616", "004 085 617"),
            (nz_ird, "49-091-850", "49-091-851"),
        ];
        for (check, right, wrong) in cases {
            assert!(check(right.as_bytes()), "{right}");
            assert!(!check(wrong.as_bytes()), "{wrong}");
        }
    }
}
