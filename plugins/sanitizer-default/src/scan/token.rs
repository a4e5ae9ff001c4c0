//! Rules for numbers, tried at words that hold digits.
//!
//! Numbers have no keywords. All their expressions are one automaton, started at the beginning of every word that
//! has digits near, which ends as soon as none of them can match any more.

use codex_plugin_api::Result;
use regex_automata::{Anchored, Input, MatchKind, PatternSet, meta::Regex};
use std::sync::OnceLock;

use super::{Found, broken, digits, window};
use crate::rules::{Place, Rule, pattern};

/// No rule of this kind matches fewer digits, save in words that have letters too: four there, and any number in words
/// as long as addresses of wallets.
const FEWEST_DIGITS: usize = 5;
const FEWEST_AMONG_LETTERS: usize = 4;
const LONG_WORD: usize = 25;
/// The digits are looked for in so many bytes from the beginning of a word.
const REACH: usize = 40;

/// All rules of the kind.
#[derive(Debug)]
pub(super) struct Tokens {
    rules: Vec<usize>,
    joined: OnceLock<std::result::Result<Regex, String>>,
}

impl Tokens {
    pub(super) fn new(rules: &[Rule]) -> Option<Self> {
        let numbers: Vec<usize> = (0..rules.len())
            .filter(|&number| {
                rules[number].place == Place::Token && rules[number].pattern.is_some()
            })
            .collect();
        (!numbers.is_empty()).then(|| Self {
            rules: numbers,
            joined: OnceLock::new(),
        })
    }

    fn joined(&self, rules: &[Rule]) -> Result<&Regex> {
        self.joined
            .get_or_init(|| {
                let hirs = self
                    .rules
                    .iter()
                    .filter_map(|&number| rules[number].pattern.as_ref())
                    .map(pattern::Pattern::hir)
                    .collect::<std::result::Result<Vec<_>, _>>()?;
                pattern::build(&hirs, MatchKind::All)
            })
            .as_ref()
            .map_err(|reason| broken("numbers", reason))
    }

    pub(super) fn search(&self, found: &mut Found<'_>) -> Result<()> {
        let text = found.bytes();
        let mut set = PatternSet::new(self.rules.len());
        let mut ends = vec![0; self.rules.len()];
        let mut at = 0;
        while let Some(digit) = digits::next(text, at) {
            let start = word_start(text, digit, at);
            let end = word_end(text, digit);
            at = end;
            if !is_worth_trying(text, start..end) {
                continue;
            }
            let joined = self.joined(&found.engine.rules)?;
            for start in starts(text, start) {
                self.try_at(found, joined, start, &mut set, &mut ends)?;
            }
        }
        Ok(())
    }

    fn try_at(
        &self,
        found: &mut Found<'_>,
        joined: &Regex,
        start: usize,
        set: &mut PatternSet,
        ends: &mut [usize],
    ) -> Result<()> {
        let text = found.bytes();
        if continues_number(text, start) {
            return Ok(());
        }
        set.clear();
        joined.which_overlapping_matches(
            &Input::new(text).range(start..).anchored(Anchored::Yes),
            set,
        );
        for index in set.iter() {
            let index = index.as_usize();
            let number = self.rules[index];
            let rule = found.rule(number);
            let Some(pattern) = rule.pattern.as_ref().filter(|_| start >= ends[index]) else {
                continue;
            };
            let compiled = pattern
                .compiled()
                .map_err(|reason| broken(&rule.id, &reason))?;
            let input = Input::new(text).range(start..).anchored(Anchored::Yes);
            let Some(matched) = compiled.regex.search(&input) else {
                continue;
            };
            let matched = matched.range();
            if is_continued(text, matched.end) {
                continue;
            }
            ends[index] = matched.end;
            if let Some(secret) = window::secret(rule, &compiled.regex, text, &matched) {
                found.push(number, secret, matched, rule.confidence)?;
            }
        }
        Ok(())
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn word_start(text: &[u8], digit: usize, from: usize) -> usize {
    text[from..digit]
        .iter()
        .rposition(|&byte| !is_word(byte))
        .map_or(from, |place| from + place + 1)
}

fn word_end(text: &[u8], digit: usize) -> usize {
    text[digit..]
        .iter()
        .position(|&byte| !is_word(byte))
        .map_or(text.len(), |place| digit + place)
}

fn is_worth_trying(text: &[u8], word: std::ops::Range<usize>) -> bool {
    let digits = digits::count(&text[word.clone()]);
    if word.len() >= LONG_WORD || (digits >= FEWEST_AMONG_LETTERS && digits < word.len()) {
        return true;
    }
    let reach = &text[word.start..(word.start + REACH).min(text.len())];
    if digits::count(reach) < FEWEST_DIGITS {
        return false;
    }
    reach
        .iter()
        .take_while(|&&byte| byte.is_ascii_alphanumeric() || b" -./()+:_,".contains(&byte))
        .filter(|byte| byte.is_ascii_digit())
        .nth(FEWEST_DIGITS - 1)
        .is_some()
}

/// Where a number could begin: at the word, at a sign before it, at a short word of letters before it.
fn starts(text: &[u8], start: usize) -> impl Iterator<Item = usize> {
    let sign = start
        .checked_sub(1)
        .filter(|&place| b"+(".contains(&text[place]))
        .map(|place| {
            place - usize::from(place > 0 && text[place] == b'(' && text[place - 1] == b'+')
        });
    let letters = start
        .checked_sub(1)
        .filter(|&place| b" -".contains(&text[place]))
        .and_then(|border| {
            let count = text[..border]
                .iter()
                .rev()
                .take(5)
                .take_while(|byte| byte.is_ascii_alphabetic())
                .count();
            (1..=4).contains(&count).then(|| border - count)
        });
    [letters, sign, Some(start)].into_iter().flatten()
}

/// Whether what begins at `start` goes on with what is before it: a longer number, a word, a path.
fn continues_number(text: &[u8], start: usize) -> bool {
    let before = |count: usize| start.checked_sub(count).map(|place| text[place]);
    match before(1) {
        Some(byte) if is_word(byte) => true,
        Some(b'.' | b'-' | b'/' | b':') => before(2).is_some_and(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Whether what ends at `end` goes on behind it.
fn is_continued(text: &[u8], end: usize) -> bool {
    match text.get(end) {
        Some(&byte) if is_word(byte) => true,
        Some(b'.' | b'-' | b'/') => text.get(end + 1).is_some_and(u8::is_ascii_digit),
        _ => false,
    }
}
