//! The LL(1) condition, computed: the proof of unambiguity that the tests run (see [`english`](crate::english)).

use std::collections::HashSet;

use crate::grammar::{Grammar, Symbol};

/// What can come next; `END` is the end of the document.
type Next = HashSet<u32>;
const END: u32 = u32::MAX;

/// The first rule two of whose alternatives can start with the same word, with that word.
pub(crate) fn conflict(grammar: &Grammar) -> Option<String> {
    let count = grammar.rules.len();
    // A rule mentions only rules before it, so one pass upwards gives FIRST and one downwards FOLLOW.
    let mut first: Vec<(Next, bool)> = Vec::with_capacity(count);
    for rule in &grammar.rules {
        let mut all = (Next::new(), false);
        for alternative in &rule.alternatives {
            let (next, empty) = first_of(&alternative.symbols, &first);
            all.0.extend(next);
            all.1 |= empty;
        }
        first.push(all);
    }
    let mut follow = vec![Next::new(); count];
    follow[count - 1].insert(END);
    for number in (0..count).rev() {
        let after_rule = follow[number].clone();
        for alternative in &grammar.rules[number].alternatives {
            for (place, symbol) in alternative.symbols.iter().enumerate() {
                if let Symbol::Rule(inner) = symbol {
                    let (mut next, empty) = first_of(&alternative.symbols[place + 1..], &first);
                    if empty {
                        next.extend(&after_rule);
                    }
                    follow[*inner as usize].extend(next);
                }
            }
        }
    }
    for (number, rule) in grammar.rules.iter().enumerate() {
        let mut seen = Next::new();
        for alternative in &rule.alternatives {
            let (mut next, empty) = first_of(&alternative.symbols, &first);
            if empty {
                next.extend(&follow[number]);
            }
            for word in next {
                if !seen.insert(word) {
                    let word = grammar
                        .words
                        .get(word as usize)
                        .map_or("the end", String::as_str);
                    return Some(format!(
                        "rule {:?}: two alternatives can start with {word:?}",
                        rule.name
                    ));
                }
            }
        }
    }
    None
}

fn first_of(symbols: &[Symbol], first: &[(Next, bool)]) -> (Next, bool) {
    let mut all = Next::new();
    for symbol in symbols {
        match symbol {
            Symbol::Word(word) => {
                all.insert(*word);
                return (all, false);
            }
            Symbol::Rule(number) => {
                let (next, empty) = &first[*number as usize];
                all.extend(next);
                if !empty {
                    return (all, false);
                }
            }
        }
    }
    (all, true)
}
