//! Checks that a true finding usually passes: checksums, structures, dates.
//!
//! A check that does not agree lowers the confidence of a finding, it does not drop it: people mistype, and test tokens
//! have wrong checksums. Every check is total: any bytes give an answer.

mod americas;
mod asia;
mod digits;
mod europe;
mod europe_east;
mod network;
mod placeholder;
mod tokens;
mod wallet;

pub(crate) use network::{ipv4_length, ipv6_length};
pub(crate) use placeholder::is_placeholder;
pub(crate) use tokens::decode_base64;

/// A check by its name.
#[derive(Clone, Copy)]
pub struct Validator {
    /// As rule files name it.
    pub name: &'static str,
    /// Whether the text is right.
    pub agrees: Check,
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The checks of one area.
type List = &'static [(&'static str, Check)];

/// Whether a text is right.
type Check = fn(&[u8]) -> bool;

const LISTS: [List; 8] = [
    digits::CHECKS,
    europe::CHECKS,
    europe_east::CHECKS,
    americas::CHECKS,
    asia::CHECKS,
    network::CHECKS,
    tokens::CHECKS,
    wallet::CHECKS,
];

/// The check called `name`.
pub fn validator(name: &str) -> Option<Validator> {
    LISTS
        .iter()
        .flat_map(|list| list.iter())
        .find(|(known, _)| *known == name)
        .map(|&(name, agrees)| Validator { name, agrees })
}

/// All names.
pub fn names() -> impl Iterator<Item = &'static str> {
    LISTS
        .iter()
        .flat_map(|list| list.iter())
        .map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn any_bytes_give_an_answer() {
        let texts: [&[u8]; 9] = [
            b"",
            b"\xff\xfe\x00",
            b"0",
            b"000000000000000000000000000000000000",
            b"99999999999999999999999999999999999999999999999999999999999999999999",
            "ÄÖÜ123456789ß".as_bytes(),
            b"AAAAAA99Z99Z999Z",
            b"----....----",
            b"GB82WEST12345698765432GB82WEST12345698765432",
        ];
        for (name, agrees) in LISTS.iter().flat_map(|list| list.iter()) {
            for text in texts {
                let _ = std::hint::black_box((name, agrees(text)));
            }
        }
    }
}
