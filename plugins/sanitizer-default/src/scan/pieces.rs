//! Findings that are longer than a finding may be, in pieces.
//!
//! The pieces overlap, so that whoever unites findings in one place sees one thing. Where they begin follows from the
//! four bytes before alone: a text that is cut off somewhere before has the same pieces behind.

use std::ops::Range;

/// One place in so many is a border, on average.
const SPACING: u32 = 64;

/// Parts of `range` of at most `most` bytes, or of one character, one behind the other.
pub(super) fn apart(text: &str, range: Range<usize>, most: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let mut stop = range.end;
        if range.end - start > most {
            stop = text.floor_char_boundary(start + most);
            if stop <= start {
                stop = text.ceil_char_boundary(start + 1);
            }
        }
        parts.push(start..stop);
        start = stop;
    }
    parts
}

/// Parts of `range` of at most `most` bytes, on borders of characters, that cover it; one where it is short enough.
pub(super) fn overlapping(text: &str, range: Range<usize>, most: usize) -> Vec<Range<usize>> {
    if range.len() <= most {
        return vec![range];
    }
    let borders = borders(text, range, (most / 2).max(1));
    let pairs = borders.array_windows::<3>();
    pairs.map(|&[start, _, end]| start..end).collect()
}

/// Borders at most `gap` apart, but for a character that is wider; the ends of the range are the first and the last.
fn borders(text: &str, range: Range<usize>, gap: usize) -> Vec<usize> {
    let mut borders = vec![range.start];
    let mut last = range.start;
    for at in range.start + 1..range.end {
        let marked = at >= range.start + 4 && is_marked(&text.as_bytes()[at - 4..at]);
        if (marked || at - last >= gap) && text.is_char_boundary(at) {
            borders.push(at);
            last = at;
        }
    }
    borders.push(range.end);
    borders
}

fn is_marked(bytes: &[u8]) -> bool {
    let value = bytes.iter().fold(0, |value: u32, &byte| {
        value.rotate_left(8) ^ u32::from(byte)
    });
    value.wrapping_mul(0x9e37_79b1) < u32::MAX / SPACING
}

#[cfg(test)]
mod tests {
    use super::overlapping;

    #[test]
    fn pieces_cover_all_and_do_not_depend_on_what_was_cut_off() {
        let mut state = 7_u64;
        let text: String = (0..6000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                char::from(b'A' + (state >> 59) as u8)
            })
            .collect();
        let whole = overlapping(&text, 10..5900, 1024);
        assert!(whole.iter().all(|piece| piece.len() <= 1024));
        assert!(
            whole
                .array_windows::<2>()
                .all(|[one, next]| next.start < one.end)
        );
        assert_eq!((whole[0].start, whole[whole.len() - 1].end), (10, 5900));
        let behind = |start: usize| {
            let pieces = overlapping(&text, start..5900, 1024).into_iter();
            pieces
                .filter(|piece| piece.start > 2000)
                .collect::<Vec<_>>()
        };
        assert_eq!(behind(1000), behind(10));
        assert_eq!(overlapping(&text, 3..1000, 1024).len(), 1);
        let wide = "ž🦀".repeat(200);
        for most in [1, 5, 100] {
            let pieces = overlapping(&wide, 0..wide.len(), most);
            assert!(pieces.iter().all(|piece| wide.get(piece.clone()).is_some()));
        }
    }
}
