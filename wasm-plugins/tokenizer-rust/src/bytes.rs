//! Text to bytes and back.

use std::ops::Range;

use codex_guest::types::Error;

/// The token that ends a text: the first id behind the bytes.
pub(crate) const END: u32 = 256;

/// How many ids there are.
pub(crate) const SIZE: u32 = END + 1;

/// The tokenizer: all that can be chosen is how the token that ends a text is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) end_of_text: String,
}

impl Bytes {
    pub(crate) fn new(end_of_text: String) -> Self {
        Self { end_of_text }
    }

    /// Equal fingerprints promise equal ids.
    pub(crate) fn fingerprint(&self) -> String {
        let written = self.end_of_text.bytes().map(|byte| format!("{byte:02x}"));
        format!("bytes-1-{}", written.collect::<String>())
    }

    /// The ids of a text and the bytes that each stands for. A token that ends a text is one only where `parse` says that
    /// what is written like one shall be read so.
    pub(crate) fn tokens<'a>(
        &'a self,
        text: &'a str,
        parse: bool,
    ) -> impl Iterator<Item = (u32, Range<usize>)> + 'a {
        let mut at = 0;
        let mut next_end = if parse {
            text.find(&self.end_of_text)
        } else {
            None
        };
        std::iter::from_fn(move || {
            let start = at;
            if next_end == Some(start) {
                at += self.end_of_text.len();
                next_end = text[at..].find(&self.end_of_text).map(|found| at + found);
                return Some((END, start..at));
            }
            let byte = text.as_bytes().get(start)?;
            at += 1;
            Some((u32::from(*byte), start..at))
        })
    }

    /// The text of ids; bytes that are no UTF-8 become U+FFFD.
    pub(crate) fn text(&self, ids: &[u32], skip_special: bool) -> Result<String, Error> {
        let mut bytes = Vec::with_capacity(ids.len());
        for &id in ids {
            match id {
                END if skip_special => {}
                END => bytes.extend_from_slice(self.end_of_text.as_bytes()),
                _ => bytes.extend(byte(id)?),
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The token as `tokenizer.json` writes it.
    pub(crate) fn token_text(&self, id: u32) -> Option<String> {
        match u8::try_from(id) {
            Ok(byte) => Some(visible(byte).to_string()),
            Err(_) => (id == END).then(|| self.end_of_text.clone()),
        }
    }

    pub(crate) fn token_id(&self, token: &str) -> Option<u32> {
        if token == self.end_of_text {
            return Some(END);
        }
        let mut characters = token.chars();
        let (first, rest) = (characters.next()?, characters.next());
        let is_it = |byte: &u8| rest.is_none() && visible(*byte) == first;
        (0..=u8::MAX).find(is_it).map(u32::from)
    }
}

/// The bytes that an id stands for: one, or none for the token that ends a text.
pub(crate) fn byte(id: u32) -> Result<Vec<u8>, Error> {
    match u8::try_from(id) {
        Ok(byte) => Ok(vec![byte]),
        Err(_) if id == END => Ok(Vec::new()),
        Err(_) => Err(Error::data(format!(
            "id {id} is not in the vocabulary of {SIZE}"
        ))),
    }
}

/// The character that byte-level vocabularies write a byte as (GPT-2's table): itself where it can be seen, else one of
/// those from U+0100 on, in order.
pub(crate) fn visible(byte: u8) -> char {
    let is_seen = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if is_seen(byte) {
        return char::from(byte);
    }
    let unseen_before = (0..byte).filter(|&other| !is_seen(other)).count() as u32;
    char::from_u32(0x100 + unseen_before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Bytes {
        Bytes::new("<end>".to_owned())
    }

    fn ids(text: &str, parse: bool) -> Vec<u32> {
        tokenizer()
            .tokens(text, parse)
            .map(|token| token.0)
            .collect()
    }

    #[test]
    fn every_text_comes_back() {
        for text in ["", "kůň 🦀\0", "<end>", "a<end>b<end>"] {
            for parse in [false, true] {
                let found = ids(text, parse);
                assert_eq!(tokenizer().text(&found, false).expect("known ids"), text);
            }
            assert_eq!(ids(text, false).len(), text.len());
        }
    }

    #[test]
    fn the_end_is_read_only_where_asked_for() {
        let found: Vec<_> = tokenizer().tokens("a<end><end>", true).collect();
        assert_eq!(found, [(97, 0..1), (END, 1..6), (END, 6..11)]);
        assert_eq!(
            tokenizer().text(&[97, END, 98], true).expect("known ids"),
            "ab"
        );
    }

    #[test]
    fn every_token_has_one_name() {
        for id in 0..SIZE {
            let name = tokenizer().token_text(id).expect("an id below the size");
            assert_eq!(tokenizer().token_id(&name), Some(id), "{name:?}");
        }
        assert_eq!(visible(b' '), 'Ġ');
        assert_eq!(visible(b'\n'), 'Ċ');
        assert_eq!(tokenizer().token_id("no such"), None);
        assert_eq!(tokenizer().token_text(SIZE), None);
    }

    #[test]
    fn unknown_ids_are_named_and_broken_text_is_shown() {
        let error = tokenizer().text(&[SIZE], true).expect_err("unknown");
        assert_eq!(error.message, "id 257 is not in the vocabulary of 257");
        assert_eq!(
            tokenizer().text(&[0xc5, 97], true).expect("known ids"),
            "\u{fffd}a"
        );
    }
}
