//! Character encodings: which one a file has, whether its bytes keep to it, and text from any piece of it.
//!
//! The scanners see every encoding through one eye: a byte a unit, in which ASCII is itself ([`Charset::narrow`]). So they
//! need to know no encoding, and a row's place in the file is `start() + unit × width()`.

use std::borrow::Cow;

use codex_plugin_api::{Error, Result};
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How a file's bytes become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset {
    encoding: &'static Encoding,
    mark: u64,
    strict: bool,
}

impl Charset {
    /// Decides on the encoding by the configured word and the first bytes of the file.
    ///
    /// # Errors
    /// Config: an unknown encoding. Data: `auto` and a file that looks binary.
    pub fn of(word: &str, head: &[u8], name: &str) -> Result<Self> {
        let marked = Encoding::for_bom(head);
        if word == "auto" {
            let (encoding, mark) = marked.unwrap_or((UTF_8, 0));
            if encoding == UTF_8
                && let Some(place) = memchr::memchr(0, head)
            {
                return Err(Error::data(format!("{name} looks binary: byte {place} is zero"))
                    .hint("set data.encoding (utf-16le, utf-8, windows-1252 …) if it is text, or data.format if it is not"));
            }
            return Ok(Self {
                encoding,
                mark: mark as u64,
                strict: false,
            });
        }
        let unknown = || {
            Error::config(format!("unknown encoding {word:?}"))
                .hint("use auto, utf-8, utf-16le, utf-16be, windows-1252, iso-8859-2, shift_jis, gbk, euc-kr …")
        };
        let encoding = if word == "utf-16" {
            marked.map_or(UTF_16LE, |(encoding, _)| encoding)
        } else {
            Encoding::for_label(word.as_bytes()).ok_or_else(unknown)?
        };
        // ISO-2022-JP switches its meaning within a line, and "replacement" has none.
        if !encoding.is_ascii_compatible() && encoding != UTF_16LE && encoding != UTF_16BE {
            return Err(unknown());
        }
        let mark = marked
            .filter(|(of_mark, _)| *of_mark == encoding)
            .map_or(0, |(_, length)| length as u64);
        Ok(Self {
            encoding,
            mark,
            strict: encoding == UTF_8,
        })
    }

    /// The encoding's name.
    pub fn name(&self) -> &'static str {
        self.encoding.name()
    }

    /// Where the text begins, behind a byte order mark.
    pub fn start(&self) -> u64 {
        self.mark
    }

    /// Bytes in a unit: 2 for UTF-16, else 1.
    pub fn width(&self) -> u64 {
        if self.encoding == UTF_16LE || self.encoding == UTF_16BE {
            2
        } else {
            1
        }
    }

    /// Whether bytes that are not text are an error.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Whether text can be cut at a unit of which [`is_inside`] is false. In double-byte encodings only ASCII space and
    /// line feed are known to be characters of their own.
    pub fn cuts_anywhere(&self) -> bool {
        self.width() == 2 || self.encoding == UTF_8 || self.encoding.is_single_byte()
    }

    /// One byte a unit: ASCII as itself, other units as bytes that keep [`is_inside`] right.
    pub fn narrow<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.width() == 1 {
            return Cow::Borrowed(bytes);
        }
        let big = self.encoding == UTF_16BE;
        let unit = |pair: [u8; 2]| {
            if big {
                u16::from_be_bytes(pair)
            } else {
                u16::from_le_bytes(pair)
            }
        };
        let (pairs, _) = bytes.as_chunks::<2>();
        pairs
            .iter()
            .map(|pair| match unit(*pair) {
                ascii @ 0..=0x7F => ascii as u8,
                0xDC00..=0xDFFF => 0x80,
                _ => 0xC2,
            })
            .collect()
    }

    /// The text of some bytes (whole characters), what is broken replaced by U+FFFD.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        if self.encoding == UTF_8 {
            // The standard library's replacement is the encoding standard's, and its check is faster.
            return String::from_utf8_lossy(bytes);
        }
        self.encoding.decode_without_bom_handling(bytes).0
    }
}

/// Whether a unit continues the character of the unit before it.
pub fn is_inside(unit: u8) -> bool {
    unit & 0xC0 == 0x80
}

/// Follows a file from its start and counts what is not text.
pub struct Checker {
    decoder: Option<encoding_rs::Decoder>,
    scratch: Vec<u8>,
    pending: Vec<u8>,
    offset: u64,
    /// How many byte sequences were broken.
    pub broken: u64,
    /// The byte offset of the first.
    pub first: Option<u64>,
}

impl Checker {
    /// A checker for the bytes from `charset.start()` on.
    pub fn new(charset: &Charset) -> Self {
        let decoder = (charset.encoding != UTF_8)
            .then(|| charset.encoding.new_decoder_without_bom_handling());
        let scratch = if decoder.is_some() {
            vec![0; 64 * 1024]
        } else {
            Vec::new()
        };
        Self {
            decoder,
            scratch,
            pending: Vec::new(),
            offset: charset.start(),
            broken: 0,
            first: None,
        }
    }

    /// Takes the next bytes; `last` says that none follow.
    pub fn feed(&mut self, bytes: &[u8], last: bool) {
        if self.decoder.is_some() {
            self.feed_decoder(bytes, last);
        } else {
            self.feed_utf8(bytes, last);
        }
    }

    fn count(&mut self, at: u64) {
        self.broken += 1;
        self.first.get_or_insert(at);
    }

    fn feed_utf8(&mut self, bytes: &[u8], last: bool) {
        let base = self.offset - self.pending.len() as u64;
        self.offset += bytes.len() as u64;
        let joined;
        let mut rest = bytes;
        if !self.pending.is_empty() {
            joined = [std::mem::take(&mut self.pending).as_slice(), bytes].concat();
            rest = &joined;
        }
        let whole = rest.len();
        while let Err(error) = std::str::from_utf8(rest) {
            let at = base + (whole - rest.len() + error.valid_up_to()) as u64;
            match error.error_len() {
                Some(length) => {
                    self.count(at);
                    rest = &rest[error.valid_up_to() + length..];
                }
                None if last => return self.count(at),
                None => return self.pending.extend_from_slice(&rest[error.valid_up_to()..]),
            }
        }
    }

    fn feed_decoder(&mut self, bytes: &[u8], last: bool) {
        let mut rest = bytes;
        loop {
            let Some(decoder) = &mut self.decoder else {
                return;
            };
            let (result, read, _) =
                decoder.decode_to_utf8_without_replacement(rest, &mut self.scratch, last);
            rest = &rest[read..];
            self.offset += read as u64;
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, behind) => {
                    self.count(
                        self.offset
                            .saturating_sub(u64::from(length) + u64::from(behind)),
                    );
                }
            }
        }
    }
}
