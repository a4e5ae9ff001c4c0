//! National numbers of eastern Europe and Turkey.

use super::List;
use super::digits::{all, exactly, is_date, is_short_date, luhn_digits, number, uniform, weighted};
use super::europe::iso7064_11_10;

pub(super) const CHECKS: List = &[
    ("pl-pesel", pl_pesel),
    ("pl-nip", pl_nip),
    ("cz-birth-number", cz_birth_number),
    ("ro-cnp", ro_cnp),
    ("hr-oib", hr_oib),
    ("bg-egn", bg_egn),
    ("ee-isikukood", ee_isikukood),
    ("hu-taj", hu_taj),
    ("gr-amka", gr_amka),
    ("ru-inn", ru_inn),
    ("ru-snils", ru_snils),
    ("ua-rnokpp", ua_rnokpp),
    ("tr-national-id", tr_national_id),
];

/// PESEL: weights 1, 3, 7, 9; the month tells the century.
fn pl_pesel(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        let sum = weighted(&d[..10], &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
        let month = (d[2] % 2) * 10 + d[3];
        (10 - sum % 10) % 10 == d[10] && is_short_date(d[0] * 10 + d[1], month, d[4] * 10 + d[5])
    })
}

/// NIP: modulo 11.
fn pl_nip(text: &[u8]) -> bool {
    exactly::<10>(text).is_some_and(|d| {
        !uniform(&d) && weighted(&d[..9], &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == d[9]
    })
}

/// Rodné číslo: divisible by 11; women's months are raised by 50, and by 20 where a day ran out of numbers.
fn cz_birth_number(text: &[u8]) -> bool {
    exactly::<10>(text).is_some_and(|d| {
        let month = match d[2] * 10 + d[3] {
            month @ 71.. => month - 70,
            month @ 51.. => month - 50,
            month @ 21.. => month - 20,
            month => month,
        };
        let check = number(&d[..9]) % 11 % 10;
        is_short_date(d[0] * 10 + d[1], month, d[4] * 10 + d[5]) && check == u64::from(d[9])
    })
}

/// Cod numeric personal: the weights 279146358279, modulo 11.
fn ro_cnp(text: &[u8]) -> bool {
    exactly::<13>(text).is_some_and(|d| {
        let check = match weighted(&d[..12], &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11 {
            10 => 1,
            rest => rest,
        };
        d[0] != 0
            && is_short_date(d[1] * 10 + d[2], d[3] * 10 + d[4], d[5] * 10 + d[6])
            && check == d[12]
    })
}

/// OIB: ISO 7064 mod 11,10.
fn hr_oib(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| !uniform(&d) && iso7064_11_10(&d))
}

/// EGN: modulo 11; the month tells the century.
fn bg_egn(text: &[u8]) -> bool {
    exactly::<10>(text).is_some_and(|d| {
        let (century, month) = match d[2] * 10 + d[3] {
            month @ 41.. => (2000, month - 40),
            month @ 21.. => (1800, month - 20),
            month => (1900, month),
        };
        let check = weighted(&d[..9], &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
        is_date(century + d[0] * 10 + d[1], month, d[4] * 10 + d[5]) && check == d[9]
    })
}

/// Isikukood of Estonia and asmens kodas of Lithuania: two rows of weights modulo 11.
fn ee_isikukood(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        let mut check = weighted(&d[..10], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
        if check == 10 {
            check = weighted(&d[..10], &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10;
        }
        (1..=6).contains(&d[0])
            && is_short_date(d[1] * 10 + d[2], d[3] * 10 + d[4], d[5] * 10 + d[6])
            && check == d[10]
    })
}

/// TAJ: weights 3 and 7, modulo 10.
fn hu_taj(text: &[u8]) -> bool {
    exactly::<9>(text)
        .is_some_and(|d| !uniform(&d) && weighted(&d[..8], &[3, 7, 3, 7, 3, 7, 3, 7]) % 10 == d[8])
}

/// AMKA: a birthday, then Luhn.
fn gr_amka(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        is_short_date(d[4] * 10 + d[5], d[2] * 10 + d[3], d[0] * 10 + d[1]) && luhn_digits(&d)
    })
}

/// INN: one check digit for companies, two for people.
fn ru_inn(text: &[u8]) -> bool {
    let d = all(text);
    let check = |weights: &[u32]| weighted(&d, weights) % 11 % 10;
    match d.len() {
        10 => !uniform(&d) && check(&[2, 4, 10, 3, 5, 9, 4, 6, 8]) == d[9],
        12 => {
            !uniform(&d)
                && check(&[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) == d[10]
                && check(&[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) == d[11]
        }
        _ => false,
    }
}

/// SNILS: weights 9 to 1, modulo 101.
fn ru_snils(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        let sum = weighted(&d[..9], &[9, 8, 7, 6, 5, 4, 3, 2, 1]);
        u64::from(sum % 101 % 100) == number(&d[9..]) && !uniform(&d)
    })
}

/// RNOKPP: modulo 11; the first weight is negative.
fn ua_rnokpp(text: &[u8]) -> bool {
    exactly::<10>(text).is_some_and(|d| {
        let sum = weighted(&d[..9], &[10, 5, 7, 9, 4, 6, 10, 5, 7]);
        !uniform(&d) && sum % 11 % 10 == d[9]
    })
}

/// T.C. kimlik no: two check digits.
fn tr_national_id(text: &[u8]) -> bool {
    exactly::<11>(text).is_some_and(|d| {
        let odd = d[0] + d[2] + d[4] + d[6] + d[8];
        let even = d[1] + d[3] + d[5] + d[7];
        let tenth = (odd * 7 + 90 - even) % 10;
        let eleventh = d[..10].iter().sum::<u32>() % 10;
        d[0] != 0 && tenth == d[9] && eleventh == d[10]
    })
}

#[cfg(test)]
mod tests {
    use super::super::Check;
    use super::*;

    #[test]
    fn published_and_computed_numbers() {
        let cases: [(Check, &str, &str); 9] = [
            (pl_pesel, "44051401359", "44051401358"),
            (pl_nip, "123-456-32-18", "123-456-32-19"),
            (cz_birth_number, "736028/5163", "736028/5164"),
            (ro_cnp, "1800101221144", "1800101221145"),
            (hr_oib, "12345678903", "12345678904"),
            (bg_egn, "7523169263", "7523169264"),
            (ee_isikukood, "37605030299", "37605030298"),
            (ru_inn, "7707083893", "7707083894"),
            (tr_national_id, "10000000146", "10000000147"),
        ];
        for (check, right, wrong) in cases {
            assert!(check(right.as_bytes()), "{right}");
            assert!(!check(wrong.as_bytes()), "{wrong}");
        }
    }
}
