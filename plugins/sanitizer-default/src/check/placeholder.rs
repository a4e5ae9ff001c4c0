//! What stands where a credential would be.

/// So much of a credential is one character again and again in no credential that was given out.
const LONGEST_RUN: usize = 6;
/// An alphabet or a row of digits and letters, as people write it.
const LONGEST_ROW: usize = 16;
/// What documentation writes into the places of its own.
const WORDS: [&[u8]; 5] = [b"your_", b"your-", b"placeholder", b"redacted", b"xxxxxx"];

/// Whether a text that has the form of a credential only shows where one belongs.
pub(crate) fn is_placeholder(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let run = longest(&lower, |last, next| last == next);
    let row = longest(&lower, |last, next| {
        last.wrapping_add(1) == next || (last, next) == (b'9', b'a') || (last, next) == (b'9', b'0')
    });
    (run >= LONGEST_RUN && run * 3 >= lower.len())
        || row >= LONGEST_ROW
        || WORDS
            .iter()
            .any(|word| memchr::memmem::find(&lower, word).is_some())
}

/// The length of the longest part in which every byte `follows` the last.
fn longest(text: &[u8], follows: impl Fn(u8, u8) -> bool) -> usize {
    text.chunk_by(|&last, &next| follows(last, next))
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn forms_to_fill_in_and_what_was_given_out() {
        for text in [
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "AKIA0000000000000000",
            "key_abcdefghijklmnopqrstuv",
            "sk-0123456789abcdef0123",
            "sha256~PUT_YOUR_TOKEN_HERE",
        ] {
            assert!(is_placeholder(text.as_bytes()), "{text}");
        }
        for text in [
            "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",
            "AAAAAAAAAAAAAAAAAAAAAAh3k2mZ9vQ1xT7nR4bL8wE6yU0pS5dF2gJ3cV9aK1mB6tX8qW4zH7rN",
            "AIzaSyD-1234567890-qwertz-uiopasdfghj",
        ] {
            assert!(!is_placeholder(text.as_bytes()), "{text}");
        }
    }
}
