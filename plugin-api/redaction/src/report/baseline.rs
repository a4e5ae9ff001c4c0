//! Findings that are known already: a file that is made once and committed, so that only new findings count.

use std::collections::BTreeSet;

use codex_plugin_api::{Error, Result};
use serde::{Deserialize, Serialize};

use super::ReportedFinding;
use crate::key::hex;
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    findings: Vec<Known>,
}

/// Known findings, each by path, rule and the HMAC of its value: it stays known when its line moves, and another value
/// in its place is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    key: String,
    salt: Option<String>,
    known: BTreeSet<Known>,
}

impl Baseline {
    /// A baseline of these findings; those that are allowed need none.
    pub fn of<'a>(key: &Key, findings: impl IntoIterator<Item = &'a ReportedFinding>) -> Self {
        Self {
            key: key.id(),
            salt: None,
            known: findings
                .into_iter()
                .filter(|finding| finding.action != Action::Allow)
                .map(known)
                .collect(),
        }
    }

    /// The same findings in a file that carries what its key is made of, so that whoever has the file can compare with
    /// it: for teams. Whoever has it can also test guesses, which is hopeless for random secrets and no work at all for
    /// telephone numbers.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when the findings were not named with [`Self::key_of`] this salt.
    pub fn with_salt(self, salt: &str) -> Result<Self> {
        if Self::key_of(salt)?.id() != self.key {
            return Err(Error::failed("findings of another key in a baseline"));
        }
        Ok(Self {
            salt: Some(salt.to_owned()),
            ..self
        })
    }

    /// A salt of its own for a new file.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when the system gives no random bytes.
    pub fn new_salt() -> Result<String> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt)
            .map_err(|error| Error::failed(format!("the system gives no random bytes: {error}")))?;
        Ok(hex(&salt))
    }

    /// The key that a salt makes.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when it is too short.
    pub fn key_of(salt: &str) -> Result<Key> {
        Key::new(salt.as_bytes())
    }

    /// The salt that a file carries, where it does; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`Self::from_json`] where the text is no baseline at all.
    pub fn salt_in(text: &str, name: &str) -> Result<Option<String>> {
        file(text, name).map(|file| file.salt)
    }

    /// Reads what [`Self::to_json`] wrote; `name` is what errors call it (its path).
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when it is no baseline, of another version, or made with another key:
    /// its HMACs would then match nothing, and everything would seem new.
    pub fn from_json(text: &str, name: &str, key: &Key) -> Result<Self> {
        let file = file(text, name)?;
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
            salt: file.salt,
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
            salt: self.salt.clone(),
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

fn file(text: &str, name: &str) -> Result<File> {
    serde_json::from_str(text).map_err(|error| {
        Error::config(format!("{name} is no baseline of findings"))
            .because(&error)
            .hint("make it anew")
    })
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

    #[test]
    fn a_file_with_a_salt_needs_no_other_key() {
        let salt = Baseline::new_salt().unwrap();
        assert_ne!(salt, Baseline::new_salt().unwrap());
        let key = Baseline::key_of(&salt).unwrap();
        let found = finding("a.txt", "token", 'a');
        let made = Baseline::of(&key, [&found]).with_salt(&salt).unwrap();
        let text = made.to_json().unwrap();
        let carried = Baseline::salt_in(&text, "b.json").unwrap().unwrap();
        let key = Baseline::key_of(&carried).unwrap();
        assert_eq!(Baseline::from_json(&text, "b.json", &key).unwrap(), made);
        let plain = Baseline::of(&key, []).to_json().unwrap();
        assert_eq!(Baseline::salt_in(&plain, "b.json").unwrap(), None);
        let other = Baseline::of(&crate::testing::key(), [&found]).with_salt(&salt);
        assert!(other.is_err(), "the salt is not what made these");
    }
}
