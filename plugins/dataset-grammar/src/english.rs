//! The rules of English that the data set writes by: sentences, agreement, tense, documents.
//!
//! # Why no text has two derivations
//!
//! The rules are LL(1): wherever a rule offers several alternatives, the next word (or the end of the document) tells
//! which one was taken. So reading a text's words from the left, each choice is forced, and two different derivations
//! would have to give different words. Three habits of the rules bring this about:
//!
//! - What is decided late is written late. "the" says neither number nor gender, so the rules after it go on from the noun:
//!   each kind of noun carries the rest of the sentence, with the agreement that follows from it, as its own continuation.
//!   In the same way the verb carries the tense of what follows.
//! - Attachment is decided by disjoint words: prepositions after nouns and prepositions after verbs share no word, so "near"
//!   always belongs to the noun before it. Pairs that would compete (adverbs before and after the verb, relative "that" and a
//!   determiner "that", possessive and object "her") are not both there.
//! - Every verb has three different forms, and word classes that can stand in the same place share no word.
//!
//! A test computes the FIRST and FOLLOW sets of both styles and checks the condition for every rule, so the claim does not
//! rest on reading. Rendering words as text is one-to-one too ([`surface`](crate::surface)). Hence a text's probability is
//! its derivation's.
//!
//! # Shape
//!
//! A document is a chain of sentences that hands on what the reader remembers: the last subject (for "he", "she", "it",
//! "they") and the last tense. No rule reaches itself, so there are finitely many texts and the probabilities sum to 1.

mod nouns;
mod sentences;
mod verbs;

use crate::grammar::{Grammar, Symbol};
use crate::style::{Noun, Style, Verb};

/// The fewest and most sentences of a document.
pub const SENTENCES: (u32, u32) = (2, 8);

/// Builds the grammar of a style.
pub fn grammar(style: &Style) -> Grammar {
    let mut english = English {
        style,
        grammar: Grammar::default(),
    };
    english.sentence(1, None, None);
    english.grammar
}

/// What a subject decides about verbs, pronouns and possessives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreement {
    He,
    She,
    It,
    They,
}

use Agreement::{He, It, She, They};

impl Agreement {
    fn pronoun(self) -> &'static str {
        match self {
            He => "he",
            She => "she",
            It => "it",
            They => "they",
        }
    }

    fn possessive(self) -> &'static str {
        match self {
            He => "his",
            She => "her",
            It => "its",
            They => "their",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tense {
    Present,
    Past,
}

use Tense::{Past, Present};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Base,
    Third,
    Past,
}

fn form(agreement: Agreement, tense: Tense) -> Form {
    match (tense, agreement) {
        (Past, _) => Form::Past,
        (Present, They) => Form::Base,
        (Present, _) => Form::Third,
    }
}

/// The grammatical numbers that a determiner allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Either,
    Singular,
    Plural,
}

/// What an object or place may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Being,
    Object,
    Topic,
    Place,
}

/// What follows a subject, given its agreement. `key` names it, so that equal continuations share rules.
struct After<'a> {
    key: &'a str,
    symbols: &'a dyn Fn(&mut English<'_>, Agreement) -> Vec<Symbol>,
}

type Alternatives = Vec<(u32, Vec<Symbol>)>;

struct English<'a> {
    style: &'a Style,
    grammar: Grammar,
}

impl English<'_> {
    fn rule(&mut self, name: &str, alternatives: impl FnOnce(&mut Self) -> Alternatives) -> Symbol {
        if let Some(symbol) = self.grammar.defined(name) {
            return symbol;
        }
        let alternatives = alternatives(self);
        self.grammar.define(name, alternatives)
    }

    /// The words of a phrase, one symbol each.
    fn phrase(&mut self, phrase: &str) -> Vec<Symbol> {
        phrase
            .split(' ')
            .map(|word| self.grammar.word(word))
            .collect()
    }

    /// One entry of a ranked list.
    fn choice<'w>(&mut self, name: &str, phrases: impl IntoIterator<Item = &'w str>) -> Symbol {
        self.rule(name, |this| {
            phrases
                .into_iter()
                .enumerate()
                .map(|(rank, phrase)| (60_000 / (rank as u32 + 3), this.phrase(phrase)))
                .collect()
        })
    }

    fn nouns(&mut self, name: &str, nouns: &[Noun], plural: bool) -> Symbol {
        let number = if plural { "plural" } else { "singular" };
        self.choice(
            &format!("{name} {number}"),
            nouns
                .iter()
                .map(|noun| if plural { noun.1 } else { noun.0 }),
        )
    }

    fn verbs(&mut self, name: &str, verbs: &[Verb], form: Form) -> Symbol {
        self.choice(
            &format!("{name} {form:?}"),
            verbs.iter().map(|verb| match form {
                Form::Base => verb.0,
                Form::Third => verb.1,
                Form::Past => verb.2,
            }),
        )
    }

    /// Nothing, or one of the weighted phrases, out of 100.
    fn optional(&mut self, name: &str, phrases: impl FnOnce(&mut Self) -> Alternatives) -> Symbol {
        self.rule(name, |this| {
            let mut alternatives = phrases(this);
            let taken: u32 = alternatives.iter().map(|(weight, _)| weight).sum();
            alternatives.push((100_u32.saturating_sub(taken), Vec::new()));
            alternatives
        })
    }
}
