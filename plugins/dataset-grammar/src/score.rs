//! The log-probability of a text, from the text alone.
//!
//! It shares no step with sampling: it sums over *every* derivation of the words (the inside algorithm, top-down with a
//! chart), so it would show an ambiguous grammar as a score above the sampler's.

use std::collections::HashMap;

use crate::grammar::{Grammar, Symbol};
use crate::surface;

/// The natural logarithm of the probability that `grammar` makes exactly `text`; nothing when it cannot.
pub fn log_probability(grammar: &Grammar, text: &str) -> Option<f64> {
    let words = surface::words(grammar, text)?;
    let mut chart = Chart {
        grammar,
        words: &words,
        spans: HashMap::new(),
    };
    let spans = chart.spans(grammar.start(), 0);
    spans
        .iter()
        .find(|(end, _)| *end == words.len())
        .map(|(_, score)| *score)
}

/// Where an expansion can end, and the log of the summed probability of all its derivations that end there.
type Spans = Vec<(usize, f64)>;

struct Chart<'a> {
    grammar: &'a Grammar,
    words: &'a [u32],
    spans: HashMap<(u32, usize), Spans>,
}

impl Chart<'_> {
    fn spans(&mut self, symbol: Symbol, start: usize) -> Spans {
        let number = match symbol {
            Symbol::Word(word) if self.words.get(start) == Some(&word) => {
                return vec![(start + 1, 0.0)];
            }
            Symbol::Word(_) => return Vec::new(),
            Symbol::Rule(number) => number,
        };
        if let Some(known) = self.spans.get(&(number, start)) {
            return known.clone();
        }
        let grammar = self.grammar;
        let mut all = Spans::new();
        for alternative in &grammar.rules[number as usize].alternatives {
            let mut reached = vec![(start, alternative.log_probability)];
            for &symbol in &alternative.symbols {
                let mut further = Spans::new();
                for (place, score) in reached {
                    for (end, inside) in self.spans(symbol, place) {
                        add(&mut further, end, score + inside);
                    }
                }
                reached = further;
            }
            for (end, score) in reached {
                add(&mut all, end, score);
            }
        }
        self.spans.insert((number, start), all.clone());
        all
    }
}

/// Adds a probability, given as its logarithm, to that of the spans that end at `end`.
fn add(spans: &mut Spans, end: usize, score: f64) {
    match spans.iter_mut().find(|(other, _)| *other == end) {
        Some((_, sum)) => {
            let (high, low) = if *sum > score {
                (*sum, score)
            } else {
                (score, *sum)
            };
            *sum = high + (low - high).exp().ln_1p();
        }
        None => spans.push((end, score)),
    }
}
