//! A call of `sanitize` from beginning to end.

use codex_plugin_api::{Arguments, Error, HostRef, LogLevel, Result};
use codex_redaction::{Action, ReportedFinding, Sanitizers};

use super::asking;
use super::destination::{self, Splicer, Written};
use super::known::{self, Known};
use super::piece::{self, Scanned};
use super::reader::Pieces;
use super::report::{self, Outcome};
use super::scanning::{Scan, Seen};
use super::settings::{FileFormat, Place, ReportFormat, Settings};
use super::shown;
use super::sources::{self, Source};

pub(super) fn run(arguments: &Arguments, host: &HostRef) -> Result<i32> {
    let settings = Settings::read(arguments)?;
    destination::check(settings.redact.as_ref())?;
    let known = known::read(&settings)?;
    let sanitizers = asking::sanitizers(&settings, known.key.clone(), host)?;
    let found = sources::find(&settings, host)?;
    let scan = Scan {
        sanitizers: &sanitizers,
        stage: settings.stage,
        host,
    };
    let mut outcome = Outcome {
        links: found.links,
        unreadable: found.unreadable,
        redacted: settings.redact.is_some(),
        ..Outcome::default()
    };
    let mut all = settings.write_baseline.is_some().then(Vec::new);
    if settings.prints_text() {
        let (scanned, changed) = through(&found.list[0], &scan)?;
        outcome.changed = u64::from(changed);
        outcome.same = 1 - outcome.changed;
        take(
            &found.list[0],
            scanned,
            &known,
            &mut outcome,
            &mut all,
            host,
        );
    } else {
        let seen = scan.run(&found.list)?;
        for (source, seen) in found.list.iter().zip(seen) {
            match seen {
                Seen::Binary => outcome.binary += 1,
                Seen::Unreadable(reason) => {
                    outcome.unreadable.push((source.name.clone(), reason));
                }
                Seen::Scanned(scanned) => {
                    if let Some(place) = &settings.redact {
                        write(source, &scanned, place, &scan, &mut outcome)?;
                    }
                    take(source, scanned, &known, &mut outcome, &mut all, host);
                }
            }
        }
    }
    if let Some(path) = &settings.write_baseline {
        known.write(path, sanitizers.key(), all.as_deref().unwrap_or_default())?;
        // What was just written down is known.
        outcome.known += outcome.findings.len() as u64;
        outcome.findings.clear();
    }
    tell(&settings, &outcome, &sanitizers, host)?;
    end(&settings, &outcome)
}

/// Files what was found in one source.
fn take(
    source: &Source,
    scanned: Scanned,
    known: &Known,
    outcome: &mut Outcome,
    all: &mut Option<Vec<ReportedFinding>>,
    host: &HostRef,
) {
    let name = shown(&source.name);
    let note = |text: String| host.log(LogLevel::Warning, &format!("{name}: {text}"));
    for text in scanned.notes {
        note(text);
    }
    if scanned.misread > 0 {
        note(format!(
            "{} not what the format says and read as plain text",
            match scanned.misread {
                1 => "1 record is".to_owned(),
                count => format!("{count} records are"),
            }
        ));
    }
    if scanned.unreadable > 0 {
        note(format!(
            "{} bytes are not UTF-8; the text around them was scanned",
            scanned.unreadable
        ));
    }
    outcome.files += 1;
    for finding in scanned.findings {
        if finding.action == Action::Allow {
            outcome.allowed += 1;
            continue;
        }
        if let Some(all) = all {
            all.push(finding.clone());
        }
        if known.contains(&finding) {
            outcome.known += 1;
        } else {
            outcome.findings.push(finding);
        }
    }
}

fn write(
    source: &Source,
    scanned: &Scanned,
    place: &Place,
    scan: &Scan<'_>,
    outcome: &mut Outcome,
) -> Result<()> {
    if scan.host.interrupted() {
        return Err(Error::interrupted());
    }
    match destination::write(source, scanned, place, scan)? {
        Written::Changed => outcome.changed += 1,
        Written::Same => outcome.same += 1,
        Written::Not(reason) => outcome.not_written.push((source.name.clone(), reason)),
    }
    Ok(())
}

/// Standard input to standard output, piece by piece: each is written as soon as it is scanned.
fn through(source: &Source, scan: &Scan<'_>) -> Result<(Scanned, bool)> {
    let unreadable =
        |error: std::io::Error| Error::data("cannot read standard input").because(&error);
    let FileFormat::Text(format) = source.format else {
        return Err(Error::config("Parquet cannot come from standard input")
            .hint("give the file's path and --output-dir"));
    };
    let input = source.open().map_err(unreadable)?;
    let mut pieces = Pieces::new(input, format, scan.margin());
    if pieces.is_binary().map_err(unreadable)? {
        return Err(
            Error::data("standard input is no text: there is a NUL in it")
                .hint("nothing was written; give text in UTF-8"),
        );
    }
    let mut splicer = Splicer::default();
    let mut all = Vec::new();
    let mut changed = false;
    while let Some(piece) = pieces.next().map_err(unreadable)? {
        if scan.host.interrupted() {
            return Err(Error::interrupted());
        }
        let bytes = piece.bytes[piece.region.clone()].to_vec();
        let at = piece.at + piece.region.start as u64;
        let mut scanned = piece::scan(piece, scan.sanitizers, scan.stage, &source.name)?;
        if let Some(finding) = forbidden(&scanned) {
            return Err(Error::data(format!(
                "standard input holds {}, which the policy does not let pass (rule {})",
                finding.entity, finding.rule
            ))
            .hint("what was written ends before the piece that holds it"));
        }
        let edits = std::mem::take(&mut scanned.edits);
        changed |= !edits.is_empty();
        scan.host.print(&splicer.next(&bytes, at, &edits))?;
        all.push(scanned);
    }
    scan.host.print(&splicer.rest())?;
    Ok((piece::join(all), changed))
}

/// A finding behind which nothing may pass.
fn forbidden(scanned: &Scanned) -> Option<&ReportedFinding> {
    scanned.findings.iter().find(|finding| {
        finding.action == Action::Block || scanned.dropped && finding.action == Action::Drop
    })
}

/// The report to its place, the summary beside it.
fn tell(
    settings: &Settings,
    outcome: &Outcome,
    sanitizers: &Sanitizers,
    host: &HostRef,
) -> Result<()> {
    for (path, reason) in &outcome.unreadable {
        let line = format!("{}: {}", shown(path), shown(reason));
        host.log(LogLevel::Warning, &line);
    }
    for (path, reason) in &outcome.not_written {
        let line = format!("{} is not written: {reason}", shown(path));
        host.log(LogLevel::Warning, &line);
    }
    let report = report::text(outcome, settings.report, sanitizers)?;
    let summary = report::summary(outcome);
    match &settings.output {
        Some(path) => known::whole(path, report.as_bytes())?,
        // Standard output has the clean text, and nothing else.
        None if settings.prints_text() => {
            if settings.report == ReportFormat::Table {
                host.log(LogLevel::Info, &format!("\n{report}"));
            }
        }
        None => host.print(&report)?,
    }
    let printed = !settings.prints_text();
    match (settings.report, &settings.output) {
        (ReportFormat::Table, _) if printed && !settings.json => {
            host.print(&format!("{summary}\n"))
        }
        (_, Some(_)) if printed && settings.json => {
            host.print(&format!("{}\n", report::document(outcome)))
        }
        _ => {
            host.log(LogLevel::Info, &summary);
            Ok(())
        }
    }
}

/// The exit code: what could not be read or written is an error, findings are one where that was asked for.
fn end(settings: &Settings, outcome: &Outcome) -> Result<i32> {
    if let Some((path, reason)) = outcome.unreadable.first() {
        return Err(Error::data(format!(
            "{} could not be read, the first is {}: {}",
            files(outcome.unreadable.len()),
            shown(path),
            shown(reason)
        ))
        .hint("everything else was scanned and reported"));
    }
    if let Some((path, reason)) = outcome.not_written.first() {
        return Err(Error::data(format!(
            "{} not written, the first is {}: {reason}",
            match outcome.not_written.len() {
                1 => "1 file was".to_owned(),
                count => format!("{count} files were"),
            },
            shown(path)
        ))
        .hint("everything else was written"));
    }
    let fails = settings.fail_on.is_some_and(|least| {
        let mut findings = outcome.findings.iter();
        findings.any(|finding| finding.severity >= least)
    });
    Ok(i32::from(fails))
}

fn files(count: usize) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}
