//! The stamp in a plugin file's own section: what it is, readable without running any of its code.
//!
//! Bytes in, [`Stamp`] out; finding the section in the file is the host's work. The layout, all little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `CODEXPLG` |
//! | 8..10 | version of this layout: 1 |
//! | 10..12, 12..14 | ABI major and minor |
//! | 14..16 | number of texts, at least 5 |
//! | then | that many `u32` lengths, then the texts one after the other, UTF-8, without a separator |
//!
//! The texts are: version of `codex-plugin-api`, compiler, target, name of the bootstrap symbol, manifest. A reader
//! ignores texts that it does not know, and zeros after the last one (sections are padded).

use crate::{Error, Manifest, Result};

/// What a stamp begins with.
pub const MAGIC: [u8; 8] = *b"CODEXPLG";

/// The version of the stamp's own layout.
pub const FORMAT: u16 = 1;

/// The section that holds the stamp: in ELF files, in Mach-O files (segment `__DATA`), in PE files.
pub const SECTION_NAMES: [&str; 3] = [".codex_plugin", "__codex_plugin", ".cdxplug"];

/// Bytes before the lengths.
const HEADER: usize = 16;

/// How many texts this version writes, and the least it reads.
const TEXTS: usize = 5;

/// More texts than any later version will have.
const MAX_TEXTS: usize = 64;

/// What a plugin file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// ABI version, major and minor.
    pub abi: (u16, u16),
    /// Version of `codex-plugin-api` that the plugin was built with.
    pub api_version: String,
    /// Compiler (`rustc 1.95.0 (…)`).
    pub rustc: String,
    /// Target triple.
    pub target: String,
    /// Name of the bootstrap symbol that the file exports.
    pub symbol: String,
    /// The text of `plugin.toml`.
    pub manifest: String,
}

impl Stamp {
    /// Reads the bytes of a section. Never panics, whatever they are.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] saying what is wrong with the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bad = |why: String| Error::data(format!("the plugin stamp is damaged: {why}"));
        if bytes.get(..8) != Some(&MAGIC) {
            return Err(bad("it does not begin with CODEXPLG".to_owned()));
        }
        let short = || bad(format!("it ends after {} bytes", bytes.len()));
        let u16_at = |at: usize| -> Result<u16> {
            let pair = bytes.get(at..at + 2).ok_or_else(short)?;
            Ok(u16::from_le_bytes([pair[0], pair[1]]))
        };
        let format = u16_at(8)?;
        if format != FORMAT {
            return Err(Error::data(format!(
                "the plugin stamp has layout {format}, this host reads {FORMAT}"
            ))
            .hint("use a newer codex-ml, or rebuild the plugin for this one"));
        }
        let abi = (u16_at(10)?, u16_at(12)?);
        let count = usize::from(u16_at(14)?);
        if !(TEXTS..=MAX_TEXTS).contains(&count) {
            return Err(bad(format!("it names {count} texts")));
        }
        let lengths = bytes.get(HEADER..HEADER + 4 * count).ok_or_else(short)?;
        let mut rest = &bytes[HEADER + 4 * count..];
        let mut texts = Vec::with_capacity(count);
        for (index, length) in lengths.as_chunks::<4>().0.iter().enumerate() {
            let length = u32::from_le_bytes(*length) as usize;
            let (text, after) = rest.split_at_checked(length).ok_or_else(short)?;
            let text =
                std::str::from_utf8(text).map_err(|_| bad(format!("text {index} is not UTF-8")))?;
            texts.push(text.to_owned());
            rest = after;
        }
        if rest.starts_with(&MAGIC) {
            return Err(Error::data("the file holds two plugin stamps")
                .hint("a library is one plugin: let only one crate of it call plugin!"));
        }
        if rest.iter().any(|&byte| byte != 0) {
            return Err(bad(format!("{} bytes follow it", rest.len())));
        }
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap_or_default();
        Ok(Self {
            abi,
            api_version: next(),
            rustc: next(),
            target: next(),
            symbol: next(),
            manifest: next(),
        })
    }

    /// Parses the manifest; `origin` (the file) is named in errors.
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn manifest(&self, origin: &str) -> Result<Manifest> {
        Manifest::parse(&self.manifest, origin)
    }

    /// The bytes that [`Self::parse`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let texts = self.texts();
        let mut bytes = MAGIC.to_vec();
        for number in [FORMAT, self.abi.0, self.abi.1, TEXTS as u16] {
            bytes.extend(number.to_le_bytes());
        }
        for text in texts {
            bytes.extend((text.len() as u32).to_le_bytes());
        }
        for text in texts {
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    fn texts(&self) -> [&str; TEXTS] {
        [
            &self.api_version,
            &self.rustc,
            &self.target,
            &self.symbol,
            &self.manifest,
        ]
    }
}

/// The texts of a plugin built with this copy of the interface, in the stamp's order.
const fn own_texts(symbol: &'static str, manifest: &'static str) -> [&'static str; TEXTS] {
    [
        crate::API_VERSION,
        super::RUSTC,
        super::TARGET,
        symbol,
        manifest,
    ]
}

/// How many bytes [`write`] needs.
#[doc(hidden)]
pub const fn length(symbol: &'static str, manifest: &'static str) -> usize {
    let texts = own_texts(symbol, manifest);
    let (mut total, mut index) = (HEADER + 4 * TEXTS, 0);
    while index < TEXTS {
        total += texts[index].len();
        index += 1;
    }
    total
}

/// Writes the stamp while the plugin is compiled; `N` is [`length`].
#[doc(hidden)]
pub const fn write<const N: usize>(symbol: &'static str, manifest: &'static str) -> [u8; N] {
    const fn put<const N: usize>(bytes: &mut [u8; N], at: usize, part: &[u8]) -> usize {
        let mut index = 0;
        while index < part.len() {
            bytes[at + index] = part[index];
            index += 1;
        }
        at + part.len()
    }
    let texts = own_texts(symbol, manifest);
    let mut bytes = [0; N];
    let mut at = put(&mut bytes, 0, &MAGIC);
    at = put(&mut bytes, at, &FORMAT.to_le_bytes());
    at = put(&mut bytes, at, &super::v1::MAJOR.to_le_bytes());
    at = put(&mut bytes, at, &super::v1::MINOR.to_le_bytes());
    at = put(&mut bytes, at, &(TEXTS as u16).to_le_bytes());
    let mut index = 0;
    while index < TEXTS {
        at = put(&mut bytes, at, &(texts[index].len() as u32).to_le_bytes());
        index += 1;
    }
    index = 0;
    while index < TEXTS {
        at = put(&mut bytes, at, texts[index].as_bytes());
        index += 1;
    }
    assert!(at == N, "a stamp is as long as `length` says");
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            abi: (1, 0),
            api_version: "1.0.0".into(),
            rustc: "rustc 1.95.0".into(),
            target: "x86_64-unknown-linux-gnu".into(),
            symbol: "codex_plugin_v1_shout".into(),
            manifest: "[plugin]\nid = \"shout\"\n# čeština\n".into(),
        }
    }

    #[test]
    fn what_the_compiler_writes_is_what_is_read() {
        const MANIFEST: &str = "[plugin]\nid = \"x\"\n";
        const BYTES: [u8; length("symbol", MANIFEST)] = write("symbol", MANIFEST);
        let read = Stamp::parse(&BYTES).unwrap();
        assert_eq!(
            (read.symbol.as_str(), read.manifest.as_str()),
            ("symbol", MANIFEST)
        );
        assert_eq!(read.abi, (crate::abi::v1::MAJOR, crate::abi::v1::MINOR));
        assert!(read.rustc.starts_with("rustc "));
        assert_eq!(read.to_bytes(), BYTES);
    }

    #[test]
    fn padding_and_later_texts_are_ignored() {
        let mut bytes = stamp().to_bytes();
        bytes.extend([0; 37]);
        assert_eq!(Stamp::parse(&bytes).unwrap(), stamp());
        let mut later = stamp().to_bytes();
        later[14] = 6;
        later.splice(36..36, 3_u32.to_le_bytes());
        later.extend(b"new");
        assert_eq!(Stamp::parse(&later).unwrap(), stamp());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = stamp().to_bytes();
        let twice = [good.clone(), good.clone()].concat();
        let mut other = good.clone();
        other[8] = 9;
        for (bytes, word) in [
            (&b"\x7fELF"[..], "does not begin with CODEXPLG"),
            (&good[..good.len() - 1], "it ends after"),
            (&good[..17], "it ends after"),
            (&twice, "two plugin stamps"),
            (&other, "has layout 9"),
        ] {
            let error = Stamp::parse(bytes).unwrap_err();
            assert!(error.message().contains(word), "{error} lacks {word}");
        }
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let good = stamp().to_bytes();
        for end in 0..good.len() {
            assert!(Stamp::parse(&good[..end]).is_err());
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=random() % 6 {
                // Most changes hit the header and the lengths, where the arithmetic is.
                let span = if random() % 4 == 0 { bytes.len() } else { 36 };
                bytes[random() as usize % span] = random() as u8;
            }
            bytes.truncate(random() as usize % (bytes.len() * 2));
            if let Ok(read) = Stamp::parse(&bytes) {
                assert_eq!(Stamp::parse(&read.to_bytes()).unwrap(), read);
            }
        }
    }
}
