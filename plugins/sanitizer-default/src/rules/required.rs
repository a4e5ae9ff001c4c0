//! Which part of a match a keyword must be in.
//!
//! A keyword finds the place where an expression is worth trying. How far around it depends on two things that are
//! read off the expression: how long a match can be, and how many bytes can come before the keyword.

use regex_syntax::hir::{Class, ClassBytesRange, Hir, HirKind};

/// So many different beginnings of a literal are followed; beyond, the expression counts as unknown.
const MOST_RUNS: usize = 64;

/// How many bytes of a match can come before the first keyword that every match has, or nothing when a match
/// need not have one or the number has no bound. Keywords are in lower case.
pub(super) fn bytes_before(hir: &Hir, keywords: &[String]) -> Option<usize> {
    if keywords.iter().any(String::is_empty) {
        return None;
    }
    follow(hir, vec![Vec::new()], keywords)
}

/// As [`bytes_before`], for what stands right behind one of `lead`, which counts as part of it.
fn follow(hir: &Hir, lead: Vec<Vec<u8>>, keywords: &[String]) -> Option<usize> {
    if let HirKind::Alternation(branches) = hir.kind() {
        return branches
            .iter()
            .map(|branch| follow(branch, lead.clone(), keywords))
            .try_fold(0, |most, before| Some(most.max(before?)));
    }
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    sequence(&parts, lead, keywords)
}

/// The parts of a sequence; groups only matter to who reads the match.
fn flatten<'a>(hir: &'a Hir, parts: &mut Vec<&'a Hir>) {
    match hir.kind() {
        HirKind::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        _ => parts.push(hir),
    }
}

/// Follows a sequence: literals that touch are joined, whatever has no few values breaks them.
fn sequence(parts: &[&Hir], lead: Vec<Vec<u8>>, keywords: &[String]) -> Option<usize> {
    let mut before = Some(0usize);
    let mut runs = lead;
    for part in parts {
        if let Some(next) = expand(part)
            && runs.len() * next.len() <= MOST_RUNS
        {
            runs = product(&runs, &next);
            if all_hold(&runs, keywords) {
                return before.map(|before| before + longest(&runs));
            }
            continue;
        }
        let inner = match part.kind() {
            HirKind::Alternation(_) => follow(part, runs.clone(), keywords),
            HirKind::Repetition(repetition) if repetition.min > 0 && expand(part).is_none() => {
                follow(&repetition.sub, runs.clone(), keywords)
            }
            _ => None,
        };
        if let Some(inner) = inner {
            return before.map(|before| before + inner);
        }
        let length = part.properties().maximum_len();
        before = before
            .zip(length)
            .map(|(before, length)| before + longest(&runs) + length);
        runs = vec![Vec::new()];
    }
    None
}

fn longest(runs: &[Vec<u8>]) -> usize {
    runs.iter().map(Vec::len).max().unwrap_or(0)
}

fn all_hold(runs: &[Vec<u8>], keywords: &[String]) -> bool {
    runs.iter().all(|run| {
        keywords.iter().any(|keyword| {
            run.windows(keyword.len())
                .any(|part| part == keyword.as_bytes())
        })
    })
}

fn product(left: &[Vec<u8>], right: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut runs: Vec<Vec<u8>> = left
        .iter()
        .flat_map(|start| right.iter().map(move |end| [&start[..], &end[..]].concat()))
        .collect();
    runs.sort_unstable();
    runs.dedup();
    runs
}

/// All texts that `hir` matches, in lower case, where they are few.
fn expand(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => expand_class(class),
        HirKind::Capture(capture) => expand(&capture.sub),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.filter(|&most| most <= 4)?;
            let one = expand(&repetition.sub)?;
            let mut all = Vec::new();
            let mut power = vec![Vec::new()];
            for count in 0..=most {
                if count >= repetition.min {
                    all.extend(power.iter().cloned());
                }
                power = product(&power, &one);
                if power.len() + all.len() > MOST_RUNS {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Concat(parts) => parts.iter().try_fold(vec![Vec::new()], |runs, part| {
            let next = expand(part)?;
            (runs.len() * next.len() <= MOST_RUNS).then(|| product(&runs, &next))
        }),
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(expand(branch)?);
            }
            (all.len() <= MOST_RUNS).then_some(all)
        }
    }
}

fn expand_class(class: &Class) -> Option<Vec<Vec<u8>>> {
    let mut bytes: Vec<u8> = match class {
        Class::Bytes(class) => {
            let ranges = class.ranges();
            let count: usize = ranges.iter().map(ClassBytesRange::len).sum();
            if count > 32 {
                return None;
            }
            ranges
                .iter()
                .flat_map(|range| range.start()..=range.end())
                .collect()
        }
        Class::Unicode(class) => {
            let ranges = class.ranges();
            if ranges.iter().any(|range| range.end() > '\x7f') || ranges.len() > 16 {
                return None;
            }
            ranges
                .iter()
                .flat_map(|range| range.start() as u8..=range.end() as u8)
                .collect()
        }
    };
    bytes.make_ascii_lowercase();
    bytes.sort_unstable();
    bytes.dedup();
    (bytes.len() <= 16).then(|| bytes.into_iter().map(|byte| vec![byte]).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::bytes_before;
    use crate::rules::pattern::parse;

    #[test]
    fn finds_what_a_match_must_hold_and_how_far_in() {
        let cases: [(&str, &[&str], Option<usize>); 10] = [
            (r"(?i)ghp_[0-9a-z]{36}", &["ghp_"], Some(4)),
            (r"\bxox[bp]-\d+", &["xoxb-", "xoxp-"], Some(5)),
            (r"\bxox[bps]-\d+", &["xoxb-", "xoxp-"], None),
            (
                r"(?i)[\w.-]{0,50}?(?:adafruit)x{0,20}",
                &["adafruit"],
                Some(58),
            ),
            (r"\w*adafruit", &["adafruit"], None),
            (r"(pat[[:alnum:]]{14})", &["airtable"], None),
            (r"(?:aaa|bbb)\d", &["aaa", "bb"], Some(3)),
            (r"(?:a-)?key", &["key"], Some(5)),
            (r"\$(?:2[ab]\$\d+|6\$\w+)", &["$2", "$6$"], Some(3)),
            (r"'(\d{9}=)'", &["='"], Some(12)),
        ];
        for (pattern, keywords, expected) in cases {
            let keywords: Vec<String> = keywords.iter().map(|&word| word.to_owned()).collect();
            let hir = parse(pattern).unwrap();
            assert_eq!(bytes_before(&hir, &keywords), expected, "{pattern}");
        }
    }
}
