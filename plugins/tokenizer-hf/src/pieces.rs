//! Divides long texts where no token can cross, so that one long text keeps all threads busy and memory stays bounded.

use codex_plugin_api::Texts;

/// A part of one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a str,
    /// The byte of its text where it starts.
    pub(crate) start: usize,
    /// Whether its text ends with it.
    pub(crate) last: bool,
}

/// All texts in order, each divided after about `target` bytes if given.
pub(crate) fn pieces(texts: Texts<'_>, target: Option<usize>) -> Vec<Piece<'_>> {
    let mut all = Vec::with_capacity(texts.len());
    for text in texts.iter() {
        let mut start = 0;
        while let Some(target) = target
            && let Some(at) = border(text, start + target)
        {
            all.push(Piece {
                text: &text[start..at],
                start,
                last: false,
            });
            start = at;
        }
        all.push(Piece {
            text: &text[start..],
            start,
            last: true,
        });
    }
    all
}

/// The first place at or after byte `from` (and not at the text's end) where a space follows what is no white space.
/// No pre-tokenizer that this plugin trains lets a word cross it: a space begins a word or a run of white space.
pub(crate) fn border(text: &str, from: usize) -> Option<usize> {
    let mut from = from.max(1);
    let bytes = text.as_bytes();
    loop {
        let at = from + bytes.get(from..)?.iter().position(|&byte| byte == b' ')?;
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| !c.is_whitespace()) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_their_texts() {
        for (text, expected) in [
            ("", &[""][..]),
            ("abcdefgh", &["abcdefgh"]),
            ("ab cd ef", &["ab cd", " ef"]),
            ("ab  \n  cdé ef g", &["ab  \n  cdé", " ef g"]),
            ("      ", &["      "]),
            ("abcd ", &["abcd", " "]),
        ] {
            let bytes = [text.as_bytes(), text.as_bytes()].concat();
            let offsets = [0, text.len() as u64, bytes.len() as u64];
            let all = pieces(Texts::new(&bytes, &offsets).unwrap(), Some(4));
            let found: Vec<&str> = all.iter().map(|piece| piece.text).collect();
            assert_eq!(found, [expected, expected].concat(), "{text:?}");
            assert_eq!(all.iter().filter(|piece| piece.last).count(), 2);
        }
    }
}
