//! One pass for the keywords of all rules.

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
pub(super) struct Hits {
    pub(super) of_rules: Vec<Hit>,
    pub(super) assignments: Vec<Value>,
}

/// The search.
#[derive(Debug)]
pub(super) struct Keywords {
    automaton: dfa::DFA,
    /// What each pattern stands for.
    rules: Vec<Vec<usize>>,
    /// Which patterns may be part of the name of a credential.
    names: Vec<bool>,
    everywhere: Vec<usize>,
}

impl Keywords {
    /// Joins the keywords of `rules`, and those of assignments.
    pub(super) fn new(rules: &[Rule], with_assignments: bool) -> Result<Self> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut patterns: Vec<&str> = Vec::new();
        let mut of: Vec<Vec<usize>> = Vec::new();
        let mut everywhere = Vec::new();
        let mut place = |word| {
            let next = patterns.len();
            *places.entry(word).or_insert_with(|| {
                patterns.push(word);
                next
            })
        };
        for (number, rule) in rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.place == Place::Keyword)
        {
            if rule.keywords.iter().all(String::is_empty) {
                everywhere.push(number);
            }
            for word in rule.keywords.iter().filter(|word| !word.is_empty()) {
                let at = place(word.as_str());
                of.resize(of.len().max(at + 1), Vec::new());
                of[at].push(number);
            }
        }
        let mut names = vec![false; of.len()];
        if with_assignments {
            for word in assignment::KEYWORDS {
                let at = place(word);
                names.resize(names.len().max(at + 1), false);
                names[at] = true;
            }
        }
        of.resize(names.len(), Vec::new());
        let automaton = dfa::DFA::builder()
            .ascii_case_insensitive(true)
            .start_kind(StartKind::Unanchored)
            .prefilter(false)
            .build(&patterns)
            .map_err(|error| {
                Error::config("the keywords of the rules cannot be joined to one search")
                    .because(&error)
            })?;
        Ok(Self {
            automaton,
            rules: of,
            names,
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
        let mut hits = Hits {
            of_rules: Vec::new(),
            assignments: Vec::new(),
        };
        let mut done = 0;
        let dfa = &self.automaton;
        let Ok(mut state) = dfa.start_state(Anchored::No) else {
            return hits;
        };
        for (place, &byte) in text.iter().enumerate() {
            state = dfa.next_state(Anchored::No, state, byte);
            if !dfa.is_special(state) || !dfa.is_match(state) {
                continue;
            }
            let end = place + 1;
            for index in 0..dfa.match_len(state) {
                let pattern = dfa.match_pattern(state, index);
                let start = end - dfa.pattern_len(pattern);
                let pattern = pattern.as_usize();
                hits.of_rules
                    .extend(
                        self.rules[pattern]
                            .iter()
                            .map(|&rule| Hit { rule, start, end }),
                    );
                if self.names[pattern] && start >= done {
                    let hit = assignment::Hit { start, end };
                    if let Some(value) = look(hit) {
                        done = value.start;
                        hits.assignments.push(value);
                    }
                }
            }
        }
        hits.of_rules.sort_unstable();
        hits
    }
}
