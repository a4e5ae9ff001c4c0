//! The values that calls exchange: texts, ids, token batches, and JSON for what is rare and structured.
//!
//! Whoever receives a value checks it; nothing here trusts a length or an encoding.

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RSlice, RStr, RString, RVec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{broken, broken_by};
use crate::{Error, Ids, Result, TextBuffer, Texts, TokenBatch};

/// Borrowed texts: UTF-8 bytes and `len + 1` offsets.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiTexts<'a> {
    bytes: RSlice<'a, u8>,
    offsets: RSlice<'a, u64>,
}

impl<'a> AbiTexts<'a> {
    pub(super) fn new(texts: Texts<'a>) -> Self {
        Self {
            bytes: texts.bytes().as_bytes().into(),
            offsets: texts.offsets().into(),
        }
    }

    pub(super) fn read(self) -> Result<Texts<'a>> {
        Texts::new(self.bytes.as_slice(), self.offsets.as_slice())
    }
}

/// Owned texts in the same layout.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiTextBuffer {
    bytes: RVec<u8>,
    offsets: RVec<u64>,
}

impl AbiTextBuffer {
    pub(super) fn new(texts: TextBuffer) -> Self {
        let (bytes, offsets) = texts.into_parts();
        Self {
            bytes: bytes.into_bytes().into(),
            offsets: offsets.into(),
        }
    }

    pub(super) fn read(self, what: &str) -> Result<TextBuffer> {
        TextBuffer::from_parts(self.bytes.into_vec(), self.offsets.into_vec())
            .map_err(|why| broken_by(what, &why))
    }
}

/// Borrowed id sequences: all ids and `len + 1` offsets.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiIds<'a> {
    ids: RSlice<'a, u32>,
    offsets: RSlice<'a, u64>,
}

impl<'a> AbiIds<'a> {
    pub(super) fn new(ids: Ids<'a>) -> Self {
        Self {
            ids: ids.ids().into(),
            offsets: ids.sequence_offsets().into(),
        }
    }

    pub(super) fn read(self) -> Result<Ids<'a>> {
        Ids::new(self.ids.as_slice(), self.offsets.as_slice())
    }
}

/// [`TokenBatch`].
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiTokenBatch<'a> {
    sequences: AbiIds<'a>,
    labels: ROption<RSlice<'a, i64>>,
    token_types: ROption<RSlice<'a, u32>>,
    sequence_labels: ROption<RSlice<'a, f32>>,
    parts: u32,
}

impl<'a> AbiTokenBatch<'a> {
    pub(super) fn new(batch: &TokenBatch<'a>) -> Self {
        Self {
            sequences: AbiIds::new(batch.sequences),
            labels: batch.labels.map(RSlice::from).into(),
            token_types: batch.token_types.map(RSlice::from).into(),
            sequence_labels: batch.sequence_labels.map(RSlice::from).into(),
            parts: batch.parts,
        }
    }

    pub(super) fn read(&self) -> Result<TokenBatch<'a>> {
        let batch = TokenBatch {
            sequences: self.sequences.read()?,
            labels: slice(self.labels),
            token_types: slice(self.token_types),
            sequence_labels: slice(self.sequence_labels),
            parts: self.parts,
        };
        batch.check()?;
        Ok(batch)
    }
}

fn slice<T>(slice: ROption<RSlice<'_, T>>) -> Option<&[T]> {
    slice.into_option().map(|slice| slice.as_slice())
}

/// Flags as bits: bit `i` is the `i`-th of `flags`.
pub(super) fn bits(flags: &[bool]) -> u64 {
    flags
        .iter()
        .enumerate()
        .fold(0, |bits, (index, &flag)| bits | u64::from(flag) << index)
}

/// The first `N` bits as flags; an error when others are set.
pub(super) fn flags<const N: usize>(bits: u64, what: &str) -> Result<[bool; N]> {
    if bits >> N != 0 {
        return Err(Error::unsupported(format!("{what} with flags {bits:#x}")));
    }
    Ok(std::array::from_fn(|index| bits >> index & 1 == 1))
}

/// The text of a string that came from the other side, with U+FFFD for what is not UTF-8.
pub(super) fn lossy(text: RString) -> String {
    String::from_utf8(text.into_bytes().into_vec())
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The text of a string that a plugin gave.
pub(super) fn owned_text(text: RString, what: &str) -> Result<String> {
    String::from_utf8(text.into_bytes().into_vec())
        .map_err(|_| broken(format!("{what} that is not UTF-8")))
}

/// The text of an argument.
pub(super) fn text<'a>(text: RStr<'a>, what: &str) -> Result<&'a str> {
    std::str::from_utf8(text.as_rslice().as_slice())
        .map_err(|_| Error::config(format!("{what} is not UTF-8")))
}

/// A structured value as JSON.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T, what: &str) -> Result<RVec<u8>> {
    serde_json::to_vec(value)
        .map(RVec::from)
        .map_err(|error| Error::failed(format!("{what} cannot be written as JSON: {error}")))
}

/// A structured value that a plugin gave.
pub(super) fn from_json<T: DeserializeOwned>(json: RVec<u8>, what: &str) -> Result<T> {
    serde_json::from_slice(json.as_slice())
        .map_err(|error| broken(format!("{what} that cannot be read: {error}")))
}

/// A structured argument.
pub(super) fn argument<T: DeserializeOwned>(json: RSlice<'_, u8>, what: &str) -> Result<T> {
    serde_json::from_slice(json.as_slice()).map_err(|error| {
        Error::unsupported(what)
            .because(&error)
            .hint("the plugin may be older than this host: update it")
    })
}

/// Checks offsets that an answer holds: `parts + 1` of them, from 0 up to `total`.
pub(super) fn check_offsets(offsets: &[u64], parts: usize, total: usize, what: &str) -> Result<()> {
    let fits = offsets.len() == parts + 1
        && offsets.first() == Some(&0)
        && offsets.last() == Some(&(total as u64))
        && offsets.is_sorted();
    if fits {
        return Ok(());
    }
    Err(broken(format!(
        "{} offsets for {parts} {what} and {total} values, from {:?} to {:?}{}",
        offsets.len(),
        offsets.first(),
        offsets.last(),
        if offsets.is_sorted() {
            ""
        } else {
            ", stepping back"
        }
    )))
}

/// Checks a length that an answer has.
pub(super) fn check_length(found: usize, expected: usize, what: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(broken(format!("{found} {what} where {expected} are due")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn flags_survive_and_unknown_ones_are_refused() {
        let all = [true, false, true, true];
        assert_eq!(flags::<4>(bits(&all), "needs").unwrap(), all);
        assert!(flags::<3>(bits(&all), "needs").is_err());
    }

    #[test]
    fn strings_that_are_not_utf8_are_noticed() {
        // SAFETY: the string is only ever read as bytes.
        let bad = || unsafe { RString::from_utf8_unchecked(vec![b'a', 0xff].into()) };
        assert_eq!(lossy(bad()), "a\u{fffd}");
        assert!(
            owned_text(bad(), "a name")
                .unwrap_err()
                .message()
                .contains("a name that is not")
        );
    }

    #[test]
    fn offsets_are_checked() {
        check_offsets(&[0, 2, 2, 5], 3, 5, "sequences").unwrap();
        for offsets in [
            &[][..],
            &[0, 2, 5],
            &[1, 2, 2, 5],
            &[0, 3, 2, 5],
            &[0, 2, 2, 6],
        ] {
            assert!(
                check_offsets(offsets, 3, 5, "sequences").is_err(),
                "{offsets:?}"
            );
        }
    }
}
