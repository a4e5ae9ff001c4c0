//! Four bytes of every keyword, in a table of bits.

use std::collections::HashMap;

/// Where a keyword begins, seen from its window.
#[derive(Clone, Copy, Debug)]
struct Owner {
    keyword: usize,
    /// How many bytes of the keyword are before the window.
    before: usize,
}

/// The windows of all keywords.
///
/// Only the five low bits of a byte count: letters of either case are the same then, and others as well, so what has
/// a window may still be no keyword.
#[derive(Debug)]
pub(super) struct Windows {
    /// A bit for every hash of a window; small enough to stay in the first cache.
    bits: Box<[u64; 2048]>,
    /// The same by another hash, for what the first lets through by chance.
    again: Box<[u64; 1024]>,
    owners: HashMap<u32, Vec<Owner>>,
    /// Keywords of two or three bytes, which could be the last of a text.
    short: Vec<usize>,
}

const LOW_BITS: u64 = 0x1f1f_1f1f_1f1f_1f1f;

impl Windows {
    /// Takes the windows of keywords in lower case, each of two bytes or more.
    pub(super) fn new<'a>(keywords: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut windows = Self {
            bits: Box::new([0; 2048]),
            again: Box::new([0; 1024]),
            owners: HashMap::new(),
            short: Vec::new(),
        };
        for (keyword, bytes) in keywords.enumerate() {
            let before = rarest(bytes);
            let known = (bytes.len() - before).min(4);
            let mut window = [0; 4];
            window[..known].copy_from_slice(&bytes[before..before + known]);
            windows.add(window, known, Owner { keyword, before });
            if bytes.len() < 4 {
                windows.short.push(keyword);
            }
        }
        windows
    }

    /// Adds all windows that begin with the first `known` of `bytes`.
    fn add(&mut self, bytes: [u8; 4], known: usize, owner: Owner) {
        if known == 4 {
            let window = u32::from_le_bytes(bytes) & LOW_BITS as u32;
            let slot = slot(window);
            self.bits[slot / 64] |= 1 << (slot % 64);
            let slot = other_slot(window);
            self.again[slot / 64] |= 1 << (slot % 64);
            self.owners.entry(window).or_default().push(owner);
            return;
        }
        for low_bits in 0..32 {
            let mut bytes = bytes;
            bytes[known] = low_bits;
            self.add(bytes, known + 1, owner);
        }
    }

    /// Calls `visit` with keywords and the places where they may begin in `text`, in the order of their windows.
    pub(super) fn each(&self, text: &[u8], mut visit: impl FnMut(usize, usize)) {
        let mut at = 0;
        // Four windows lie within eight bytes; one branch for all of them is what makes this loop fast.
        while let Some(&bytes) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let windows = u64::from_le_bytes(bytes) & LOW_BITS;
            if (0..4).fold(0, |any, place| any | self.bit(windows >> (8 * place))) & 1 == 1 {
                for place in 0..4 {
                    self.at(windows >> (8 * place), at + place, &mut visit);
                }
            }
            at += 4;
        }
        let rest = text.get(at..).unwrap_or_default();
        for (place, &bytes) in rest.array_windows::<4>().enumerate() {
            let window = u64::from(u32::from_le_bytes(bytes)) & LOW_BITS;
            self.at(window, at + place, &mut visit);
        }
        for start in text.len().saturating_sub(3)..text.len() {
            for &keyword in &self.short {
                visit(keyword, start);
            }
        }
    }

    /// In its lowest bit, whether the four lowest bytes may be a window.
    fn bit(&self, windows: u64) -> u64 {
        let slot = slot(windows as u32);
        self.bits[slot / 64] >> (slot % 64)
    }

    fn at(&self, windows: u64, place: usize, visit: &mut impl FnMut(usize, usize)) {
        let window = windows as u32;
        let again = other_slot(window);
        if self.bit(windows) & (self.again[again / 64] >> (again % 64)) & 1 == 0 {
            return;
        }
        for owner in self.owners.get(&window).into_iter().flatten() {
            if let Some(start) = place.checked_sub(owner.before) {
                visit(owner.keyword, start);
            }
        }
    }
}

fn slot(window: u32) -> usize {
    (window.wrapping_mul(0x9e37_79b1) >> 15) as usize
}

fn other_slot(window: u32) -> usize {
    (window.wrapping_mul(0x85eb_ca6b) >> 16) as usize
}

/// Where the four bytes of a keyword begin that are rarest in English, going by its letters.
fn rarest(keyword: &[u8]) -> usize {
    /// How often a letter is met in 1,000, from `a` on.
    const OFTEN: [u64; 26] = [
        82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24,
        2, 20, 1,
    ];
    let often = |byte: &u8| match byte {
        b'a'..=b'z' => OFTEN[usize::from(byte - b'a')],
        b' ' => 150,
        _ => 6,
    };
    let windows = keyword.windows(4).enumerate();
    windows
        .min_by_key(|(_, window)| window.iter().map(often).product::<u64>())
        .map_or(0, |(place, _)| place)
}
