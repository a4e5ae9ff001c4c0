//! What the data set promises: one derivation a text, exact probabilities, text that is right and does not change.

use std::collections::HashMap;

use crate::english;
use crate::first_follow::conflict;
use crate::grammar::{Grammar, Symbol};
use crate::random::Stream;
use crate::score;
use crate::style::Style;
use crate::surface;

fn styles() -> [(&'static str, Grammar); 2] {
    [
        ("plain", english::grammar(&Style::PLAIN)),
        ("formal", english::grammar(&Style::FORMAL)),
    ]
}

fn sample(grammar: &Grammar, document: u64) -> (String, f64) {
    let (words, log_probability) = grammar.sample(&mut Stream::new(7, document));
    (surface::text(grammar, &words), log_probability)
}

#[test]
fn the_next_word_decides_every_choice() {
    for (name, grammar) in styles() {
        assert_eq!(conflict(&grammar), None, "style {name}");
    }
}

#[test]
fn the_check_finds_an_ambiguous_rule() {
    let mut grammar = Grammar::default();
    let (a, b) = (grammar.word("a"), grammar.word("b"));
    let inner = grammar.define("inner", vec![(1, vec![a]), (1, vec![])]);
    grammar.define("start", vec![(1, vec![inner, a, b])]);
    assert!(conflict(&grammar).is_some_and(|rule| rule.contains("inner")));
}

#[test]
fn a_scorer_that_sees_only_the_text_agrees_with_the_generator() {
    for (name, grammar) in styles() {
        for document in 0..1_500 {
            let (text, expected) = sample(&grammar, document);
            let scored = score::log_probability(&grammar, &text);
            assert!(
                scored.is_some_and(|scored| (scored - expected).abs() < 1e-9),
                "{name} document {document}: {scored:?} is not {expected}: {text}"
            );
        }
    }
}

#[test]
fn the_scorer_sums_over_the_derivations_of_an_ambiguous_text() {
    let mut grammar = Grammar::default();
    let dot = grammar.word(".");
    let dog = grammar.word("dog");
    let left = grammar.define("left", vec![(1, vec![dog, dot])]);
    grammar.define(
        "start",
        vec![
            (1, vec![left]),
            (2, vec![dog, dot]),
            (1, vec![dog, dog, dot]),
        ],
    );
    let probability = score::log_probability(&grammar, "Dog.").unwrap().exp();
    assert!((probability - 0.75).abs() < 1e-12, "{probability}");
}

#[test]
fn texts_the_grammar_cannot_make_have_no_score() {
    let (_, grammar) = &styles()[0];
    let ok = "The dog sleeps. It runs.";
    assert!(score::log_probability(grammar, ok).is_some());
    for wrong in [
        "",
        "The dog sleeps.",
        "The dog sleep. It runs.",
        "The dogs sleeps. They run.",
        "The dog sleeps. He runs.",
        "the dog sleeps. It runs.",
        "The Dog sleeps. It runs.",
        "The dog  sleeps. It runs.",
        "The dog sleeps. It runs. ",
        "The dog sleeps It runs.",
        "A owl sleeps. It runs.",
        "An dog sleeps. It runs.",
        "The unicorn sleeps. It runs.",
        "Because the dog slept it ran.",
    ] {
        assert_eq!(score::log_probability(grammar, wrong), None, "{wrong:?}");
    }
}

/// All texts of a grammar with their summed derivation probabilities.
fn all_texts(grammar: &Grammar) -> HashMap<Vec<u32>, (f64, u32)> {
    let mut all: Vec<Vec<(Vec<u32>, f64)>> = Vec::new();
    for rule in &grammar.rules {
        let mut of_rule = Vec::new();
        for alternative in &rule.alternatives {
            let mut partial = vec![(Vec::new(), alternative.log_probability.exp())];
            for symbol in &alternative.symbols {
                let mut longer = Vec::new();
                for (words, probability) in &partial {
                    match symbol {
                        Symbol::Word(word) => {
                            longer.push(([words.as_slice(), &[*word]].concat(), *probability));
                        }
                        Symbol::Rule(inner) => {
                            for (more, inside) in &all[*inner as usize] {
                                longer.push((
                                    [words.as_slice(), more].concat(),
                                    probability * inside,
                                ));
                            }
                        }
                    }
                }
                partial = longer;
            }
            of_rule.extend(partial);
        }
        all.push(of_rule);
    }
    let mut texts: HashMap<Vec<u32>, (f64, u32)> = HashMap::new();
    for (words, probability) in all.pop().unwrap() {
        let entry = texts.entry(words).or_default();
        entry.0 += probability;
        entry.1 += 1;
    }
    texts
}

#[test]
fn the_probabilities_of_all_texts_of_a_small_grammar_sum_to_one() {
    // Whole documents, of a style with one noun a class, few constructions and at most two sentences.
    let mut small = Style::PLAIN;
    small.habits.go_on = 0;
    let habits = &mut small.habits;
    for habit in [
        &mut habits.quality,
        &mut habits.kind,
        &mut habits.noun_preposition,
        &mut habits.relative,
        &mut habits.verb_preposition,
        &mut habits.manner,
        &mut habits.frequency,
        &mut habits.connective,
        &mut habits.coordinator,
        &mut habits.predicates.meet,
        &mut habits.predicates.handle,
        &mut habits.predicates.treat,
        &mut habits.predicates.say,
        &mut habits.sentences.subordinate_first,
        &mut habits.sentences.opened,
    ] {
        *habit = 0;
    }
    let small = english::grammar(&small);
    sums_to_one(&part(&small, small.start(), 1), 10_000);

    // The constructions left out above, of both styles.
    for (_, full) in styles() {
        for (rule, words, texts) in [
            ("object Being Some(She)", 2, 1_000),
            ("object Topic Some(They)", 2, 1_000),
            ("modifier They who", 1, 500),
            ("verb phrase Past He true", 1, 500),
        ] {
            sums_to_one(&part(&full, full.defined(rule).unwrap(), words), texts);
        }
    }
}

/// How many derivations there are, so that a test never tries to list too many.
fn derivations(grammar: &Grammar) -> f64 {
    let mut counts: Vec<f64> = Vec::new();
    for rule in &grammar.rules {
        let count = |symbol: &Symbol| match symbol {
            Symbol::Word(_) => 1.0,
            Symbol::Rule(number) => counts[*number as usize],
        };
        counts.push(
            rule.alternatives
                .iter()
                .map(|alternative| alternative.symbols.iter().map(count).product::<f64>())
                .sum(),
        );
    }
    counts.last().copied().unwrap()
}

fn sums_to_one(grammar: &Grammar, at_least: usize) {
    assert!(derivations(grammar) < 200_000.0);
    let texts = all_texts(grammar);
    let name = &grammar.rules.last().unwrap().name;
    assert!(
        texts.len() >= at_least,
        "{name}: only {} texts",
        texts.len()
    );
    let total: f64 = texts.values().map(|(probability, _)| probability).sum();
    assert!(
        (total - 1.0).abs() < 1e-9,
        "{name}: {total} over {} texts",
        texts.len()
    );
    assert!(
        texts.values().all(|(_, derivations)| *derivations == 1),
        "{name}"
    );
    let entropy: f64 = texts
        .values()
        .map(|(probability, _)| -probability * probability.ln())
        .sum();
    assert!(
        (entropy - grammar.entropy()).abs() < 1e-9,
        "{name}: {entropy}"
    );
    for (words, (probability, _)) in texts
        .iter()
        .filter(|(words, _)| !words.is_empty())
        .take(2_000)
    {
        let text = surface::text(grammar, words);
        let scored = score::log_probability(grammar, &text);
        assert!(
            scored.is_some_and(|scored| (scored - probability.ln()).abs() < 1e-9),
            "{name}: {text:?} {scored:?}"
        );
    }
}

/// The rules below `start`, with the first `words` entries of every list of single words.
fn part(full: &Grammar, start: Symbol, words: usize) -> Grammar {
    fn copy(full: &Grammar, symbol: Symbol, words: usize, part: &mut Grammar) -> Symbol {
        let number = match symbol {
            Symbol::Word(word) => return part.word(&full.words[word as usize]),
            Symbol::Rule(number) => number as usize,
        };
        let rule = &full.rules[number];
        if let Some(known) = part.defined(&rule.name) {
            return known;
        }
        let list = rule.alternatives.len() > 2
            && rule
                .alternatives
                .iter()
                .all(|alternative| matches!(alternative.symbols[..], [Symbol::Word(_)]));
        let keep = if list { words } else { rule.alternatives.len() };
        let alternatives = rule.alternatives[..keep]
            .iter()
            .map(|alternative| {
                let symbols = alternative
                    .symbols
                    .iter()
                    .map(|symbol| copy(full, *symbol, words, part));
                (alternative.weight, symbols.collect())
            })
            .collect();
        part.define(&rule.name, alternatives)
    }
    let mut part = Grammar::default();
    copy(full, start, words, &mut part);
    part
}

#[test]
fn the_mean_of_many_documents_is_the_exact_entropy() {
    for (name, grammar) in styles() {
        let count = 10_000_u32;
        let scores: Vec<f64> = (0..count)
            .map(|document| -sample(&grammar, document.into()).1)
            .collect();
        let mean = scores.iter().sum::<f64>() / f64::from(count);
        let variance = scores
            .iter()
            .map(|score| (score - mean).powi(2))
            .sum::<f64>()
            / f64::from(count);
        let error = (variance / f64::from(count)).sqrt();
        let exact = grammar.entropy();
        assert!(
            (mean - exact).abs() < 5.0 * error,
            "{name}: {mean} ± {error} is not {exact}"
        );
    }
}

#[test]
fn no_name_is_a_word_and_no_word_needs_an_exception_for_its_article() {
    for (style, grammar) in styles() {
        for word in &grammar.words {
            let lower = word.to_lowercase();
            assert!(
                *word == lower || grammar.word_number(&lower).is_none(),
                "{style}: {word} and {lower}"
            );
            // "hour" and "university": spelling and sound differ.
            assert!(
                !lower.starts_with("uni")
                    && !lower.starts_with("hon")
                    && !lower.starts_with("hour"),
                "{word}"
            );
        }
        assert!(
            (150..=250).contains(&grammar.words.len()),
            "{style}: {} words",
            grammar.words.len()
        );
    }
}
