//! A metric's state as bytes: little-endian words, written and read in order.

use codex_plugin_api::{Error, Result};

/// Reads words of a state.
pub(crate) struct Words<'a> {
    rest: &'a [[u8; 4]],
    length: usize,
}

impl<'a> Words<'a> {
    /// The words of a state of this crate.
    pub(crate) fn of(state: &'a [u8]) -> Result<Self> {
        let (words, rest) = state.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(not_a_state(state.len()));
        }
        Ok(Self {
            rest: words,
            length: state.len(),
        })
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        let (first, rest) = self
            .rest
            .split_first()
            .ok_or_else(|| not_a_state(self.length))?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*first))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        let (low, high) = (self.u32()?, self.u32()?);
        Ok(u64::from(low) | u64::from(high) << 32)
    }

    pub(crate) fn f32(&mut self) -> Result<f32> {
        self.u32().map(f32::from_bits)
    }

    pub(crate) fn f64(&mut self) -> Result<f64> {
        self.u64().map(f64::from_bits)
    }

    /// A count of things of `words` words each, of which at least so many must follow.
    pub(crate) fn count(&mut self, words: usize) -> Result<usize> {
        let count = self.u64()?;
        usize::try_from(count)
            .ok()
            .filter(|count| {
                count
                    .checked_mul(words)
                    .is_some_and(|due| due <= self.rest.len())
            })
            .ok_or_else(|| not_a_state(self.length))
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<()> {
        match self.rest {
            [] => Ok(()),
            _ => Err(not_a_state(self.length)),
        }
    }
}

fn not_a_state(length: usize) -> Error {
    Error::data(format!("{length} bytes that are no state of this metric"))
}
