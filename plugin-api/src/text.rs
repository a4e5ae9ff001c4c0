//! Many texts in one contiguous buffer: how text crosses the plugin border.

use crate::{Error, Result};

/// Borrowed texts: UTF-8 bytes and `len + 1` offsets into them. Cheap to copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'a> {
    bytes: &'a str,
    offsets: &'a [u64],
}

impl<'a> Texts<'a> {
    /// Checks `offsets` (ascending from 0 to `bytes.len()`, each on a character's border) and wraps them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when the bytes are not UTF-8 or an offset is out of place.
    pub fn new(bytes: &'a [u8], offsets: &'a [u64]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Error::data(format!(
                "texts are not UTF-8 at byte {}",
                error.valid_up_to()
            ))
        })?;
        if offsets.is_empty() && bytes.is_empty() {
            return Ok(Self {
                bytes: text,
                offsets,
            });
        }
        let (first, last) = (offsets.first().copied(), offsets.last().copied());
        if first != Some(0) || last != Some(bytes.len() as u64) {
            return Err(Error::data(format!(
                "text offsets run from {first:?} to {last:?}, not from 0 to {}",
                bytes.len()
            )));
        }
        let mut previous = 0;
        for (index, &offset) in offsets.iter().enumerate() {
            let on_border = usize::try_from(offset).is_ok_and(|at| text.is_char_boundary(at));
            if offset < previous || !on_border {
                return Err(Error::data(format!(
                    "text offset {index} is {offset}, which splits or reverses a text"
                )));
            }
            previous = offset;
        }
        Ok(Self {
            bytes: text,
            offsets,
        })
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Text `index`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        let (start, end) = (*self.offsets.get(index)?, *self.offsets.get(index + 1)?);
        self.bytes.get(start as usize..end as usize)
    }

    /// The texts in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let (bytes, offsets) = (self.bytes, self.offsets);
        (0..self.len())
            .map(move |index| &bytes[offsets[index] as usize..offsets[index + 1] as usize])
    }

    /// All texts, one after the other.
    pub fn bytes(&self) -> &'a str {
        self.bytes
    }

    /// `len + 1` byte offsets.
    pub fn offsets(&self) -> &'a [u64] {
        self.offsets
    }
}

/// Owned texts in the same layout; collect an iterator of strings into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextBuffer {
    bytes: String,
    offsets: Vec<u64>,
}

impl Default for TextBuffer {
    fn default() -> Self {
        Self {
            bytes: String::new(),
            offsets: vec![0],
        }
    }
}

impl TextBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks and takes over bytes and offsets, as [`Texts::new`] does.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] as [`Texts::new`].
    pub fn from_parts(bytes: Vec<u8>, offsets: Vec<u64>) -> Result<Self> {
        Texts::new(&bytes, &offsets)?;
        let bytes = String::from_utf8(bytes).map_err(|_| Error::data("texts are not UTF-8"))?;
        Ok(Self {
            bytes,
            offsets: if offsets.is_empty() { vec![0] } else { offsets },
        })
    }

    /// Adds one text at the end.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.offsets.push(self.bytes.len() as u64);
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The texts, borrowed.
    pub fn as_texts(&self) -> Texts<'_> {
        Texts {
            bytes: &self.bytes,
            offsets: &self.offsets,
        }
    }

    /// The bytes and the `len + 1` offsets.
    pub fn into_parts(self) -> (String, Vec<u64>) {
        (self.bytes, self.offsets)
    }
}

impl<S: AsRef<str>> FromIterator<S> for TextBuffer {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut buffer = Self::default();
        for text in texts {
            buffer.push(text.as_ref());
        }
        buffer
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        let buffer: TextBuffer = ["a", "", "čeština", "🦀"].into_iter().collect();
        assert_eq!(
            buffer.as_texts().iter().collect::<Vec<_>>(),
            ["a", "", "čeština", "🦀"]
        );
        let (bytes, offsets) = buffer.clone().into_parts();
        assert_eq!(
            TextBuffer::from_parts(bytes.into_bytes(), offsets).unwrap(),
            buffer
        );
    }

    #[test]
    fn bad_offsets_are_named() {
        for (bytes, offsets, word) in [
            ("ab", &[0, 3][..], "not from 0 to 2"),
            ("ab", &[1, 2], "not from 0 to 2"),
            ("abc", &[0, 2, 1, 3], "offset 2 is 1"),
            ("č", &[0, 1, 2], "offset 1 is 1"),
        ] {
            let error = Texts::new(bytes.as_bytes(), offsets).unwrap_err();
            assert!(error.message().contains(word), "{error}");
        }
        assert!(
            Texts::new(&[0xff], &[0, 1])
                .unwrap_err()
                .message()
                .contains("byte 0")
        );
    }
}
