//! Order, and what a better finding in the same place makes needless.
//!
//! The host resolves overlaps of different rules; here only a rule's own overlaps go, and findings of which a more
//! specific one says the same.

use super::Span;
use crate::rules::{Place, Rule};

/// Sorts and thins out.
pub(super) fn tidy(mut spans: Vec<Span>, rules: &[Rule], text: &[u8]) -> Vec<Span> {
    spans.sort_by(|a, b| {
        (a.start, a.end, a.rule)
            .cmp(&(b.start, b.end, b.rule))
            .then(b.confidence.total_cmp(&a.confidence))
    });
    spans.dedup_by(|later, kept| {
        (later.start, later.end, later.rule) == (kept.start, kept.end, kept.rule)
    });
    let keep: Vec<bool> = (0..spans.len())
        .map(|place| !is_needless(place, &spans, rules, text))
        .collect();
    let mut keep = keep.into_iter();
    spans.retain(|_| keep.next().unwrap_or(true));
    spans
}

fn is_needless(place: usize, spans: &[Span], rules: &[Rule], text: &[u8]) -> bool {
    let span = spans[place];
    let rule = &rules[span.rule];
    let weak = rule.is_generic() || rule.place == Place::Token;
    if !weak {
        return false;
    }
    // A number is read as the longest and surest thing that it can be; what is shorter goes.
    let near = |other: &Span| other.start < span.end && span.start < other.end;
    let longest = rules[span.rule].max_len;
    let before = spans[..place].iter().rev().take(64);
    let after = spans[place + 1..]
        .iter()
        .take_while(|other| other.start < span.end + longest);
    before
        .chain(after)
        .filter(|other| other.rule != span.rule && near(other))
        .any(|other| {
            let better = &rules[other.rule];
            let covers = other.start <= span.start && span.end <= other.end;
            let wider = other.end - other.start > span.end - span.start;
            if rule.foreign {
                // As gitleaks filters: on one line, within the other's secret.
                return !better.is_generic()
                    && covers
                    && !text[other.start..span.start].contains(&b'\n');
            }
            if rule.is_generic() {
                let most = (other.end - other.start) * 10 >= (span.end - span.start) * 6;
                return !better.is_generic() && better.entity == rule.entity && (covers || most);
            }
            covers && wider && other.confidence >= span.confidence
        })
}
