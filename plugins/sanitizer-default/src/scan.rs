//! The engine: rules over a text.
//!
//! One pass finds all keywords; a rule's expression is then tried only around the places where a match could be
//! (`window`). Rules for numbers are tried at words that hold digits (`token`). A finding depends on nothing
//! farther from it than its rule's longest match and [`CONTEXT`] bytes, except for rules of a user's file whose
//! expressions have no bound or whose keyword is not part of the match: those look at the whole text, as gitleaks does.

pub mod address;
mod armor;
mod digits;
mod keywords;
mod overlap;
mod pieces;
mod stream;
mod token;
mod window;

use codex_plugin_api::{Error, Result};
use memchr::memmem;

use crate::assignment::Assignment;
use crate::check::is_placeholder;
use crate::prompt::Prompts;
use crate::rules::allow::{Allow, Candidate};
use crate::rules::{Place, Rule, RuleSet};
use armor::Armor;
use keywords::Keywords;
use token::Tokens;

pub use stream::Stream;

/// How many bytes before a match, and half as many behind it, are searched for words that make it surer.
pub const CONTEXT: usize = 80;
/// No match of a rule of ours is longer, and no assignment.
pub const LONGEST_MATCH: usize = 8 << 10;
/// Findings that are less sure are not worth reporting: a number of which nothing but its length is right.
pub const LEAST_CONFIDENCE: f32 = 0.1;

/// A place that a rule found; it is empty only where a path is the finding and the text has nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Which rule of [`Engine::rules`].
    pub rule: usize,
    /// Between 0 and 1.
    pub confidence: f32,
}

/// Rules that are ready.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Rule>,
    allow: Vec<Allow>,
    keywords: Keywords,
    tokens: Option<Tokens>,
    armor: Option<Armor>,
    assignment: Option<Assignment>,
    address: Option<usize>,
    prompts: Option<Prompts>,
}

impl Engine {
    /// Makes the rules ready; their expressions are compiled when they are first needed.
    pub fn new(set: RuleSet) -> Self {
        let place = |id: &str| {
            set.rules
                .iter()
                .position(|rule| rule.place == Place::Finder && rule.id == id)
        };
        let assignment = Assignment::new(place("generic-password"), place("generic-secret"));
        Self {
            keywords: Keywords::new(&set.rules, assignment.is_some()),
            tokens: Tokens::new(&set.rules),
            armor: Armor::new(&set.rules),
            address: place("ip-address"),
            prompts: Prompts::new(&set.rules),
            assignment,
            rules: set.rules,
            allow: set.allow,
        }
    }

    /// The rules; spans refer to them by place.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// No span is longer.
    pub fn max_span(&self) -> usize {
        self.rules
            .iter()
            .map(|rule| rule.max_len)
            .max()
            .unwrap_or(1)
    }

    /// What is farther than this many bytes from where a finding begins says nothing about it: the longest match or
    /// private key, and the context on either side. Rules of a user's file may look farther: those without a bound, and those whose
    /// keyword is not part of the match, for which gitleaks too takes whatever piece of a file it has read.
    pub fn reach(&self) -> usize {
        self.max_span().max(LONGEST_MATCH).max(armor::LONGEST) + CONTEXT
    }

    /// Everything that the rules find in `text`, ordered by start, then end, then rule. A text that begins in the middle
    /// of a private key is taken for what a stream has left of one.
    ///
    /// # Errors
    /// When an expression cannot be compiled; the message names its rule.
    pub fn scan(&self, text: &str, path: Option<&str>) -> Result<Vec<Span>> {
        self.scan_part(text, path, true)
    }

    /// As [`scan`](Self::scan); `may_begin_within` when what comes before `text` is not known to say nothing about it.
    fn scan_part(
        &self,
        text: &str,
        path: Option<&str>,
        may_begin_within: bool,
    ) -> Result<Vec<Span>> {
        for allow in &self.allow {
            let allowed = allow
                .allows_path(path)
                .map_err(|reason| broken("allowlist", &reason))?;
            if allowed && allow.rules.is_empty() {
                return Ok(Vec::new());
            }
        }
        let mut found = Found {
            engine: self,
            text,
            path,
            spans: Vec::new(),
        };
        let hits = self.keywords.find(text.as_bytes(), |hit| {
            if let Some(assignment) = &self.assignment {
                assignment.look(text.as_bytes(), hit)
            } else {
                None
            }
        });
        for group in hits.of_rules.chunk_by(|a, b| a.rule == b.rule) {
            let rule = group[0].rule;
            if self.rules[rule].place != Place::Finder {
                window::search(&mut found, rule, Some(group))?;
            } else if let Some(armor) = &self.armor {
                armor.search(&mut found, rule, group)?;
            }
        }
        for &rule in self.keywords.everywhere() {
            window::search(&mut found, rule, None)?;
        }
        for value in hits.assignments {
            found.push(
                value.rule,
                value.start..value.end,
                value.start..value.end,
                value.confidence,
            )?;
        }
        if let Some(armor) = self.armor.as_ref().filter(|_| may_begin_within) {
            armor.beginning(&mut found);
        }
        if let Some(tokens) = &self.tokens {
            tokens.search(&mut found)?;
        }
        if let Some(rule) = self.address {
            address::search(&mut found, rule)?;
        }
        if let Some(prompts) = &self.prompts {
            prompts.search(&mut found)?;
        }
        Ok(overlap::tidy(found.spans, &self.rules, text.as_bytes()))
    }
}

/// The error of an expression that cannot be compiled.
fn broken(rule: &str, reason: &str) -> Error {
    Error::failed(format!("rule {rule:?} cannot be used: {reason}"))
        .hint("`codex-ml sanitize rules test` checks all expressions at once")
}

/// What was found so far, and what it takes to judge more.
pub(crate) struct Found<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) text: &'a str,
    pub(crate) path: Option<&'a str>,
    pub(crate) spans: Vec<Span>,
}

type Range = std::ops::Range<usize>;

impl<'a> Found<'a> {
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    pub(crate) fn rule(&self, rule: usize) -> &'a Rule {
        &self.engine.rules[rule]
    }

    /// Judges a candidate of a rule: entropy, allow-lists, validator, context. `confidence` is what a rule's own says
    /// about a match that its validator agrees with.
    pub(crate) fn push(
        &mut self,
        number: usize,
        secret: Range,
        matched: Range,
        confidence: f32,
    ) -> Result<()> {
        let (rule, text) = (self.rule(number), self.bytes());
        let bytes = &text[secret.clone()];
        if bytes.is_empty()
            || rule.silent
            || is_no_credential(rule, bytes)
            || (rule.entropy > 0.0 && crate::entropy(bytes) <= rule.entropy)
            || self
                .is_allowed(rule, &secret, &matched)
                .map_err(|reason| broken(&rule.id, &reason))?
        {
            return Ok(());
        }
        let mut confidence = confidence;
        if !rule.context.is_empty() && has_context(text, &matched, &rule.context) {
            confidence += (1.0 - confidence) * 0.6;
        }
        if rule
            .validator
            .is_some_and(|validator| !(validator.agrees)(bytes))
        {
            confidence *= rule.invalid;
        }
        if confidence >= LEAST_CONFIDENCE {
            self.pieces(number, secret, confidence);
        }
        Ok(())
    }

    /// Adds the beginning of the text, for a rule that asks for a path and nothing else; no bytes where there are none.
    pub(crate) fn whole(&mut self, number: usize) {
        let rule = self.rule(number);
        if rule.silent {
            return;
        }
        let mut end = self.text.len().min(rule.max_len);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        self.spans.push(Span {
            start: 0,
            end,
            rule: number,
            confidence: rule.confidence,
        });
    }

    /// Adds a span, on borders of characters, in pieces where it is longer than its rule may find. Those of a user's
    /// rule are as long as they may be.
    fn pieces(&mut self, number: usize, secret: Range, confidence: f32) {
        let rule = self.rule(number);
        let start = self.text.floor_char_boundary(secret.start);
        let end = self.text.ceil_char_boundary(secret.end);
        let pieces = if rule.foreign {
            pieces::apart(self.text, start..end, rule.max_len)
        } else {
            pieces::overlapping(self.text, start..end, rule.max_len)
        };
        self.spans.extend(pieces.into_iter().map(|piece| Span {
            start: piece.start,
            end: piece.end,
            rule: number,
            confidence: confidence.min(1.0),
        }));
    }

    fn is_allowed(
        &self,
        rule: &Rule,
        secret: &Range,
        matched: &Range,
    ) -> std::result::Result<bool, String> {
        if rule.allow.is_empty() && self.engine.allow.is_empty() {
            return Ok(false);
        }
        let text = self.bytes();
        let line_start = text[..matched.start]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |place| place + 1);
        let line_end = text[matched.end..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(text.len(), |place| matched.end + place);
        let candidate = Candidate {
            secret: &text[secret.clone()],
            matched: &text[matched.clone()],
            line: &text[line_start..line_end],
            path: self.path,
        };
        let global = self
            .engine
            .allow
            .iter()
            .filter(|allow| allow.rules.is_empty() || allow.rules.contains(&rule.id));
        for allow in global.chain(&rule.allow) {
            if allow.allows(candidate)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether what has the form that one of our rules asks for only shows where a credential belongs. A user's rules say
/// themselves what they leave alone.
fn is_no_credential(rule: &Rule, bytes: &[u8]) -> bool {
    let wordy = rule.assigned && !bytes.iter().any(u8::is_ascii_digit);
    !rule.foreign && rule.entity == "secret" && (wordy || is_placeholder(bytes))
}

/// Whether one of `words` (in lower case) is near `matched`, not counting the match itself.
fn has_context(text: &[u8], matched: &Range, words: &[String]) -> bool {
    let before = text[matched.start.saturating_sub(CONTEXT)..matched.start].to_ascii_lowercase();
    let after_end = (matched.end + CONTEXT / 2).min(text.len());
    let after = text[matched.end..after_end].to_ascii_lowercase();
    let near = |part: &[u8], word: &str| {
        let mut rest = part;
        while let Some(place) = memmem::find(rest, word.as_bytes()) {
            let clear = |byte: Option<&u8>| !byte.is_some_and(u8::is_ascii_alphabetic);
            let start_clear = place == 0
                || clear(rest.get(place - 1))
                || !word.as_bytes()[0].is_ascii_alphabetic();
            // Short words must stand alone; long ones may have an ending.
            let end = place + word.len();
            if start_clear && (word.len() > 4 || clear(rest.get(end))) {
                return true;
            }
            rest = &rest[place + 1..];
        }
        false
    };
    words
        .iter()
        .any(|word| !word.is_empty() && (near(&before, word) || near(&after, word)))
}
