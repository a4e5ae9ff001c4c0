//! Texts and sequences of ids that lie one behind the other.

use crate::types::{Ids, Texts};
use crate::{Error, Result, pack, unpack};

/// The ranges between offsets that ascend from 0 to `end`; no offsets at all stand for nothing at all.
fn ranges(what: &str, offsets: &[u8], end: usize) -> Result<Vec<std::ops::Range<usize>>> {
    let offsets: Vec<u64> = unpack(what, offsets)?.collect();
    if offsets.is_empty() && end == 0 {
        return Ok(Vec::new());
    }
    let ascending = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    let (first, last) = (offsets.first().copied(), offsets.last().copied());
    if !ascending || first != Some(0) || last != Some(end as u64) {
        return Err(Error::data(format!(
            "{what} must ascend from 0 to {end}, but run from {first:?} to {last:?}"
        )));
    }
    let range = |pair: &[u64]| pair[0] as usize..pair[1] as usize;
    Ok(offsets.windows(2).map(range).collect())
}

/// Every text by itself.
///
/// # Errors
/// `data` when offsets are out of place or a text is not UTF-8.
pub fn texts(texts: &Texts) -> Result<Vec<&str>> {
    ranges("offsets of texts", &texts.offsets, texts.bytes.len())?
        .into_iter()
        .enumerate()
        .map(|(index, range)| {
            std::str::from_utf8(&texts.bytes[range])
                .map_err(|why| Error::data(format!("text {index} is not UTF-8")).because(why))
        })
        .collect()
}

/// Every sequence by itself.
///
/// # Errors
/// `data` when offsets are out of place.
pub fn sequences(ids: &Ids) -> Result<Vec<Vec<u32>>> {
    let numbers = unpack::<u32>("ids", &ids.ids)?;
    let ranges = ranges("offsets of sequences", &ids.offsets, numbers.len())?;
    let part = |range: std::ops::Range<usize>| -> Result<Vec<u32>> {
        Ok(unpack("ids", &ids.ids[4 * range.start..4 * range.end])?.collect())
    };
    ranges.into_iter().map(part).collect()
}

/// Collects texts, or strings of bytes that need not be UTF-8.
#[derive(Clone, Debug)]
pub struct TextsBuilder {
    bytes: Vec<u8>,
    offsets: Vec<u64>,
}

impl TextsBuilder {
    /// No text yet.
    pub fn new() -> Self {
        Self {
            bytes: Vec::new(),
            offsets: vec![0],
        }
    }

    /// Adds one.
    pub fn push(&mut self, text: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(text.as_ref());
        self.offsets.push(self.bytes.len() as u64);
    }

    /// All of them.
    pub fn build(self) -> Texts {
        Texts {
            bytes: self.bytes,
            offsets: pack(self.offsets),
        }
    }
}

impl Default for TextsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        let mut builder = TextsBuilder::new();
        for text in ["kůň", "", "🦀"] {
            builder.push(text);
        }
        let built = builder.build();
        assert_eq!(texts(&built).expect("well formed"), ["kůň", "", "🦀"]);
        assert!(
            texts(&Texts {
                bytes: Vec::new(),
                offsets: Vec::new()
            })
            .expect("none")
            .is_empty()
        );
    }

    #[test]
    fn offsets_out_of_place_are_refused() {
        let ids = |offsets: &[u64]| Ids {
            ids: pack([5_u32, 6, 7]),
            offsets: pack(offsets.iter().copied()),
        };
        assert_eq!(
            sequences(&ids(&[0, 2, 2, 3])).expect("fits"),
            [vec![5, 6], vec![], vec![7]]
        );
        for offsets in [&[0, 2][..], &[1, 3], &[0, 4, 3], &[]] {
            assert!(sequences(&ids(offsets)).is_err(), "{offsets:?}");
        }
    }
}
