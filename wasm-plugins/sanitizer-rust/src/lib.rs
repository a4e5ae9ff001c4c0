//! The sanitizer `contacts`: finds e-mail addresses, payment card numbers and bank account numbers.
//!
//! It only finds; the host decides and redacts. A number whose checksum is wrong is found with less confidence, because
//! people mistype. What crosses the border is here; `email.rs`, `card.rs` and `iban.rs` have a rule each.

mod card;
mod email;
mod iban;

use codex_guest::texts;
use codex_guest::types::{Error, Finding, Rule, Severity, Stage, Texts};

use exports::codex::plugin::sanitizer::Guest;

wit_bindgen::generate!({
    path: "../../plugin-api/wit/v1",
    world: "sanitizer-plugin",
    with: { "codex:plugin/types@1.0.0": codex_guest::types },
});

/// What a rule found: bytes of a text, all of them ASCII, so they begin and end on borders of characters.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    start: usize,
    end: usize,
    confidence: f32,
}

/// A rule: what it is called, and what finds it.
struct Finder {
    id: &'static str,
    entity: &'static str,
    severity: Severity,
    description: &'static str,
    find: fn(&str) -> Vec<Span>,
}

const FINDERS: [Finder; 3] = [
    Finder {
        id: "email-address",
        entity: "email-address",
        severity: Severity::Medium,
        description: "an e-mail address",
        find: email::find,
    },
    Finder {
        id: "payment-card",
        entity: "payment-card",
        severity: Severity::High,
        description: "the number of a credit or debit card",
        find: card::find,
    },
    Finder {
        id: "iban",
        entity: "bank-account",
        severity: Severity::High,
        description: "an international bank account number",
        find: iban::find,
    },
];

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn create(_name: String, _config: String) -> Result<(), Error> {
        Ok(())
    }

    fn rules() -> Result<Vec<Rule>, Error> {
        let rule = |finder: &Finder| Rule {
            id: finder.id.to_owned(),
            entity: finder.entity.to_owned(),
            severity: finder.severity,
            description: finder.description.to_owned(),
        };
        Ok(FINDERS.iter().map(rule).collect())
    }

    fn max_span() -> u32 {
        email::LONGEST.max(card::LONGEST).max(iban::LONGEST) as u32
    }

    fn scan(given: Texts, _stage: Stage) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for (number, text) in texts(&given)?.into_iter().enumerate() {
            let first = findings.len();
            for (rule, finder) in FINDERS.iter().enumerate() {
                findings.extend((finder.find)(text).into_iter().map(|span| Finding {
                    start: span.start as u64,
                    end: span.end as u64,
                    text: number as u32,
                    rule: rule as u32,
                    confidence: span.confidence,
                }));
            }
            findings[first..].sort_by_key(|finding| (finding.start, finding.rule));
        }
        Ok(findings)
    }
}

/// What the rules' tests have in common: what was found, as text, with its confidence.
#[cfg(test)]
fn found(find: fn(&str) -> Vec<Span>, text: &str) -> Vec<(&str, f32)> {
    let spans = find(text);
    assert!(
        spans.windows(2).all(|pair| pair[0].end <= pair[1].start),
        "{spans:?}"
    );
    spans
        .into_iter()
        .map(|span| (&text[span.start..span.end], span.confidence))
        .collect()
}
