//! Strings that are never generated: before every draw, the tokens that would complete one are forbidden.
//!
//! It looks at bytes, not at tokens: whichever tokens a string is put together from, and wherever in a token it begins or
//! ends, the one token that would write its last byte is not there to be drawn.

use std::cell::RefCell;
use std::collections::HashMap;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use codex_plugin_api::{Error, Result, Tokenizer};

/// The strings and what a vocabulary's tokens can make of them.
pub(super) struct Blocked {
    automaton: NFA,
    start: StateID,
    /// The bytes of every token, one after the other.
    bytes: Vec<u8>,
    /// Where each token's bytes end.
    ends: Vec<usize>,
    /// What is forbidden in a state. There are as many states as the strings have bytes, and most steps are in the first.
    forbidden: RefCell<HashMap<StateID, Box<[u32]>>>,
}

impl Blocked {
    /// `None` where nothing is blocked. Only the vocabulary's first `known` ids are ever drawn.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for an empty string, and the tokenizer's own.
    pub(super) fn new(
        strings: &[String],
        ignore_case: bool,
        tokenizer: &dyn Tokenizer,
        known: usize,
    ) -> Result<Option<Self>> {
        if strings.is_empty() {
            return Ok(None);
        }
        if strings.iter().any(String::is_empty) {
            return Err(Error::config("a blocked text is empty")
                .hint("an empty text is everywhere: leave it out"));
        }
        let refused = |error| {
            Error::config("the blocked texts are too many or too long to look for").because(&error)
        };
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(ignore_case)
            .build(strings)
            .map_err(refused)?;
        let start = automaton.start_state(Anchored::No).map_err(|error| {
            Error::config("the blocked texts cannot be looked for").because(&error)
        })?;
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(known));
        for id in 0..known as u32 {
            bytes.extend_from_slice(&tokenizer.token_bytes(id)?);
            ends.push(bytes.len());
        }
        Ok(Some(Self {
            automaton,
            start,
            bytes,
            ends,
            forbidden: RefCell::default(),
        }))
    }

    /// Where a text stands that begins with a prompt of these bytes, which may hold what is blocked, and half of it.
    pub(super) fn begin(&self, prompt: &[u8]) -> StateID {
        self.step(self.start, prompt)
    }

    /// Where a text stands after a token more.
    pub(super) fn step(&self, state: StateID, token: &[u8]) -> StateID {
        token.iter().fold(state, |state, &byte| {
            self.automaton.next_state(Anchored::No, state, byte)
        })
    }

    /// Takes the tokens away that would complete a blocked string; says whether any is left.
    pub(super) fn mask(&self, state: StateID, logits: &mut [f32]) -> bool {
        let mut known = self.forbidden.borrow_mut();
        let forbidden = known
            .entry(state)
            .or_insert_with(|| self.completing(state).into());
        for &id in forbidden.iter() {
            logits[id as usize] = f32::NEG_INFINITY;
        }
        forbidden.len() < self.ends.len()
    }

    fn completing(&self, state: StateID) -> Vec<u32> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let completes = |from: usize, to: usize| {
            let mut state = state;
            self.bytes[from..to].iter().any(|&byte| {
                state = self.automaton.next_state(Anchored::No, state, byte);
                self.automaton.is_match(state)
            })
        };
        (0..)
            .zip(starts.zip(&self.ends))
            .filter(|&(_, (from, &to))| completes(from, to))
            .map(|(id, _)| id)
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::{EncodeOptions, Encoding, Ids, TextBuffer, Texts, Vocabulary};

    use super::*;

    /// Tokens that cut words anywhere, in characters as well.
    struct Pieces(Vec<Vec<u8>>);

    impl Pieces {
        fn new() -> Self {
            let words = ["a", "b", "ab", "ba", "bab", "abba", "A", "c", "", "cab c"];
            let mut pieces: Vec<Vec<u8>> =
                words.iter().map(|word| word.as_bytes().to_vec()).collect();
            pieces.extend([vec![0xc3], vec![0xa9], vec![b'c', 0xc3]]);
            Self(pieces)
        }
    }

    impl Tokenizer for Pieces {
        fn vocabulary(&self) -> Result<Vocabulary> {
            Err(Error::unsupported("not asked for here"))
        }
        fn encode(&self, _texts: Texts<'_>, _options: EncodeOptions) -> Result<Encoding> {
            Err(Error::unsupported("not asked for here"))
        }
        fn decode(&self, _sequences: Ids<'_>, _skip_special_tokens: bool) -> Result<TextBuffer> {
            Err(Error::unsupported("not asked for here"))
        }
        fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
            Ok(self.0[id as usize].clone())
        }
        fn token_text(&self, _id: u32) -> Result<Option<String>> {
            Err(Error::unsupported("not asked for here"))
        }
        fn token_id(&self, _token: &str) -> Result<Option<u32>> {
            Err(Error::unsupported("not asked for here"))
        }
        fn save(&self, _folder: &str) -> Result<()> {
            Err(Error::unsupported("not asked for here"))
        }
    }

    /// Every sequence of tokens up to a length that is never forbidden, against looking for the strings in its bytes.
    #[test]
    fn exactly_the_tokens_that_complete_a_string_are_forbidden() {
        for (strings, ignore_case) in [
            (vec!["abba", "cc", "b c"], false),
            (vec!["ABa"], true),
            (vec!["é", "caé"], false),
        ] {
            let strings: Vec<String> = strings.into_iter().map(str::to_owned).collect();
            let pieces = Pieces::new();
            let blocked = Blocked::new(&strings, ignore_case, &pieces, pieces.0.len())
                .unwrap()
                .unwrap();
            let holds = |text: &[u8]| {
                let text = if ignore_case {
                    text.to_ascii_lowercase()
                } else {
                    text.to_vec()
                };
                strings.iter().any(|string| {
                    let string = if ignore_case {
                        string.to_ascii_lowercase()
                    } else {
                        string.clone()
                    };
                    text.windows(string.len())
                        .any(|window| window == string.as_bytes())
                })
            };
            let mut allowed = vec![(Vec::new(), blocked.start)];
            let (mut kept, mut taken) = (0, 0);
            for _ in 0..4 {
                let mut longer = Vec::new();
                for (text, state) in allowed {
                    let mut logits = vec![0.0; pieces.0.len()];
                    assert!(blocked.mask(state, &mut logits));
                    for (piece, logit) in pieces.0.iter().zip(logits) {
                        let next = [&text[..], piece].concat();
                        assert_eq!(logit == f32::NEG_INFINITY, holds(&next), "{next:?}");
                        if logit == 0.0 {
                            kept += 1;
                            longer.push((next, blocked.step(state, piece)));
                        } else {
                            taken += 1;
                        }
                    }
                }
                longer.truncate(3000);
                allowed = longer;
            }
            assert!(kept > 1000 && taken > 100, "{kept} kept, {taken} taken");
        }
    }

    #[test]
    fn a_prompt_counts_and_may_hold_what_is_blocked() {
        let pieces = Pieces::new();
        let strings = ["abba".to_owned()];
        let blocked = Blocked::new(&strings, false, &pieces, pieces.0.len())
            .unwrap()
            .unwrap();
        // Another ba, bab or abba would complete a second one.
        let state = blocked.begin(b"abbaab");
        let mut logits = vec![0.0; pieces.0.len()];
        blocked.mask(state, &mut logits);
        let forbidden: Vec<usize> = (0..logits.len()).filter(|&id| logits[id] != 0.0).collect();
        assert_eq!(forbidden, [3, 4, 5]);
    }

    #[test]
    fn where_every_token_is_forbidden_it_is_said() {
        let pieces = Pieces(vec![b"a".to_vec(), b"ba".to_vec()]);
        let strings = ["a".to_owned()];
        let blocked = Blocked::new(&strings, false, &pieces, 2).unwrap().unwrap();
        assert!(!blocked.mask(blocked.start, &mut [0.0, 0.0]));
    }

    #[test]
    fn nothing_and_the_empty_text() {
        let pieces = Pieces::new();
        assert!(Blocked::new(&[], false, &pieces, 3).unwrap().is_none());
        let error = Blocked::new(&[String::new()], false, &pieces, 3)
            .err()
            .unwrap();
        assert!(
            error.message().contains("a blocked text is empty"),
            "{error}"
        );
    }
}
