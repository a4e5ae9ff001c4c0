//! The front: sanitizers, a policy and a key, applied to texts. Every border of the host calls this.

mod render;
mod settle;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use codex_plugin_api::{
    Error, ErrorKind, Finding, Result, Rule, Sanitizer, Stage, TextBuffer, Texts,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::key::hex;
use crate::mode::Marks;
use crate::scan::{Asked, FileSanitizer, Hit, Scanner};
use crate::structured::{Record, View, records};
use crate::{Action, Counts, Format, Key, Mode, OnError, Policy, ReportedFinding, WITHHELD};

/// What became of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes as it is.
    Unchanged,
    /// It passes as this.
    Changed(String),
    /// It does not pass, and that is all.
    Dropped,
    /// It must not pass, and whoever asked must stop.
    Blocked,
}

/// A text after its sanitizers.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleaned {
    /// What became of it.
    pub outcome: Outcome,
    /// What was found, in the order of the text, overlaps resolved.
    pub findings: Vec<ReportedFinding>,
    /// What makes the source the text that passes, in order and apart: for a caller that holds only a part of it, or
    /// its bytes. A record that does not pass is replaced by nothing; the outcome says whether the text passes at all.
    pub edits: Vec<Edit>,
    /// What its reader should know: records that are not what their format says, texts that were withheld.
    pub notes: Vec<String>,
}

/// Bytes of a text, and what takes their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// In the source.
    pub range: Range<usize>,
    /// Instead of them, with the escapes that the format demands.
    pub replacement: String,
}

impl Cleaned {
    /// What passes of `source`, the text that was given; `None` where nothing does.
    pub fn text<'a>(&'a self, source: &'a str) -> Option<&'a str> {
        match &self.outcome {
            Outcome::Unchanged => Some(source),
            Outcome::Changed(text) => Some(text),
            Outcome::Dropped | Outcome::Blocked => None,
        }
    }
}

/// Sanitizers and what is done with their findings. Shared between threads; its counts are of all of them.
pub struct Sanitizers {
    scanners: Vec<Scanner>,
    policy: Policy,
    key: Key,
    marks: Marks,
    longest: usize,
    digest: String,
    counts: Mutex<Counts>,
}

impl fmt::Debug for Sanitizers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.scanners.iter().map(|one| one.id.as_str()).collect();
        f.debug_struct("Sanitizers")
            .field("sanitizers", &ids)
            .finish_non_exhaustive()
    }
}

/// What a sanitizer was asked about: hits of one view, or nothing where it could not be scanned.
pub(crate) type Scanned = Option<Vec<Hit>>;

impl Sanitizers {
    /// Takes sanitizers by the names of their plugins, in the order in which they win where all else is equal. None
    /// at all is allowed: then every text passes.
    ///
    /// # Errors
    /// [`ErrorKind::Plugin`] naming the plugin that does not tell its rules, or tells some that cannot be.
    pub fn new(
        sanitizers: Vec<(String, Arc<dyn Sanitizer>)>,
        policy: Policy,
        key: Key,
    ) -> Result<Self> {
        Self::with_files(Vec::new(), sanitizers, policy, key)
    }

    /// As [`Self::new`], with sanitizers before the others that are told the path of each text.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_files(
        files: Vec<(String, Arc<dyn FileSanitizer>)>,
        texts: Vec<(String, Arc<dyn Sanitizer>)>,
        policy: Policy,
        key: Key,
    ) -> Result<Self> {
        let files = files.into_iter().map(|(id, one)| (id, Asked::Files(one)));
        let texts = texts.into_iter().map(|(id, one)| (id, Asked::Texts(one)));
        let scanners = files
            .chain(texts)
            .map(|(id, asked)| Scanner::new(id, asked))
            .collect::<Result<Vec<_>>>()?;
        let entities = scanners
            .iter()
            .flat_map(|scanner| &scanner.rules)
            .map(|rule| rule.entity.as_str());
        let fakes = policy.uses(Mode::Fake).then(|| key.clone());
        let marks = Marks::new(entities, policy.uses(Mode::Mask), fakes);
        let longest = scanners.iter().map(|scanner| scanner.max_span).max();
        Ok(Self {
            digest: digest(&scanners, &policy, &key),
            longest: longest.unwrap_or(0),
            counts: Mutex::new(Counts::default()),
            scanners,
            policy,
            key,
            marks,
        })
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.scanners.is_empty()
    }

    /// No finding is longer than this many bytes.
    pub fn max_span(&self) -> usize {
        self.longest
    }

    /// Every rule with its plugin.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.scanners
            .iter()
            .flat_map(|scanner| scanner.rules.iter().map(|rule| (scanner.id.as_str(), rule)))
    }

    /// Names what cleaned texts depend on: plugins with their rules, policy, and the key where it shows in texts.
    /// A plugin that finds differently with the same rules must go by another name (`sanitizer-default 1.2.0`).
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The policy that decides.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The key under which findings are named.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What was found so far, by stage, rule and action.
    pub fn counts(&self) -> Counts {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }

    /// Cleans plain texts: one result a text, in order. `path` is the file they come from, for allow-lists and reports.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] naming rule and place where the policy blocks a finding; [`ErrorKind::Plugin`] naming the
    /// plugin where one fails and the policy blocks what it could not scan.
    pub fn clean(
        &self,
        texts: Texts<'_>,
        stage: Stage,
        path: Option<&str>,
    ) -> Result<Vec<Cleaned>> {
        self.clean_as(texts, Format::Plain, stage, path)
    }

    /// As [`Self::clean`], for texts of a format.
    ///
    /// # Errors
    /// As [`Self::clean`].
    pub fn clean_as(
        &self,
        texts: Texts<'_>,
        format: Format,
        stage: Stage,
        path: Option<&str>,
    ) -> Result<Vec<Cleaned>> {
        let cleaned = self.inspect(texts, format, stage, path)?;
        for (index, one) in cleaned.iter().enumerate() {
            if one.outcome == Outcome::Blocked
                && let Some(finding) = one.findings.iter().find(|one| one.action == Action::Block)
            {
                let place = match path {
                    Some(path) => path.to_owned(),
                    None if texts.len() > 1 => format!("text {index} ({})", stage_word(stage)),
                    None => format!("the text ({})", stage_word(stage)),
                };
                return Err(blocked(finding, &place));
            }
        }
        Ok(cleaned)
    }

    /// As [`Self::clean_as`], but a finding that is blocked is an outcome and no error: for whoever lists findings.
    ///
    /// # Errors
    /// [`ErrorKind::Plugin`] as [`Self::clean`].
    pub fn inspect(
        &self,
        texts: Texts<'_>,
        format: Format,
        stage: Stage,
        path: Option<&str>,
    ) -> Result<Vec<Cleaned>> {
        let parts: Vec<Vec<Record<'_>>> = texts.iter().map(|text| records(text, format)).collect();
        let views: Vec<(View<'_>, Option<String>)> = parts
            .iter()
            .flatten()
            .map(|record| View::of(*record))
            .collect();
        let scanned = if format == Format::Plain {
            self.scan(texts, stage, path)?
        } else {
            let seen: TextBuffer = views.iter().map(|(view, _)| &view.text).collect();
            self.scan(seen.as_texts(), stage, path)?
        };
        let mut views = views.into_iter().zip(scanned);
        let cleaned = texts
            .iter()
            .zip(&parts)
            .map(|(text, records)| {
                let records = records
                    .iter()
                    .zip(views.by_ref())
                    .map(|(record, ((view, note), hits))| render::Seen {
                        record: *record,
                        resolved: hits.map(|hits| self.settle_view(&view, &hits, stage, path)),
                        view,
                        note,
                    })
                    .collect::<Vec<_>>();
                self.render(text, &records, stage, path)
            })
            .collect();
        Ok(cleaned)
    }

    /// Cleans what is about to be written to a log, a tracker or a terminal. It always answers: what is blocked or
    /// could not be scanned is replaced whole by [`WITHHELD`], since an error here would hide the event itself.
    pub fn clean_log(&self, text: &str, format: Format) -> String {
        let texts: TextBuffer = [text].into_iter().collect();
        let cleaned = self.inspect(texts.as_texts(), format, Stage::Log, None);
        match cleaned.map(|mut list| list.pop().map(|one| one.outcome)) {
            Ok(Some(Outcome::Unchanged)) => text.to_owned(),
            Ok(Some(Outcome::Changed(changed))) => changed,
            Ok(Some(Outcome::Dropped)) => String::new(),
            Ok(Some(Outcome::Blocked) | None) | Err(_) => match format {
                Format::Plain | Format::Csv { .. } => WITHHELD.to_owned(),
                Format::Json | Format::JsonStrings | Format::Ndjson => format!("\"{WITHHELD}\""),
            },
        }
    }

    /// As [`Self::clean_log`] for JSON in memory: strings and keys are cleaned, numbers stay.
    pub fn clean_log_value(&self, value: &Value) -> Value {
        let cleaned = self.clean_log(&value.to_string(), Format::JsonStrings);
        serde_json::from_str(&cleaned).unwrap_or_else(|_| WITHHELD.into())
    }

    /// An error as it may be shown and logged: message, hint and causes are cleaned.
    pub fn clean_error(&self, error: &Error) -> Error {
        let clean = |text: &str| self.clean_log(text, Format::Plain);
        let cleaned = Error::new(error.kind(), clean(error.message()))
            .with_causes(error.causes().iter().map(|cause| clean(cause)));
        match error.hint_text() {
            Some(hint) => cleaned.hint(clean(hint)),
            None => cleaned,
        }
    }

    /// Asks every sanitizer. Where one fails and the policy does not block, each text is tried alone, so that one text
    /// does not take the others with it.
    pub(crate) fn scan(
        &self,
        texts: Texts<'_>,
        stage: Stage,
        path: Option<&str>,
    ) -> Result<Vec<Scanned>> {
        let mut scanned: Vec<Scanned> = vec![Some(Vec::new()); texts.len()];
        for (index, scanner) in self.scanners.iter().enumerate() {
            match scanner.scan(texts, stage, path) {
                Ok(findings) => add(&mut scanned, &findings, index),
                Err(error) if self.closes(&error, stage) => return Err(error),
                Err(_) => {
                    for (text, hits) in texts.iter().zip(&mut scanned) {
                        let alone: TextBuffer = [text].into_iter().collect();
                        match scanner.scan(alone.as_texts(), stage, path) {
                            Ok(findings) => add(std::slice::from_mut(hits), &findings, index),
                            Err(error) if self.closes(&error, stage) => return Err(error),
                            Err(_) => *hits = None,
                        }
                    }
                }
            }
        }
        Ok(scanned)
    }

    /// The longest mark that redaction leaves in bytes.
    pub(crate) fn longest_mark(&self) -> usize {
        self.marks.longest()
    }

    fn closes(&self, error: &Error, stage: Stage) -> bool {
        error.kind() == ErrorKind::Interrupted || self.policy.on_error(stage) == OnError::Block
    }

    pub(crate) fn count(&self, stage: Stage, findings: &[ReportedFinding], not_scanned: u64) {
        if findings.is_empty() && not_scanned == 0 {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.add(stage, findings);
        counts.not_scanned += not_scanned;
    }
}

fn add(scanned: &mut [Scanned], findings: &[Finding], scanner: usize) {
    for finding in findings {
        if let Some(Some(hits)) = scanned.get_mut(finding.text as usize) {
            hits.push(Hit {
                start: finding.start as usize,
                end: finding.end as usize,
                scanner,
                rule: finding.rule as usize,
                confidence: finding.confidence,
            });
        }
    }
}

fn digest(scanners: &[Scanner], policy: &Policy, key: &Key) -> String {
    let keyed = policy.uses(Mode::Pseudonym) || policy.uses(Mode::Fake);
    let parts = serde_json::json!({
        "format": 1,
        "sanitizers": scanners
            .iter()
            .map(|scanner| (&scanner.id, &scanner.rules, scanner.max_span))
            .collect::<Vec<_>>(),
        "policy": policy.digest(),
        "key": keyed.then(|| key.id()),
    });
    hex(&Sha256::digest(parts.to_string()))
}

/// The word of a stage in messages.
pub(crate) fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Ingest => "ingest",
        Stage::Prompt => "prompt",
        Stage::Output => "output",
        Stage::Log => "log",
        _ => "text",
    }
}

/// The error for a finding that the policy blocks.
pub(crate) fn blocked(finding: &ReportedFinding, place: &str) -> Error {
    Error::data(format!(
        "{place} holds {} at line {}, column {}, which the policy blocks (rule {} of {})",
        finding.entity, finding.line, finding.column, finding.rule, finding.plugin
    ))
    .hint("take it out of the text, or have the policy allow or redact it")
}

#[cfg(test)]
mod tests;
