//! UTF-8 from bytes whose pieces may split a character.

use codex_plugin_api::{Error, Result};

use super::InvalidUtf8;

pub(super) struct Decoder {
    policy: InvalidUtf8,
    /// The beginning of a character whose rest has not come.
    partial: Vec<u8>,
    /// Bytes decoded so far.
    at: u64,
}

impl Decoder {
    pub(super) fn new(policy: InvalidUtf8) -> Self {
        Self {
            policy,
            partial: Vec::new(),
            at: 0,
        }
    }

    /// Appends what is whole.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut String) -> Result<()> {
        let joined;
        let mut rest = if self.partial.is_empty() {
            bytes
        } else {
            self.partial.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.partial);
            &joined[..]
        };
        loop {
            let error = match std::str::from_utf8(rest) {
                Ok(text) => {
                    out.push_str(text);
                    self.at += rest.len() as u64;
                    return Ok(());
                }
                Err(error) => error,
            };
            let (valid, after) = rest.split_at(error.valid_up_to());
            out.push_str(&String::from_utf8_lossy(valid));
            self.at += valid.len() as u64;
            let Some(length) = error.error_len() else {
                self.partial = after.to_vec();
                return Ok(());
            };
            self.invalid(out)?;
            self.at += length as u64;
            rest = &after[length..];
        }
    }

    /// Ends the text; a character that never became whole is invalid.
    pub(super) fn finish(&mut self, out: &mut String) -> Result<()> {
        if self.partial.is_empty() {
            return Ok(());
        }
        self.invalid(out)
    }

    fn invalid(&self, out: &mut String) -> Result<()> {
        match self.policy {
            InvalidUtf8::Replace => {
                out.push(char::REPLACEMENT_CHARACTER);
                Ok(())
            }
            InvalidUtf8::Refuse => Err(Error::data(format!(
                "the text is not UTF-8 at byte {}",
                self.at
            ))
            .hint("convert it to UTF-8")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn decode(bytes: &[u8], size: usize, policy: InvalidUtf8) -> Result<String> {
        let mut decoder = Decoder::new(policy);
        let mut out = String::new();
        for piece in bytes.chunks(size) {
            decoder.push(piece, &mut out)?;
        }
        decoder.finish(&mut out)?;
        Ok(out)
    }

    #[test]
    fn any_pieces_of_any_bytes_give_what_the_standard_library_gives() {
        for seed in 0..500 {
            let mut random = Random::new(seed);
            let bytes: Vec<u8> = (0..random.below(60))
                .flat_map(|_| {
                    random.pick(&[
                        &b"a"[..],
                        "ž".as_bytes(),
                        "🦀".as_bytes(),
                        b"\xff",
                        b"\xf0\x9f",
                        b"\xe2",
                    ])
                })
                .copied()
                .collect();
            for size in [1, 2, 3, 7, 1000] {
                let out = decode(&bytes, size, InvalidUtf8::Replace).unwrap();
                assert_eq!(out, String::from_utf8_lossy(&bytes), "{bytes:x?} by {size}");
            }
        }
    }

    #[test]
    fn refused_bytes_are_named() {
        for size in [1, 100] {
            let error = decode(
                "ž\u{1f980}a\u{0}"
                    .as_bytes()
                    .iter()
                    .chain(b"\xffb")
                    .copied()
                    .collect::<Vec<_>>()
                    .as_slice(),
                size,
                InvalidUtf8::Refuse,
            )
            .unwrap_err();
            assert!(error.message().ends_with("byte 8"), "{error}");
        }
    }
}
