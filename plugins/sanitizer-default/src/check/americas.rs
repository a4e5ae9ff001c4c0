//! National numbers of the Americas, and of Africa.

use super::List;
use super::digits::{
    all, exactly, is_date, is_short_date, letters_and_digits, luhn_digits, number, uniform,
    weighted,
};
use super::europe::value36;

pub(super) const CHECKS: List = &[
    ("us-ssn", us_ssn),
    ("us-itin", us_itin),
    ("us-npi", us_npi),
    ("us-routing", us_routing),
    ("us-dea", us_dea),
    ("ca-sin", ca_sin),
    ("br-cpf", br_cpf),
    ("br-cnpj", br_cnpj),
    ("cl-rut", cl_rut),
    ("ar-cuit", ar_cuit),
    ("mx-curp", mx_curp),
    ("co-nit", co_nit),
    ("za-id", za_id),
];

/// Social security numbers have no checksum, but numbers that are never given out, and some that are famous.
fn us_ssn(text: &[u8]) -> bool {
    exactly::<9>(text).is_some_and(|d| {
        let (area, group, serial) = (number(&d[..3]), number(&d[3..5]), number(&d[5..]));
        let famous = [78_051_120, 219_099_999, 123_456_789, 987_654_320];
        area != 0
            && area != 666
            && area < 900
            && group != 0
            && serial != 0
            && !uniform(&d)
            && !famous.contains(&number(&d))
    })
}

/// Individual taxpayer numbers begin with 9 and have certain fourth and fifth digits.
fn us_itin(text: &[u8]) -> bool {
    exactly::<9>(text).is_some_and(|d| {
        d[0] == 9 && matches!(d[3] * 10 + d[4], 50..=65 | 70..=88 | 90..=92 | 94..=99)
    })
}

/// National provider identifier: Luhn behind 80840.
fn us_npi(text: &[u8]) -> bool {
    exactly::<10>(text).is_some_and(|d| {
        let whole = [&[8, 0, 8, 4, 0], &d[..]].concat();
        matches!(d[0], 1 | 2) && luhn_digits(&whole)
    })
}

/// ABA routing number: weights 3, 7, 1.
fn us_routing(text: &[u8]) -> bool {
    exactly::<9>(text).is_some_and(|d| {
        let district = d[0] * 10 + d[1];
        matches!(district, 1..=12 | 21..=32 | 61..=72 | 80)
            && weighted(&d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
    })
}

/// DEA number: two letters, seven digits, the last from the sums of odd and even places.
fn us_dea(text: &[u8]) -> bool {
    exactly::<7>(text).is_some_and(|d| (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6])
}

/// Social insurance number: Luhn; 0 and 8 begin none.
fn ca_sin(text: &[u8]) -> bool {
    exactly::<9>(text).is_some_and(|d| d[0] != 0 && d[0] != 8 && !uniform(&d) && luhn_digits(&d))
}

fn modulo_11_check(digits: &[u32], weights: &[u32]) -> u32 {
    match weighted(digits, weights) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}

/// CPF: two check digits.
fn br_cpf(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        !uniform(&d)
            && modulo_11_check(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) == d[9]
            && modulo_11_check(&d[..10], &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) == d[10]
    })
}

/// CNPJ: two check digits.
fn br_cnpj(text: &[u8]) -> bool {
    exactly::<14>(text).is_some_and(|d| {
        !uniform(&d)
            && modulo_11_check(&d[..12], &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == d[12]
            && modulo_11_check(&d[..13], &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == d[13]
    })
}

/// RUT: weights 2 to 7 from the right, modulo 11, K for ten.
fn cl_rut(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    let Some((&check, body)) = text.split_last() else {
        return false;
    };
    let digits = all(body);
    let sum: u32 = digits
        .iter()
        .rev()
        .zip((2..=7).cycle())
        .map(|(digit, weight)| digit * weight)
        .sum();
    let expected = match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        digit => b'0' + digit as u8,
    };
    (7..=8).contains(&digits.len()) && check == expected
}

/// CUIT: modulo 11.
fn ar_cuit(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        let check = (11 - weighted(&d[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
        check == d[10] && matches!(d[0], 2 | 3)
    })
}

/// CURP: letters and digits in base 37 with Ñ, weights 18 to 2.
fn mx_curp(text: &[u8]) -> bool {
    let text = letters_and_digits(text);
    if text.len() != 18 || !text[17].is_ascii_digit() {
        return false;
    }
    // Ñ stands between N and O, which moves the letters after it by one.
    let value = |byte: u8| value36(byte) + u32::from(byte >= b'O');
    let sum: u32 = text[..17]
        .iter()
        .zip((2..=18).rev())
        .map(|(&byte, weight)| value(byte) * weight)
        .sum();
    (10 - sum % 10) % 10 == u32::from(text[17] - b'0')
}

/// NIT: primes as weights, modulo 11.
fn co_nit(text: &[u8]) -> bool {
    exactly::<10>(text).is_some_and(|d| {
        let rest = weighted(&d[..9], &[41, 37, 29, 23, 19, 17, 13, 7, 3]) % 11;
        (if rest < 2 { rest } else { 11 - rest }) == d[9]
    })
}

/// South African ID: a birthday, a citizenship digit, Luhn.
fn za_id(text: &[u8]) -> bool {
    exactly::<13>(text).is_some_and(|d| {
        let (year, month, day) = (d[0] * 10 + d[1], d[2] * 10 + d[3], d[4] * 10 + d[5]);
        let is_day =
            is_short_date(year, month, day) && (is_date(1900 + year, month, day) || year < 30);
        is_day && d[10] <= 2 && d[11] >= 8 && luhn_digits(&d)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Check;
    use super::*;

    #[test]
    fn published_and_computed_numbers() {
        let cases: [(Check, &str, &str); 10] = [
            (us_ssn, "536-90-4399", "666-90-4399"),
            (us_itin, "912-70-1234", "912-69-1234"),
            (us_npi, "1234567893", "1234567894"),
            (us_routing, "021000021", "021000022"),
            (us_dea, "AP5836727", "AP5836728"),
            (ca_sin, "130 692 544", "130 692 545"),
            (br_cpf, "111.444.777-35", "111.444.777-36"),
            (br_cnpj, "11.222.333/0001-81", "11.222.333/0001-82"),
            (cl_rut, "12.345.678-5", "12.345.678-6"),
            (za_id, "8001015009087", "8001015009086"),
        ];
        for (check, right, wrong) in cases {
            assert!(check(right.as_bytes()), "{right}");
            assert!(!check(wrong.as_bytes()), "{wrong}");
        }
    }
}
