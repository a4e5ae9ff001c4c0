//! A rule's expression, tried where its keywords say.

use codex_plugin_api::Result;
use regex_automata::Input;
use regex_automata::meta::Regex;

use super::keywords::Hit;
use super::{Found, broken};
use crate::rules::Rule;

/// Tries a rule around `hits`, or everywhere when there are none to go by.
pub(super) fn search(found: &mut Found<'_>, number: usize, hits: Option<&[Hit]>) -> Result<()> {
    let rule = found.rule(number);
    let text = found.bytes();
    if !path_fits(rule, found.path).map_err(|reason| broken(&rule.id, &reason))? {
        return Ok(());
    }
    let Some(pattern) = &rule.pattern else {
        if found.path.is_some() {
            found.whole(number);
        }
        return Ok(());
    };
    let compiled = pattern
        .compiled()
        .map_err(|reason| broken(&rule.id, &reason))?;
    let (Some(hits), Some(before), Some(longest)) = (hits, compiled.before, compiled.longest)
    else {
        return within(found, number, &compiled.regex, 0, text.len());
    };
    let around = |hit: &Hit| {
        (
            hit.start.saturating_sub(before),
            (hit.start + longest).min(text.len()),
        )
    };
    let mut from = 0;
    let mut rest = hits.iter().map(around).peekable();
    while let Some((start, mut end)) = rest.next() {
        while let Some((_, next)) = rest.next_if(|(next, _)| *next <= end) {
            end = end.max(next);
        }
        from = within_from(found, number, &compiled.regex, start.max(from), end)?.max(from);
    }
    Ok(())
}

fn path_fits(rule: &Rule, path: Option<&str>) -> std::result::Result<bool, String> {
    for allow in &rule.allow {
        if allow.allows_path(path)? {
            return Ok(false);
        }
    }
    match &rule.path {
        Some(pattern) => pattern.is_match(path.unwrap_or_default().as_bytes()),
        None => Ok(true),
    }
}

fn within(
    found: &mut Found<'_>,
    number: usize,
    regex: &Regex,
    start: usize,
    end: usize,
) -> Result<()> {
    within_from(found, number, regex, start, end).map(|_| ())
}

/// All matches between two places, each beginning where the last ended; where the last one ended.
///
/// The expression sees what is around the window, so that `\b` and `$` mean what they mean in the whole text.
fn within_from(
    found: &mut Found<'_>,
    number: usize,
    regex: &Regex,
    start: usize,
    end: usize,
) -> Result<usize> {
    let rule = found.rule(number);
    let text = found.bytes();
    let mut at = start;
    while at <= end {
        let Some(matched) = regex.search(&Input::new(text).span(at..end)) else {
            break;
        };
        let matched = matched.range();
        at = if matched.is_empty() {
            matched.end + 1
        } else {
            matched.end
        };
        let secret = secret(rule, regex, text, &matched);
        if let Some(secret) = secret {
            found.push(number, secret, matched, rule.confidence)?;
        }
    }
    Ok(at)
}

/// The part of a match that is the secret: a group, or all of it but line breaks at its ends.
pub(super) fn secret(
    rule: &Rule,
    regex: &Regex,
    text: &[u8],
    matched: &std::ops::Range<usize>,
) -> Option<std::ops::Range<usize>> {
    let bytes = &text[matched.clone()];
    let lead = bytes.iter().take_while(|&&byte| byte == b'\n').count();
    let trail = bytes[lead..]
        .iter()
        .rev()
        .take_while(|&&byte| byte == b'\n')
        .count();
    let whole = matched.start + lead..matched.end - trail;
    let groups = regex.static_captures_len().unwrap_or(2);
    if groups < 2 {
        return Some(whole);
    }
    let mut captures = regex.create_captures();
    regex.search_captures(&Input::new(text).span(matched.clone()), &mut captures);
    if !captures.is_match() {
        return Some(whole);
    }
    if rule.secret_group > 0 {
        return captures
            .get_group(rule.secret_group)
            .map(|span| span.range());
    }
    (1..captures.group_len())
        .filter_map(|group| captures.get_group(group))
        .find(|span| !span.is_empty())
        .map_or(Some(whole), |span| Some(span.range()))
}
