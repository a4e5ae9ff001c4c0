//! One pass for the keywords of all rules.
//!
//! Nearly no place of a text is the beginning of a keyword, so each is settled by one look at four bytes
//! ([`Beginnings`]). Only where that does not rule it out, an Aho-Corasick automaton is walked from there.

use std::collections::HashMap;

use aho_corasick::{Anchored, StartKind, automaton::Automaton, dfa};
use codex_plugin_api::{Error, Result};

use crate::assignment::{self, Value};
use crate::rules::{Place, Rule};

/// A keyword of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub(super) rule: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// All keywords of a text, by rule and place.
#[derive(Default)]
pub(super) struct Hits {
    pub(super) of_rules: Vec<Hit>,
    pub(super) assignments: Vec<Value>,
}

/// What a keyword stands for.
#[derive(Clone, Debug, Default)]
struct Meaning {
    rules: Vec<usize>,
    /// It may be part of the name of a credential.
    names: bool,
}

/// The search.
#[derive(Debug)]
pub(super) struct Keywords {
    beginnings: Beginnings,
    automaton: dfa::DFA,
    meanings: Vec<Meaning>,
    /// Rules whose keyword is a single byte, which is too common for the pass over all.
    single: Vec<(u8, usize)>,
    everywhere: Vec<usize>,
}

impl Keywords {
    /// Joins the keywords of `rules`, and those of assignments.
    pub(super) fn new(rules: &[Rule], with_assignments: bool) -> Result<Self> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut patterns: Vec<&str> = Vec::new();
        let mut meanings: Vec<Meaning> = Vec::new();
        let (mut single, mut everywhere) = (Vec::new(), Vec::new());
        let mut place = |word, meanings: &mut Vec<Meaning>| {
            *places.entry(word).or_insert_with(|| {
                patterns.push(word);
                meanings.push(Meaning::default());
                meanings.len() - 1
            })
        };
        for (number, rule) in rules.iter().enumerate() {
            if rule.place != Place::Keyword {
                continue;
            }
            if rule.keywords.iter().all(String::is_empty) {
                everywhere.push(number);
            }
            for word in rule.keywords.iter().filter(|word| !word.is_empty()) {
                if let &[byte] = word.as_bytes() {
                    single.push((byte, number));
                } else {
                    let at = place(word.as_str(), &mut meanings);
                    meanings[at].rules.push(number);
                }
            }
        }
        for word in assignment::KEYWORDS.iter().filter(|_| with_assignments) {
            let at = place(word, &mut meanings);
            meanings[at].names = true;
        }
        let automaton = dfa::DFA::builder()
            .start_kind(StartKind::Anchored)
            .ascii_case_insensitive(true)
            .prefilter(false)
            .build(&patterns)
            .map_err(|error| {
                Error::config("the keywords of the rules cannot be joined to one search")
                    .because(&error)
            })?;
        Ok(Self {
            beginnings: Beginnings::new(&patterns),
            automaton,
            meanings,
            single,
            everywhere,
        })
    }

    /// Rules without keywords, which are tried everywhere.
    pub(super) fn everywhere(&self) -> &[usize] {
        &self.everywhere
    }

    /// All keywords in `text`; `look` is asked at each that may be part of a credential's name.
    pub(super) fn find(
        &self,
        text: &[u8],
        mut look: impl FnMut(assignment::Hit) -> Option<Value>,
    ) -> Hits {
        let mut hits = Hits::default();
        let mut done = 0;
        self.beginnings.each(text, |start| {
            self.each_at(text, start, |meaning, end| {
                let of_rules = meaning.rules.iter();
                hits.of_rules
                    .extend(of_rules.map(|&rule| Hit { rule, start, end }));
                if meaning.names
                    && start >= done
                    && let Some(value) = look(assignment::Hit { start, end })
                {
                    done = value.start;
                    hits.assignments.push(value);
                }
            });
        });
        for &(byte, rule) in &self.single {
            let cases = [byte, byte.to_ascii_uppercase()];
            let places = memchr::memchr2_iter(cases[0], cases[1], text);
            hits.of_rules.extend(places.map(|start| Hit {
                rule,
                start,
                end: start + 1,
            }));
        }
        hits.of_rules.sort_unstable();
        hits
    }

    /// The keywords that begin at `start`, with their ends.
    fn each_at(&self, text: &[u8], start: usize, mut found: impl FnMut(&Meaning, usize)) {
        let automaton = &self.automaton;
        let Ok(mut state) = automaton.start_state(Anchored::Yes) else {
            return;
        };
        for (place, &byte) in text.iter().enumerate().skip(start) {
            state = automaton.next_state(Anchored::Yes, state, byte);
            if automaton.is_dead(state) {
                return;
            }
            if !automaton.is_match(state) {
                continue;
            }
            let end = place + 1;
            for index in 0..automaton.match_len(state) {
                let pattern = automaton.match_pattern(state, index);
                // A state also has the keywords that end here and begin later.
                if automaton.pattern_len(pattern) == end - start {
                    found(&self.meanings[pattern.as_usize()], end);
                }
            }
        }
    }
}

/// Which four bytes a keyword may begin with, as two tables of bits by two hashes of them.
///
/// Only the five low bits of a byte count: letters of either case are the same then. A place that is not ruled out may
/// still be none. The tables are small enough to stay in the first cache, and two of them let through by chance what
/// one would, squared.
#[derive(Debug)]
struct Beginnings {
    tables: Box<[[u64; 1024]; 2]>,
}

impl Beginnings {
    const LOW_BITS: u32 = 0x1f1f_1f1f;

    fn new(words: &[&str]) -> Self {
        let mut beginnings = Self {
            tables: Box::new([[0; 1024]; 2]),
        };
        for word in words {
            let known = word.len().min(4);
            let mut bytes = [0; 4];
            bytes[..known].copy_from_slice(&word.as_bytes()[..known]);
            beginnings.add(bytes, known);
        }
        beginnings
    }

    /// Adds all that begin with the first `known` of `bytes`.
    fn add(&mut self, bytes: [u8; 4], known: usize) {
        if known == 4 {
            for (table, slot) in self.tables.iter_mut().zip(Self::slots(bytes)) {
                table[slot / 64] |= 1 << (slot % 64);
            }
            return;
        }
        for low_bits in 0..32 {
            let mut bytes = bytes;
            bytes[known] = low_bits;
            self.add(bytes, known + 1);
        }
    }

    fn slots(bytes: [u8; 4]) -> [usize; 2] {
        let low_bits = u32::from_le_bytes(bytes) & Self::LOW_BITS;
        [0x9e37_79b1, 0x85eb_ca6b].map(|factor| (low_bits.wrapping_mul(factor) >> 16) as usize)
    }

    /// Calls `visit` with every place of `text` that is not ruled out, in order.
    fn each(&self, text: &[u8], mut visit: impl FnMut(usize)) {
        let [first, second] = &*self.tables;
        for (start, bytes) in text.array_windows::<4>().enumerate() {
            let [a, b] = Self::slots(*bytes);
            if (first[a / 64] >> (a % 64)) & (second[b / 64] >> (b % 64)) & 1 == 1 {
                visit(start);
            }
        }
        (text.len().saturating_sub(3)..text.len()).for_each(visit);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::rules::from_text;

    #[test]
    fn keywords_are_found_wherever_and_however_they_are_written() {
        let file = "[[rules]]\nid = 'a'\nregex = 'x'\nkeywords = ['@', 'pk', 'Key', 'keyword', 'wordy', 'señal']\n";
        let rules = from_text("x.toml", file, true).unwrap().rules;
        let keywords = Keywords::new(&rules, false).unwrap();
        let found = |text: &str| {
            let hits = keywords.find(text.as_bytes(), |_| None).of_rules;
            hits.iter()
                .map(|hit| text[hit.start..hit.end].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            found("KEYWORDY pK@"),
            ["KEY", "KEYWORD", "WORDY", "pK", "@"]
        );
        assert_eq!(found("una señal"), ["señal"]);
        assert_eq!(found("ke"), [""; 0]);
        assert_eq!(found("key"), ["key"]);
    }
}
