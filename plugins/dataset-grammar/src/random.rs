//! A stream of exactly uniform integers that is a pure function of (seed, document).
//!
//! Counter-based (Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011), so document *i* needs nothing of document *i − 1*, and integers only, so no float rounding of one
//! machine can choose another word than that of the next.

/// The random choices of one document.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    document: u64,
    block: u64,
    words: [u32; 4],
    used: usize,
}

impl Stream {
    /// The stream of `document` under `seed`.
    pub fn new(seed: u64, document: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            document,
            block: 0,
            words: [0; 4],
            used: 4,
        }
    }

    fn next(&mut self) -> u32 {
        if self.used == self.words.len() {
            let counter = [
                self.block as u32,
                (self.block >> 32) as u32,
                self.document as u32,
                (self.document >> 32) as u32,
            ];
            self.words = philox(counter, self.key);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// A uniform integer below `bound` (which is at least 1), without bias: a draw that would favour some values is thrown
    /// away (Lemire, "Fast random integer generation in an interval", 2019).
    pub fn below(&mut self, bound: u32) -> u32 {
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next()) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let low = u64::from(counter[0]) * 0xD251_1F53;
        let high = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (high >> 32) as u32 ^ counter[1] ^ key[0],
            high as u32,
            (low >> 32) as u32 ^ counter[3] ^ key[1],
            low as u32,
        ];
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors publish with Random123.
    #[test]
    fn philox_gives_the_published_answers() {
        let check = |counter, key, expected: [u32; 4]| assert_eq!(philox(counter, key), expected);
        check(
            [0; 4],
            [0; 2],
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
        );
        check(
            [u32::MAX; 4],
            [u32::MAX; 2],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        );
        check(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        );
    }

    #[test]
    fn every_value_below_the_bound_is_as_likely_as_the_next() {
        let mut stream = Stream::new(1, 2);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // Standard deviation of a count: sqrt(70000 · 1/7 · 6/7) ≈ 93; five of them.
        for count in counts {
            assert!(count.abs_diff(10_000) < 470, "{counts:?}");
        }
    }

    #[test]
    fn streams_differ_by_seed_and_by_document() {
        let first = |seed, document| {
            let mut stream = Stream::new(seed, document);
            [stream.below(1 << 30), stream.below(1 << 30)]
        };
        assert_eq!(first(1, 1), first(1, 1));
        assert_ne!(first(1, 1), first(1, 2));
        assert_ne!(first(1, 1), first(2, 1));
        assert_ne!(first(1, 0), first(1 << 32, 0));
    }
}
