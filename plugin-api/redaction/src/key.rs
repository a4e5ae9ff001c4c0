//! The key under which values are named without being told: HMAC-SHA256 (RFC 2104, FIPS 180-4), one subkey a purpose.
//! Where the key is kept, and for how long, is the caller's affair.

use std::fmt::{self, Write as _};

use codex_plugin_api::{Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A secret for naming values. It never shows itself, not even in debug output.
#[derive(Clone)]
pub struct Key {
    /// Padded with zeros to SHA-256's block, which is what HMAC does to a key that is shorter.
    block: [u8; 64],
}

impl Key {
    /// A key from at least 16 bytes of secret; equal secrets give equal names.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when the secret is shorter.
    pub fn new(secret: &[u8]) -> Result<Self> {
        if secret.len() < 16 {
            return Err(
                Error::config(format!("the key for findings has {} bytes", secret.len()))
                    .hint("give at least 16 random bytes"),
            );
        }
        Ok(Self::of(&Sha256::digest(secret).into()))
    }

    fn of(bytes: &[u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(bytes);
        Self { block }
    }

    fn hmac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.block.into());
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The key for one purpose, so that a name made for one tells nothing about another.
    pub(crate) fn purpose(&self, purpose: &str) -> Self {
        Self::of(&self.hmac(&[purpose.as_bytes()]))
    }

    /// 32 bytes that stand for these parts; parts are told apart by their lengths.
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let lengths: Vec<[u8; 8]> = parts
            .iter()
            .map(|part| (part.len() as u64).to_le_bytes())
            .collect();
        let framed: Vec<&[u8]> = lengths
            .iter()
            .zip(parts)
            .flat_map(|(length, part)| [&length[..], part])
            .collect();
        self.hmac(&framed)
    }

    /// What a report says instead of a value: 64 hexadecimal digits, equal for equal values under one key.
    pub fn name_of(&self, value: &str) -> String {
        hex(&self.purpose("finding v1").hmac(&[value.as_bytes()]))
    }

    /// Names the key itself, so that a file made with another key is recognised: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        hex(&self.purpose("key id v1").hmac(&[])[..8])
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_the_one_of_rfc_4231() {
        // Test case 2: key "Jefe".
        let mut block = [0; 64];
        block[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            hex(&Key { block }.hmac(&[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn names_depend_on_key_and_value_only() {
        let (one, other) = (
            Key::new(b"0123456789abcdef").unwrap(),
            Key::new(b"0123456789abcdeg").unwrap(),
        );
        assert_eq!(one.name_of("hunter2"), one.clone().name_of("hunter2"));
        assert_ne!(one.name_of("hunter2"), one.name_of("hunter3"));
        assert_ne!(one.name_of("hunter2"), other.name_of("hunter2"));
        assert_ne!(one.id(), other.id());
        assert_ne!(one.tag(&[b"ab", b"c"]), one.tag(&[b"a", b"bc"]));
    }

    #[test]
    fn a_short_secret_is_refused_and_no_secret_is_shown() {
        let error = Key::new(b"short").unwrap_err();
        assert!(error.message().contains("5 bytes"), "{error}");
        let shown = format!("{:?}", Key::new(b"0123456789abcdef").unwrap());
        assert_eq!(shown.len(), "Key()".len() + 16, "{shown}");
    }
}
