//! The text that passes, and the report of what was found in it.

use codex_plugin_api::{Stage, TextBuffer};

use super::{Cleaned, Edit, Outcome, Sanitizers};
use crate::mode::{Mode, Place, placeholder};
use crate::overlap::{Decided, Resolved, Resume};
use crate::position::Position;
use crate::structured::{Record, View};
use crate::{Action, Format, OnError, ReportedFinding, WITHHELD};

/// A record after its scan; without findings resolved where it could not be scanned.
pub(super) struct Seen<'a> {
    pub(super) record: Record<'a>,
    pub(super) view: View<'a>,
    pub(super) note: Option<String>,
    pub(super) resolved: Option<Resolved>,
}

impl Sanitizers {
    /// Puts a text together from its records, and counts what was found.
    pub(super) fn render(
        &self,
        text: &str,
        records: &[Seen<'_>],
        stage: Stage,
        path: Option<&str>,
    ) -> Cleaned {
        let mut edits: Vec<Edit> = Vec::new();
        let mut findings = Vec::new();
        let mut notes = Vec::new();
        let mut at = Position::default();
        let (mut dropped, mut not_scanned) = (0, 0);
        for seen in records {
            let record = seen.record;
            let line = record.index + 1;
            if let Some(note) = &seen.note {
                notes.push(format!("record {line} is read as plain text: {note}"));
            }
            let Some(resolved) = &seen.resolved else {
                not_scanned += 1;
                notes.push(format!("record {line} could not be scanned"));
                if self.policy.on_error(stage) == OnError::Drop {
                    dropped += 1;
                    edits.push(Edit {
                        range: record.start..record.end,
                        replacement: String::new(),
                    });
                } else {
                    let place = record.start..record.start + record.source.len();
                    edits.push(Edit {
                        range: place,
                        replacement: withheld(record.format),
                    });
                }
                continue;
            };
            self.report(text, seen, resolved, path, &mut at, &mut findings);
            let drops = |one: &Decided| one.decision.action == Action::Drop;
            if resolved.changing.iter().any(drops) {
                dropped += 1;
                edits.push(Edit {
                    range: record.start..record.end,
                    replacement: String::new(),
                });
            } else {
                edits.extend(self.edits(seen, resolved, stage));
            }
        }
        self.count(stage, &findings, not_scanned);
        let outcome = if findings.iter().any(|one| one.action == Action::Block) {
            Outcome::Blocked
        } else if dropped > 0 && dropped == records.len() {
            Outcome::Dropped
        } else {
            splice(text, &edits)
        };
        Cleaned {
            outcome,
            findings,
            edits,
            notes,
        }
    }

    fn edits(&self, seen: &Seen<'_>, resolved: &Resolved, stage: Stage) -> Vec<Edit> {
        let view = &seen.view;
        resolved
            .changing
            .iter()
            .map(|finding| {
                let range = finding.range();
                let replacement = self.replacement(&view.text, finding, stage);
                let start = seen.record.start;
                Edit {
                    range: start + view.source_of(range.start)..start + view.source_of(range.end),
                    replacement: view.encode(range.start, replacement),
                }
            })
            .collect()
    }

    /// What stands in place of a finding.
    pub(crate) fn replacement(&self, text: &str, finding: &Decided, stage: Stage) -> String {
        let range = finding.range();
        let rule = &self.scanners[finding.hit.scanner].rules[finding.hit.rule];
        let place = Place {
            value: &text[range.clone()],
            entity: &rule.entity,
            before: text[..range.start].chars().next_back(),
            after: text[range.end..].chars().next(),
        };
        let replacement = finding.decision.mode.replacement(place, &self.key);
        if finding.decision.mode == Mode::Fake && !self.stays(&replacement, stage) {
            return placeholder(&rule.entity);
        }
        replacement
    }

    /// Whether a fake would be left alone. One of which a sanitizer finds a part is known by nothing: only whole
    /// fakes are recognised.
    fn stays(&self, fake: &str, stage: Stage) -> bool {
        let texts: TextBuffer = [fake].into_iter().collect();
        let Ok(scanned) = self.scan(texts.as_texts(), stage, None) else {
            return false;
        };
        let hits = scanned.into_iter().next().flatten();
        hits.is_some_and(|hits| {
            let resume = Resume::default();
            let resolved = self.settle(fake, &hits, |range| vec![range], (stage, None), resume);
            resolved.changing.is_empty()
        })
    }

    /// Adds a record's findings, walking on from where the record before left off.
    fn report(
        &self,
        text: &str,
        seen: &Seen<'_>,
        resolved: &Resolved,
        path: Option<&str>,
        at: &mut Position,
        findings: &mut Vec<ReportedFinding>,
    ) {
        let mut all: Vec<&Decided> = resolved.changing.iter().chain(&resolved.passing).collect();
        all.sort_by_key(|finding| finding.hit.start);
        let view = &seen.view;
        let places: Vec<usize> = all
            .iter()
            .map(|finding| view.source_of(finding.hit.start))
            .collect();
        let pointers = view.pointers(seen.record, &places);
        for ((finding, place), pointer) in all.into_iter().zip(places).zip(pointers) {
            let start = seen.record.start + place;
            let end = seen.record.start + view.source_of(finding.hit.end);
            let from = at.after(&text[at.byte as usize..start]);
            *at = from.after(&text[start..end]);
            let value = &view.text[finding.range()];
            findings.push(self.reported(finding, value, path, (from, *at), pointer));
        }
    }

    /// A finding as reports show it.
    pub(crate) fn reported(
        &self,
        finding: &Decided,
        value: &str,
        path: Option<&str>,
        (start, end): (Position, Position),
        pointer: Option<String>,
    ) -> ReportedFinding {
        let scanner = &self.scanners[finding.hit.scanner];
        let rule = &scanner.rules[finding.hit.rule];
        ReportedFinding {
            path: path.map(str::to_owned),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            pointer,
            plugin: scanner.id.clone(),
            rule: rule.id.clone(),
            entity: rule.entity.clone(),
            severity: rule.severity,
            confidence: finding.hit.confidence,
            byte_start: start.byte,
            byte_end: end.byte,
            action: finding.decision.action,
            value_hmac: self.key.name_of(value),
        }
    }
}

fn withheld(format: Format) -> String {
    match format {
        Format::Plain | Format::Csv { .. } => WITHHELD.to_owned(),
        Format::Json | Format::JsonStrings | Format::Ndjson => format!("\"{WITHHELD}\""),
    }
}

/// Puts edits, which are in order and apart, into a text.
fn splice(text: &str, edits: &[Edit]) -> Outcome {
    if edits
        .iter()
        .all(|edit| text[edit.range.clone()] == edit.replacement)
    {
        return Outcome::Unchanged;
    }
    let mut changed = String::with_capacity(text.len());
    let mut taken = 0;
    for edit in edits {
        changed.push_str(&text[taken..edit.range.start]);
        changed.push_str(&edit.replacement);
        taken = edit.range.end;
    }
    changed.push_str(&text[taken..]);
    Outcome::Changed(changed)
}
