//! Findings that overlap become one: what is covered is the union, so that no part of any of them passes; what it is
//! called and how it is replaced is the strongest finding's affair.

use std::cmp::Ordering;
use std::ops::Range;

use codex_plugin_api::Severity;

use crate::Decision;
use crate::scan::Hit;

/// A finding with what the policy said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided {
    pub(crate) hit: Hit,
    pub(crate) severity: Severity,
    pub(crate) decision: Decision,
}

impl Decided {
    pub(crate) fn range(&self) -> Range<usize> {
        self.hit.start..self.hit.end
    }

    /// Higher action, then severity, confidence, longer, earlier; then the order of the sanitizers and their rules.
    fn strength(&self, other: &Self) -> Ordering {
        let length = |one: &Self| one.hit.end - one.hit.start;
        (self.decision.action.cmp(&other.decision.action))
            .then(self.severity.cmp(&other.severity))
            .then(self.hit.confidence.total_cmp(&other.hit.confidence))
            .then(length(self).cmp(&length(other)))
            .then(other.hit.start.cmp(&self.hit.start))
            .then(other.hit.scanner.cmp(&self.hit.scanner))
            .then(other.hit.rule.cmp(&self.hit.rule))
    }
}

/// Findings without overlaps, each list in the order of the text.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// Those whose text does not pass.
    pub(crate) changing: Vec<Decided>,
    /// Those that pass: `allow` and `warn`.
    pub(crate) passing: Vec<Decided>,
}

/// Where a stream stands: what lies before was dealt with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resume {
    pub(crate) changing: usize,
    pub(crate) passing: usize,
}

/// Resolves overlaps.
///
/// A union ends at `longest` bytes, and what lies beyond begins the next: a chain of overlaps would otherwise have a
/// stream hold back without end. Findings that pass never widen one that does not, and are left out where they touch
/// one.
pub(crate) fn resolve(mut findings: Vec<Decided>, longest: usize, resume: Resume) -> Resolved {
    findings.sort_by(|a, b| {
        (a.hit.start, a.hit.end)
            .cmp(&(b.hit.start, b.hit.end))
            .then(b.strength(a))
    });
    let (changing, mut passing): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.decision.action.changes());
    let covered = cover(&changing);
    passing.retain(|finding| {
        let at = covered.partition_point(|range| range.end <= finding.hit.start);
        covered
            .get(at)
            .is_none_or(|range| range.start >= finding.hit.end)
    });
    Resolved {
        changing: unite(&changing, longest, resume.changing),
        passing: unite(&passing, longest, resume.passing),
    }
}

/// The bytes that findings cover, as ranges apart. `findings` is ordered by start.
fn cover(findings: &[Decided]) -> Vec<Range<usize>> {
    let mut covered: Vec<Range<usize>> = Vec::new();
    for finding in findings {
        match covered.last_mut() {
            Some(last) if finding.hit.start < last.end => last.end = last.end.max(finding.hit.end),
            _ => covered.push(finding.range()),
        }
    }
    covered
}

/// `findings` is ordered by start; what lies before `closed` is cut off.
fn unite(findings: &[Decided], longest: usize, mut closed: usize) -> Vec<Decided> {
    let mut unions = Vec::new();
    let mut members: Vec<Decided> = Vec::new();
    let mut end = 0;
    for finding in findings {
        let joins = members.first().is_some_and(|first| {
            finding.hit.start.max(closed) < end && finding.hit.end <= first.hit.start + longest
        });
        if !joins && let Some(union) = union(&members, end) {
            unions.push(union);
            closed = end;
            members.clear();
        }
        let mut rest = *finding;
        rest.hit.start = rest.hit.start.max(closed);
        if rest.hit.start < rest.hit.end {
            end = if members.is_empty() {
                rest.hit.end
            } else {
                end.max(rest.hit.end)
            };
            members.push(rest);
        }
    }
    unions.extend(union(&members, end));
    unions
}

fn union(members: &[Decided], end: usize) -> Option<Decided> {
    let start = members.first()?.hit.start;
    let mut strongest = members.iter().copied().reduce(|best, member| {
        if member.strength(&best) == Ordering::Greater {
            member
        } else {
            best
        }
    })?;
    strongest.hit.start = start;
    strongest.hit.end = end;
    Some(strongest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use crate::{Action, Mode};

    fn finding(range: Range<usize>, rule: usize, action: Action, confidence: f32) -> Decided {
        Decided {
            hit: Hit {
                start: range.start,
                end: range.end,
                scanner: 0,
                rule,
                confidence,
            },
            severity: Severity::Medium,
            decision: Decision {
                action,
                mode: Mode::Placeholder,
            },
        }
    }

    fn ranges(findings: &[Decided]) -> Vec<(Range<usize>, usize)> {
        findings
            .iter()
            .map(|finding| (finding.range(), finding.hit.rule))
            .collect()
    }

    #[test]
    fn the_strongest_names_the_union() {
        use Action::{Block, Redact};
        let severe = Decided {
            severity: Severity::Critical,
            ..finding(4..6, 9, Redact, 0.1)
        };
        for (findings, named) in [
            (
                vec![finding(0..5, 1, Redact, 0.9), finding(4..6, 2, Block, 0.1)],
                2,
            ),
            (vec![finding(0..5, 1, Redact, 0.9), severe], 9),
            (
                vec![finding(0..5, 1, Redact, 0.5), finding(4..6, 2, Redact, 0.6)],
                2,
            ),
            (
                vec![finding(0..3, 1, Redact, 0.5), finding(2..6, 2, Redact, 0.5)],
                2,
            ),
            (
                vec![finding(2..6, 1, Redact, 0.5), finding(0..4, 2, Redact, 0.5)],
                2,
            ),
            (
                vec![finding(0..6, 2, Redact, 0.5), finding(0..6, 1, Redact, 0.5)],
                1,
            ),
        ] {
            let resolved = resolve(findings, 100, Resume::default());
            assert_eq!(ranges(&resolved.changing), [(0..6, named)]);
        }
    }

    #[test]
    fn what_touches_stays_apart_and_what_passes_gives_way() {
        use Action::{Allow, Redact, Warn};
        let resolved = resolve(
            vec![
                finding(0..4, 1, Redact, 0.5),
                finding(4..6, 2, Redact, 0.5),
                finding(5..9, 3, Warn, 1.0),
                finding(9..12, 4, Warn, 0.4),
                finding(11..13, 5, Allow, 0.9),
            ],
            100,
            Resume::default(),
        );
        assert_eq!(ranges(&resolved.changing), [(0..4, 1), (4..6, 2)]);
        assert_eq!(ranges(&resolved.passing), [(9..13, 4)]);
    }

    #[test]
    fn a_chain_is_cut_at_the_longest_union() {
        let chain = (0..10)
            .map(|step| finding(step * 3..step * 3 + 5, step, Action::Redact, 0.5))
            .collect();
        let resolved = resolve(chain, 12, Resume::default());
        let lengths: Vec<usize> = resolved
            .changing
            .iter()
            .map(|union| union.hit.end - union.hit.start)
            .collect();
        assert!(lengths.iter().all(|&length| length <= 12), "{lengths:?}");
        assert_eq!(lengths.iter().sum::<usize>(), 32, "nothing is uncovered");
    }

    /// Whatever overlaps how: the same bytes are covered before and after, nothing overlaps, the order in which
    /// findings come does not matter, and going on from any union's end gives the same unions.
    #[test]
    fn random_findings_keep_their_cover() {
        for seed in 0..3000 {
            let mut random = Random::new(seed);
            let findings: Vec<Decided> = (0..random.below(12))
                .map(|rule| {
                    let start = random.below(60);
                    let action = random.pick(&[Action::Warn, Action::Redact, Action::Block]);
                    let confidence = random.below(3) as f32 / 2.0;
                    finding(
                        start..start + 1 + random.below(10),
                        rule,
                        action,
                        confidence,
                    )
                })
                .collect();
            let resolved = resolve(findings.clone(), 10, Resume::default());
            let covers = |list: &[Decided], byte: usize| {
                list.iter()
                    .filter(|one| one.decision.action.changes() && one.range().contains(&byte))
                    .count()
            };
            for byte in 0..80 {
                let expected = usize::from(covers(&findings, byte) > 0);
                assert_eq!(covers(&resolved.changing, byte), expected, "seed {seed}");
            }
            let backwards = resolve(
                findings.iter().rev().copied().collect(),
                10,
                Resume::default(),
            );
            assert_eq!(ranges(&backwards.changing), ranges(&resolved.changing));
            assert_eq!(ranges(&backwards.passing), ranges(&resolved.passing));
            for (index, union) in resolved.changing.iter().enumerate() {
                let resume = Resume {
                    changing: union.hit.end,
                    passing: 0,
                };
                let rest = resolve(findings.clone(), 10, resume);
                assert_eq!(
                    ranges(&rest.changing),
                    ranges(&resolved.changing[index + 1..]),
                    "seed {seed}"
                );
            }
        }
    }
}
