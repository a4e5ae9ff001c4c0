//! `trust.log`: every change of what is trusted, one JSON object a line, each with the digest of the line before. Lines
//! are only ever added. The pins remember how far the log went, so that a log that was cut is noticed as well as one that
//! was changed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::digest::sha256;

const FILE: &str = "trust.log";

/// What stands before the first line.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// What happened.
    pub event: Event,
    /// To which plugin, or in which place.
    pub subject: String,
    /// With which key, version or digest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// SHA-256 of the line before, without its line feed.
    pub previous: String,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A key was pinned to a name at its first use.
    Pinned,
    /// The pinned key was replaced by the user's word.
    Repinned,
    /// The old key handed the name to a new one.
    Rotated,
    /// A version was accepted.
    Accepted,
    /// Native code was allowed by name.
    NativeAllowed,
    /// That was taken back.
    NativeDenied,
    /// A plugin is not to be trusted any more.
    Distrusted,
    /// It is again.
    Trusted,
    /// A pin was forgotten with all that it held.
    Forgotten,
    /// A registry took back a key or an archive.
    Revoked,
    /// A plugin was installed from a path.
    LocalInstalled,
    /// Such a plugin was removed.
    LocalRemoved,
    /// A sandboxed plugin was granted something.
    Granted,
    /// Something of that was taken back.
    GrantRevoked,
    /// The user set limits for a sandboxed plugin.
    LimitsSet,
    /// A line that was cut off in the middle of being written was taken away.
    Repaired,
}

/// How far a log goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its number of lines.
    pub lines: u64,
    /// SHA-256 of the last.
    pub sha256: String,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            lines: 0,
            sha256: NOTHING.into(),
        }
    }
}

/// The log's place in a data folder.
pub fn path(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// Adds lines; gives how far the log goes then. The caller holds the lock of the pins.
///
/// # Errors
/// When the log cannot be written, or its end is not a line of this log.
pub(super) fn append(data: &Path, time: u64, events: &[(Event, String, String)]) -> Result<Head> {
    let path = path(data);
    let failed = || {
        Error::failed(format!("cannot write {}", path.display()))
            .hint("nothing is trusted that cannot be written down: mend the folder's rights or free some space")
    };
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .or_error(failed)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).or_error(failed)?;
    // A line without an end was cut off by a crash, before the pins knew of it.
    let whole = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let torn = whole < text.len();
    let mut head = end_of(&text[..whole], &path)?;
    let mut lines = Vec::new();
    let repair = torn.then(|| (Event::Repaired, FILE.to_owned(), String::new()));
    for (event, subject, detail) in repair.iter().chain(events) {
        let line = Line {
            number: head.lines + 1,
            time,
            event: *event,
            subject: subject.clone(),
            detail: detail.clone(),
            previous: head.sha256,
        };
        let json = serde_json::to_vec(&line).or_error(failed)?;
        head = Head {
            lines: line.number,
            sha256: sha256(&json),
        };
        lines.extend(json);
        lines.push(b'\n');
    }
    let write = |file: &mut File| {
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(&lines)?;
        file.sync_all()
    };
    write(&mut file).or_error(failed)?;
    Ok(head)
}

/// How far whole lines go, by the last of them alone.
fn end_of(whole: &[u8], path: &Path) -> Result<Head> {
    let Some(body) = whole.strip_suffix(b"\n") else {
        return Ok(Head::default());
    };
    let last = body.rsplit(|byte| *byte == b'\n').next().unwrap_or(body);
    let line: Line = serde_json::from_slice(last).or_error(|| {
        broken(
            path,
            body.split(|byte| *byte == b'\n').count() as u64,
            "is no line of a log",
        )
    })?;
    Ok(Head {
        lines: line.number,
        sha256: sha256(last),
    })
}

/// Reads the log and checks every link of its chain, and that it goes at least as far as `known`. An unfinished last line
/// is left out: nothing was trusted because of it.
///
/// # Errors
/// [`ErrorKind::Plugin`] naming the first line that is wrong.
pub fn check(data: &Path, known: &Head) -> Result<Vec<Line>> {
    let path = path(data);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            return Err(Error::failed(format!("cannot read {}", path.display())).because(&error));
        }
    };
    let mut head = Head::default();
    let mut lines = Vec::new();
    let mut agrees = known.lines == 0;
    for part in text.split_inclusive(|byte| *byte == b'\n') {
        let Some(json) = part.strip_suffix(b"\n") else {
            break;
        };
        let number = head.lines + 1;
        let line: Line = serde_json::from_slice(json)
            .or_error(|| broken(&path, number, "is no line of a log"))?;
        if line.number != number {
            return Err(broken(
                &path,
                number,
                &format!("is numbered {}", line.number),
            ));
        }
        if line.previous != head.sha256 {
            return Err(broken(
                &path,
                number,
                "does not continue the line before: one of the two was changed",
            ));
        }
        head = Head {
            lines: number,
            sha256: sha256(json),
        };
        agrees |= head == *known;
        lines.push(line);
    }
    if !agrees {
        let message = if head.lines < known.lines {
            format!(
                "{} has {} lines, but had {}: it was cut",
                path.display(),
                head.lines,
                known.lines
            )
        } else {
            format!(
                "{}, line {}: is not the line that was written there",
                path.display(),
                known.lines
            )
        };
        return Err(Error::new(ErrorKind::Plugin, message).hint(HINT));
    }
    Ok(lines)
}

const HINT: &str = "somebody changed the record of what is trusted: compare it with a backup, look through codex-ml plugin trust, and remove trust.log and trust.json to begin again";

fn broken(path: &Path, line: u64, what: &str) -> Error {
    Error::new(
        ErrorKind::Plugin,
        format!("{}, line {line}: {what}", path.display()),
    )
    .hint(HINT)
}

#[cfg(test)]
mod tests;
