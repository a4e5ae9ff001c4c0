//! What is told: findings as a table, as one JSON document, a line each, or SARIF; and a summary.

use codex_plugin_api::{Error, Result, Severity};
use codex_redaction::{ReportedFinding, Sanitizers, sarif};
use serde_json::{Value, json};

use super::settings::ReportFormat;
use super::shown;
use super::table::table;

/// What a call came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// New findings in the order of files and places.
    pub(super) findings: Vec<ReportedFinding>,
    /// Findings of the baseline.
    pub(super) known: u64,
    /// Findings that the policy allows.
    pub(super) allowed: u64,
    /// Files that were scanned.
    pub(super) files: u64,
    /// Files that are no text.
    pub(super) binary: u64,
    /// Links that were not followed.
    pub(super) links: u64,
    /// Files with the reason why they could not be read.
    pub(super) unreadable: Vec<(String, String)>,
    /// Clean copies with something taken out, and those without.
    pub(super) changed: u64,
    pub(super) same: u64,
    /// Files without a clean copy, with the reason.
    pub(super) not_written: Vec<(String, String)>,
    /// Whether clean copies were asked for.
    pub(super) redacted: bool,
}

const SEVERITIES: [(Severity, &str); 4] = [
    (Severity::Critical, "critical"),
    (Severity::High, "high"),
    (Severity::Medium, "medium"),
    (Severity::Low, "low"),
];

/// The word of a severity.
pub(super) fn word(severity: Severity) -> &'static str {
    let found = SEVERITIES.iter().find(|(one, _)| *one == severity);
    found.map_or("unknown", |(_, word)| word)
}

/// The report's text.
///
/// # Errors
/// None in practice.
pub(super) fn text(
    outcome: &Outcome,
    format: ReportFormat,
    sanitizers: &Sanitizers,
) -> Result<String> {
    let failed = |error: serde_json::Error| Error::failed("cannot write a report").because(&error);
    Ok(match format {
        ReportFormat::Table => findings_table(&outcome.findings),
        ReportFormat::Json => format!("{}\n", document(outcome)),
        ReportFormat::Ndjson => {
            let lines: std::result::Result<Vec<String>, _> = outcome
                .findings
                .iter()
                .map(|finding| serde_json::to_string(finding).map(|line| line + "\n"))
                .collect();
            lines.map_err(failed)?.concat()
        }
        ReportFormat::Sarif => {
            let log = sarif(
                "codex-ml sanitize",
                env!("CARGO_PKG_VERSION"),
                sanitizers.rules(),
                &outcome.findings,
            );
            serde_json::to_string_pretty(&log).map_err(failed)? + "\n"
        }
    })
}

fn findings_table(findings: &[ReportedFinding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            let path = shown(finding.path.as_deref().unwrap_or("-"));
            let pointer = finding.pointer.as_deref().map(shown);
            vec![
                format!("{path}:{}:{}", finding.line, finding.column),
                word(finding.severity).to_owned(),
                finding.rule.clone(),
                finding.entity.clone(),
                format!("{:.2}", finding.confidence),
                finding.action.word().to_owned(),
                pointer.unwrap_or_default(),
            ]
        })
        .collect();
    let head = [
        "place", "severity", "rule", "entity", "sure", "action", "pointer",
    ];
    let pointers = findings.iter().any(|finding| finding.pointer.is_some());
    table(&head[..head.len() - usize::from(!pointers)], &rows)
}

/// Everything, as `--json` shows it.
pub(super) fn document(outcome: &Outcome) -> Value {
    let with_reasons = |list: &[(String, String)]| -> Vec<Value> {
        list.iter()
            .map(|(path, reason)| json!({"path": path, "reason": reason}))
            .collect()
    };
    let mut document = json!({
        "findings": outcome.findings,
        "known": outcome.known,
        "allowed": outcome.allowed,
        "files": outcome.files,
        "binary": outcome.binary,
        "links": outcome.links,
        "unreadable": with_reasons(&outcome.unreadable),
    });
    if outcome.redacted {
        document["changed"] = outcome.changed.into();
        document["unchanged"] = outcome.same.into();
        document["not_written"] = with_reasons(&outcome.not_written).into();
    }
    document
}

/// One or two lines for people.
pub(super) fn summary(outcome: &Outcome) -> String {
    let of: Vec<String> = SEVERITIES
        .iter()
        .filter_map(|(severity, word)| {
            let findings = outcome.findings.iter();
            let count = findings.filter(|one| one.severity == *severity).count();
            (count > 0).then(|| format!("{count} {word}"))
        })
        .collect();
    let of = if of.is_empty() {
        String::new()
    } else {
        format!(" ({})", of.join(", "))
    };
    let found = count(outcome.findings.len() as u64, "finding");
    let mut parts = vec![format!("{found}{of} in {}", count(outcome.files, "file"))];
    let others = [
        (outcome.known, "known"),
        (outcome.allowed, "allowed"),
        (outcome.binary, "binary left out"),
        (outcome.links, "links not followed"),
        (outcome.unreadable.len() as u64, "unreadable"),
    ];
    let others = others.iter().filter(|(count, _)| *count > 0);
    parts.extend(others.map(|(count, what)| format!("{count} {what}")));
    let line = parts.join(", ");
    if !outcome.redacted {
        return line;
    }
    let left = outcome.not_written.len() as u64 + outcome.binary + outcome.unreadable.len() as u64;
    format!(
        "{line}\n{} changed, {} as before, {left} not written",
        outcome.changed, outcome.same
    )
}

fn count(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
