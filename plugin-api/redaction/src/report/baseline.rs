//! Findings that are known already: a file that is made once and committed, so that only new findings count.

use std::collections::BTreeSet;

use codex_plugin_api::{Error, Result};
use serde::{Deserialize, Serialize};

use super::ReportedFinding;
use crate::{Action, Key};

const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Known {
    #[serde(default)]
    path: String,
    plugin: String,
    rule: String,
    value_hmac: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    key: String,
    findings: Vec<Known>,
}

/// Known findings, each by path, rule and the HMAC of its value: it stays known when its line moves, and another value
/// in its place is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    key: String,
    known: BTreeSet<Known>,
}

impl Baseline {
    /// A baseline of these findings; those that are allowed need none.
    pub fn of<'a>(key: &Key, findings: impl IntoIterator<Item = &'a ReportedFinding>) -> Self {
        Self {
            key: key.id(),
            known: findings
                .into_iter()
                .filter(|finding| finding.action != Action::Allow)
                .map(known)
                .collect(),
        }
    }

    /// Reads what [`Self::to_json`] wrote; `name` is what errors call it (its path).
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when it is no baseline, of another version, or made with another key:
    /// its HMACs would then match nothing, and everything would seem new.
    pub fn from_json(text: &str, name: &str, key: &Key) -> Result<Self> {
        let file: File = serde_json::from_str(text).map_err(|error| {
            Error::config(format!("{name} is no baseline of findings"))
                .because(&error)
                .hint("make it anew")
        })?;
        if file.version != VERSION {
            return Err(Error::config(format!(
                "{name} is a baseline of version {}, not {VERSION}",
                file.version
            ))
            .hint("make it anew with this release"));
        }
        if file.key != key.id() {
            return Err(Error::config(format!(
                "{name} was made with the key {}, not with {}",
                file.key,
                key.id()
            ))
            .hint("give the key it was made with, or make it anew"));
        }
        Ok(Self {
            key: file.key,
            known: file.findings.into_iter().collect(),
        })
    }

    /// The file's text: sorted, one line a key, so that differences are small.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_json(&self) -> Result<String> {
        let file = File {
            version: VERSION,
            key: self.key.clone(),
            findings: self.known.iter().cloned().collect(),
        };
        let text = serde_json::to_string_pretty(&file)
            .map_err(|error| Error::failed("cannot write a baseline").because(&error))?;
        Ok(text + "\n")
    }

    /// Whether a finding is known.
    pub fn contains(&self, finding: &ReportedFinding) -> bool {
        self.known.contains(&known(finding))
    }

    /// How many findings are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

fn known(finding: &ReportedFinding) -> Known {
    let path = finding.path.as_deref().unwrap_or_default();
    Known {
        path: path.replace('\\', "/"),
        plugin: finding.plugin.clone(),
        rule: finding.rule.clone(),
        value_hmac: finding.value_hmac.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::{finding, key};

    #[test]
    fn known_findings_stay_known_where_lines_move() {
        let found = finding("a.txt", "token", 'a');
        let baseline = Baseline::of(&key(), [&found, &found]);
        let text = baseline.to_json().unwrap();
        let read = Baseline::from_json(&text, "b.json", &key()).unwrap();
        assert_eq!((&read, read.len()), (&baseline, 1));
        let mut moved = found.clone();
        moved.line += 7;
        assert!(read.contains(&moved));
        for other in [
            finding("b.txt", "token", 'a'),
            finding("a.txt", "email", 'a'),
            finding("a.txt", "token", 'b'),
        ] {
            assert!(!read.contains(&other));
        }
    }

    #[test]
    fn a_baseline_of_another_key_or_version_is_refused() {
        let text = Baseline::of(&key(), []).to_json().unwrap();
        let other = Key::new(b"quite another secret").unwrap();
        let error = Baseline::from_json(&text, "b.json", &other).unwrap_err();
        assert!(error.message().contains(&key().id()), "{error}");
        let newer = text.replace("\"version\": 1", "\"version\": 2");
        let error = Baseline::from_json(&newer, "b.json", &key()).unwrap_err();
        assert!(error.message().contains("version 2"), "{error}");
        let error = Baseline::from_json("[]", "b.json", &key()).unwrap_err();
        assert!(
            error.message().starts_with("b.json is no baseline"),
            "{error}"
        );
    }
}
