//! One or two texts to one sequence: the special tokens that the tokenizer puts around them, cut to a length with the
//! last special token kept.

use codex_plugin_api::{EncodeOptions, Error, Result, TextBuffer, Tokenizer};

/// A text that every tokenizer knows something of.
const PROBE: &str = "a";

/// What stands around texts, found out from what the tokenizer's post-processor does to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    before: Vec<u32>,
    after: Vec<u32>,
    /// Between two texts, and behind the second.
    between: Vec<u32>,
}

impl Template {
    /// The tokenizer's template.
    ///
    /// # Errors
    /// The tokenizer's own.
    pub fn of(tokenizer: &dyn Tokenizer) -> Result<Self> {
        let texts: TextBuffer = [PROBE].into_iter().collect();
        let encode = |add_special_tokens| {
            let options = EncodeOptions {
                add_special_tokens,
                ..EncodeOptions::default()
            };
            tokenizer.encode(texts.as_texts(), options)
        };
        let (bare, framed) = (encode(false)?.ids, encode(true)?.ids);
        let at = (0..=framed.len().saturating_sub(bare.len()))
            .find(|&at| framed[at..].starts_with(&bare))
            .unwrap_or_default();
        let (before, rest) = framed.split_at(at);
        let after = rest.get(bare.len()..).unwrap_or_default().to_vec();
        let special = tokenizer.vocabulary()?.special;
        let between = if after.is_empty() {
            special.sep.or(special.eos).into_iter().collect()
        } else {
            after.clone()
        };
        Ok(Self {
            before: before.to_vec(),
            after,
            between,
        })
    }

    /// The shortest length that holds a token of each text.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when two texts are to be joined and nothing can stand between them, or
    /// `longest` is too short.
    pub fn check(&self, texts: usize, longest: usize) -> Result<()> {
        if texts > 1 && self.between.is_empty() {
            return Err(Error::config(
                "the tokenizer has no token that separates two texts (sep_token, eos_token)",
            )
            .hint("use a tokenizer of an encoder: tokenizer=wordpiece-8k"));
        }
        let least = self.special(texts) + texts;
        if longest < least {
            return Err(Error::config(format!(
                "a sequence of {longest} tokens is too short for {texts} texts and {} special tokens",
                self.special(texts)
            ))
            .hint(format!("set model.sequence_length={least} or more")));
        }
        Ok(())
    }

    fn special(&self, texts: usize) -> usize {
        match texts {
            1 => self.before.len() + self.after.len(),
            _ => self.before.len() + 2 * self.between.len(),
        }
    }

    /// Appends one text as a sequence of at most `longest` ids.
    pub fn single(&self, text: &[u32], longest: usize, ids: &mut Vec<u32>) {
        let room = longest.saturating_sub(self.special(1));
        ids.extend_from_slice(&self.before);
        ids.extend_from_slice(&text[..text.len().min(room)]);
        ids.extend_from_slice(&self.after);
    }

    /// Appends two texts as a sequence of at most `longest` ids, and the segment of each id (0 for the first text and
    /// what is around it, 1 for the second). The longer text is cut first, as Transformers' `longest_first`.
    pub fn pair(
        &self,
        [first, second]: [&[u32]; 2],
        longest: usize,
        ids: &mut Vec<u32>,
        token_types: &mut Vec<u32>,
    ) {
        let room = longest.saturating_sub(self.special(2));
        let (mut one, mut two) = (first.len(), second.len());
        if one + two > room {
            let half = room / 2;
            (one, two) = match (one <= half, two <= half) {
                (true, _) => (one, room - one),
                (_, true) => (room - two, two),
                // Of an odd room the longer text has the larger half, of equal ones the second.
                _ if one > two => (room - half, half),
                _ => (half, room - half),
            };
        }
        let begin = ids.len();
        ids.extend_from_slice(&self.before);
        ids.extend_from_slice(&first[..one]);
        ids.extend_from_slice(&self.between);
        let border = ids.len();
        ids.extend_from_slice(&second[..two]);
        ids.extend_from_slice(&self.between);
        token_types.extend(std::iter::repeat_n(0, border - begin));
        token_types.extend(std::iter::repeat_n(1, ids.len() - border));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::{ByteTokenizer, EncoderTokenizer};

    #[test]
    fn texts_are_framed_as_the_tokenizer_frames_them_and_the_end_is_kept() {
        let template = Template::of(&EncoderTokenizer).unwrap();
        let check = |text: &[u32], longest, expected: &[u32]| {
            let mut ids = Vec::new();
            template.single(text, longest, &mut ids);
            assert_eq!(ids, expected);
        };
        check(&[1, 2, 3], 9, &[256, 1, 2, 3, 257]);
        check(&[1, 2, 3], 4, &[256, 1, 2, 257]);
        check(&[], 4, &[256, 257]);
    }

    #[test]
    fn of_two_texts_the_longer_one_is_cut_first() {
        let template = Template::of(&EncoderTokenizer).unwrap();
        // Numbers of ids that are left of the first and the second text; three ids are special.
        for (lengths, longest, expected) in [
            ([3, 4], 10, [3, 4]),
            ([3, 9], 10, [3, 4]),
            ([9, 3], 10, [4, 3]),
            ([9, 9], 11, [4, 4]),
            ([9, 9], 10, [3, 4]),
            ([10, 9], 10, [4, 3]),
            ([1, 9], 5, [1, 1]),
        ] {
            let texts = lengths.map(|length| vec![7; length]);
            let (mut ids, mut types) = (Vec::new(), Vec::new());
            template.pair([&texts[0], &texts[1]], longest, &mut ids, &mut types);
            let [one, two] = expected;
            let sequence = [&[256][..], &vec![7; one], &[257], &vec![7; two], &[257]].concat();
            assert_eq!(ids, sequence, "{lengths:?} {longest}");
            assert_eq!(types, [vec![0; one + 2], vec![1; two + 1]].concat());
        }
    }

    #[test]
    fn what_cannot_be_joined_is_refused() {
        let encoder = Template::of(&EncoderTokenizer).unwrap();
        encoder.check(2, 5).unwrap();
        for (texts, longest) in [(2, 4), (1, 2)] {
            let error = encoder.check(texts, longest).unwrap_err();
            assert!(error.message().contains("too short"), "{error}");
        }
        // Without a post-processor there is still an end-of-text token.
        let bytes = Template::of(&ByteTokenizer).unwrap();
        assert_eq!(bytes.between, [256]);
        bytes.check(2, 4).unwrap();
        let nothing = Template::default().check(2, 9).unwrap_err();
        assert!(nothing.message().contains("separates"), "{nothing}");
    }
}
