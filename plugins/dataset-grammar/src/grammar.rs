//! A probabilistic context-free grammar with integer weights: sampling, exact log-probabilities, exact entropy.
//!
//! It knows nothing of English: [`english`](crate::english) builds the rules, [`surface`](crate::surface) turns words into
//! text and back. Rules never reach themselves again (the builder cannot express it), so every derivation ends.

use std::collections::HashMap;

use crate::random::Stream;

/// One place of a rule's right-hand side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// A word or punctuation mark, by its number in [`Grammar::words`].
    Word(u32),
    /// A rule, by its number in [`Grammar::rules`].
    Rule(u32),
}

/// One way to expand a rule.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// Its share of the rule's total.
    pub weight: u32,
    /// Natural logarithm of weight / total.
    pub log_probability: f64,
    /// What it expands to; empty for "nothing".
    pub symbols: Vec<Symbol>,
}

/// A rule: a name for diagnostics and its alternatives.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Unique within the grammar.
    pub name: String,
    /// At least one, each of weight at least 1.
    pub alternatives: Vec<Alternative>,
    /// The running sum of the weights; the last entry is the total.
    pub cumulative: Vec<u32>,
}

/// A grammar whose start is its last rule.
#[derive(Debug, Clone, Default)]
pub struct Grammar {
    /// The words, each once.
    pub words: Vec<String>,
    /// The rules, each after all rules that it mentions.
    pub rules: Vec<Rule>,
    word_numbers: HashMap<String, u32>,
    rule_numbers: HashMap<String, u32>,
}

impl Grammar {
    /// The symbol of a word, added if new.
    pub fn word(&mut self, word: &str) -> Symbol {
        if let Some(&number) = self.word_numbers.get(word) {
            return Symbol::Word(number);
        }
        let number = self.words.len() as u32;
        self.words.push(word.to_owned());
        self.word_numbers.insert(word.to_owned(), number);
        Symbol::Word(number)
    }

    /// The number of a word that the grammar has.
    pub fn word_number(&self, word: &str) -> Option<u32> {
        self.word_numbers.get(word).copied()
    }

    /// The symbol of a rule that was defined before.
    pub fn defined(&self, name: &str) -> Option<Symbol> {
        self.rule_numbers.get(name).copied().map(Symbol::Rule)
    }

    /// Defines a rule from (weight, symbols) pairs; pairs of weight 0 are left out.
    ///
    /// As symbols exist only for what was defined before, no rule can reach itself.
    pub fn define(&mut self, name: &str, alternatives: Vec<(u32, Vec<Symbol>)>) -> Symbol {
        debug_assert!(self.defined(name).is_none(), "rule {name} defined twice");
        let alternatives: Vec<_> = alternatives
            .into_iter()
            .filter(|(weight, _)| *weight > 0)
            .collect();
        debug_assert!(!alternatives.is_empty(), "rule {name} has no alternatives");
        let mut total = 0;
        let cumulative: Vec<u32> = alternatives
            .iter()
            .map(|(weight, _)| {
                total += weight;
                total
            })
            .collect();
        let log_total = f64::from(total).ln();
        let alternatives = alternatives
            .into_iter()
            .map(|(weight, symbols)| Alternative {
                weight,
                log_probability: f64::from(weight).ln() - log_total,
                symbols,
            })
            .collect();
        let number = self.rules.len() as u32;
        self.rules.push(Rule {
            name: name.to_owned(),
            alternatives,
            cumulative,
        });
        self.rule_numbers.insert(name.to_owned(), number);
        Symbol::Rule(number)
    }

    /// The start symbol.
    pub fn start(&self) -> Symbol {
        Symbol::Rule((self.rules.len() as u32).saturating_sub(1))
    }

    /// Draws one derivation: its words and its log-probability in nats.
    pub fn sample(&self, stream: &mut Stream) -> (Vec<u32>, f64) {
        let mut words = Vec::new();
        let mut log_probability = 0.0;
        let mut open = vec![self.start()];
        while let Some(symbol) = open.pop() {
            match symbol {
                Symbol::Word(word) => words.push(word),
                Symbol::Rule(number) => {
                    let rule = &self.rules[number as usize];
                    let total = rule.cumulative[rule.cumulative.len() - 1];
                    let chosen = if rule.alternatives.len() == 1 {
                        0
                    } else {
                        let draw = stream.below(total);
                        rule.cumulative.partition_point(|&end| end <= draw)
                    };
                    let alternative = &rule.alternatives[chosen];
                    log_probability += alternative.log_probability;
                    open.extend(alternative.symbols.iter().rev());
                }
            }
        }
        (words, log_probability)
    }

    /// The exact entropy of a derivation in nats: the mean of −log-probability over everything the grammar makes.
    pub fn entropy(&self) -> f64 {
        let mut entropy: Vec<f64> = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let total = f64::from(rule.cumulative[rule.cumulative.len() - 1]);
            let mean = rule
                .alternatives
                .iter()
                .map(|alternative| {
                    let inside: f64 = alternative
                        .symbols
                        .iter()
                        .map(|symbol| match symbol {
                            Symbol::Word(_) => 0.0,
                            Symbol::Rule(number) => entropy[*number as usize],
                        })
                        .sum();
                    f64::from(alternative.weight) / total * (inside - alternative.log_probability)
                })
                .sum();
            entropy.push(mean);
        }
        entropy.last().copied().unwrap_or(0.0)
    }
}
