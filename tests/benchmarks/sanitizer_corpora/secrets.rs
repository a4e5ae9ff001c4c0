//! Cases for secrets: which must be found, and which a rule must leave alone.
//!
//! A negative case says that one rule of the other project does not fire. Its text may well hold a secret of another
//! kind: the test of a rule for Slack's bot tokens has a user's token in it. So two numbers are counted. A negative is
//! flagged *by its kind* when a rule fires that also finds positive cases of the same rule of theirs, and *by any* when
//! anything is found at all.

use std::collections::{HashMap, HashSet};

use codex_plugin_sanitizer_default::scan::Span;

use crate::Program;
use crate::cases::{Case, Share};

/// Entities of this plugin's that are secrets.
const SECRETS: [&str; 3] = ["secret", "password-hash", "url-credentials"];

pub(crate) fn measure(program: &Program, cases: &[Case]) -> Result<String, String> {
    let (mut found, mut exact) = (Share::default(), Share::default());
    let mut kinds: HashMap<&str, HashSet<usize>> = HashMap::new();
    for case in cases.iter().filter(|case| !case.is_negative()) {
        let rule = case.rule.as_deref().unwrap_or_default();
        let expected = case.spans.as_deref().unwrap_or_default();
        let spans = secrets(program, case)?;
        let hits: Vec<&Span> = spans
            .iter()
            .filter(|span| is_hit(span, expected, &case.text))
            .collect();
        kinds
            .entry(rule)
            .or_default()
            .extend(hits.iter().map(|span| span.rule));
        found.count(usize::from(!hits.is_empty()), 1);
        let same =
            |range: &&(usize, usize)| spans.iter().any(|span| (span.start, span.end) == **range);
        exact.count(expected.iter().filter(same).count(), expected.len());
        if hits.is_empty() {
            program.show("missed", case, &spans);
        }
    }
    let (mut by_kind, mut by_any) = (Share::default(), Share::default());
    for case in cases.iter().filter(|case| case.is_negative()) {
        let rule = case.rule.as_deref().unwrap_or_default();
        let spans = secrets(program, case)?;
        let kind = spans.iter().any(|span| {
            program.id(span) == rule
                || kinds
                    .get(rule)
                    .is_some_and(|kind| kind.contains(&span.rule))
        });
        by_kind.count(usize::from(kind), 1);
        by_any.count(usize::from(!spans.is_empty()), 1);
        if kind {
            program.show("flagged by its kind", case, &spans);
        } else if !spans.is_empty() {
            program.show("flagged", case, &spans);
        }
    }
    Ok(format!(
        "positives found {found}, exact spans {exact}, negatives flagged by their kind {by_kind}, by any rule {by_any}"
    ))
}

fn secrets(program: &Program, case: &Case) -> Result<Vec<Span>, String> {
    let mut spans = program.scan(case)?;
    if program.own {
        spans.retain(|span| SECRETS.contains(&program.engine.rules()[span.rule].entity.as_str()));
    }
    Ok(spans)
}

/// Whether a finding lies over the secret; without spans, any finding does. A case without a text is about its path.
fn is_hit(span: &Span, expected: &[(usize, usize)], text: &str) -> bool {
    expected.is_empty()
        || text.is_empty()
        || expected
            .iter()
            .any(|&(start, end)| span.start < end && start < span.end)
}
