//! Where digits are, eight bytes at a time.

const HIGH: u64 = 0x8080_8080_8080_8080;
const LOW: u64 = 0x0101_0101_0101_0101;

/// The high bit of every byte that is a digit, the first byte lowest.
fn digits(bytes: [u8; 8]) -> u64 {
    let distance = u64::from_le_bytes(bytes) ^ (LOW * u64::from(b'0'));
    // A distance of ten or more reaches the high bit when 0x76 is added; the sum stays within its byte.
    !(((distance & !HIGH) + LOW * 0x76) | distance) & HIGH
}

/// The next digit at `at` or behind it.
pub(super) fn next(text: &[u8], mut at: usize) -> Option<usize> {
    while let Some(&bytes) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let digits = digits(bytes);
        if digits != 0 {
            return Some(at + digits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    rest.iter()
        .position(u8::is_ascii_digit)
        .map(|place| at + place)
}

/// How many digits there are.
pub(super) fn count(text: &[u8]) -> usize {
    let (chunks, rest) = text.as_chunks::<8>();
    let whole: u32 = chunks.iter().map(|&bytes| digits(bytes).count_ones()).sum();
    whole as usize + rest.iter().filter(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_at_all_places_are_told_apart() {
        for place in 0..20 {
            for byte in 0..=255u8 {
                let mut text = [b'x'; 20];
                text[place] = byte;
                let expected = byte.is_ascii_digit().then_some(place);
                assert_eq!(next(&text, 0), expected, "{byte} at {place}");
                assert_eq!(next(&text, place + 1), None);
                assert_eq!(count(&text), usize::from(expected.is_some()));
            }
        }
        let neighbours = b"/0:9/0:9/";
        assert_eq!(count(neighbours), 4);
        assert_eq!(next(neighbours, 2), Some(3));
    }
}
