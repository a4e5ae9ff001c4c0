//! What happens to a finding: the first line of the policy that fits decides, after the allow-lists.

mod allow;
mod document;
mod load;

use std::collections::BTreeSet;

use codex_plugin_api::{Result, Severity, Stage};
use glob::Pattern;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Mode;
use crate::key::hex;
use allow::Allowance;
use document::Document;

/// What is done to a finding, from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is known and passes; it is counted.
    Allow,
    /// It passes and is reported.
    Warn,
    /// It is replaced in its text.
    Redact,
    /// Its record is left out.
    Drop,
    /// The whole operation ends with an error.
    Block,
}

impl Action {
    /// Whether the text does not pass as it is.
    pub fn changes(self) -> bool {
        self >= Self::Redact
    }

    /// The word that policies and reports use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Redact => "redact",
            Self::Drop => "drop",
            Self::Block => "block",
        }
    }
}

/// What happens to a text that a sanitizer could not scan. There is no way to let it pass in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The operation ends with the sanitizer's error.
    Block,
    /// The text is replaced whole by [`crate::WITHHELD`].
    Withhold,
    /// The text's record is left out.
    Drop,
}

/// A finding as the policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Where the text was met.
    pub stage: Stage,
    /// What was found.
    pub entity: &'a str,
    /// Which rule found it.
    pub rule: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// Between 0 and 1.
    pub confidence: f32,
    /// The text of the finding.
    pub value: &'a str,
    /// The file it comes from, where there is one.
    pub path: Option<&'a str>,
}

/// What the policy says about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub action: Action,
    /// How, where the action is [`Action::Redact`].
    pub mode: Mode,
}

/// Which findings a line or an allowance is about; what is absent fits everything.
#[derive(Clone, Debug)]
struct Scope {
    stages: Vec<Stage>,
    entities: Vec<Pattern>,
    rules: Vec<Pattern>,
}

impl Scope {
    fn fits(&self, subject: &Subject<'_>) -> bool {
        let named = |patterns: &[Pattern], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name))
        };
        (self.stages.is_empty() || self.stages.contains(&subject.stage))
            && named(&self.entities, subject.entity)
            && named(&self.rules, subject.rule)
    }
}

#[derive(Clone, Debug)]
struct Line {
    scope: Scope,
    min_confidence: f32,
    min_severity: Severity,
    decision: Decision,
}

/// A checked policy, ready to decide.
#[derive(Clone, Debug)]
pub struct Policy {
    lines: Vec<Line>,
    allowances: Vec<Allowance>,
    fallback: Decision,
    on_error: document::OnErrors,
    modes: BTreeSet<Mode>,
    digest: String,
}

impl Policy {
    /// The policy that is built in; `docs/redaction.md` argues for each of its lines.
    ///
    /// # Errors
    /// None in practice: a test reads it.
    pub fn standard() -> Result<Self> {
        let document = load::read(Self::STANDARD_YAML, "the built-in policy")?;
        Self::compile(&[document], "the built-in policy")
    }

    /// The built-in policy's text, to start one's own from.
    pub const STANDARD_YAML: &str = include_str!("policy/standard.yaml");

    /// The JSON Schema of policies, for editors.
    pub const SCHEMA: &str = include_str!("policy/schema.json");

    /// Reads a policy; `name` is what errors call it (its path). Unless it says `extends: none`, its lines and
    /// allow-lists come before those of the built-in policy.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] naming the key, the value and the place.
    pub fn from_yaml(text: &str, name: &str) -> Result<Self> {
        load::check(text, name)?;
        let own = load::read(text, name)?;
        if own.extends == document::Extends::None {
            return Self::compile(&[own], name);
        }
        let standard = load::read(Self::STANDARD_YAML, "the built-in policy")?;
        Self::compile(&[own, standard], name)
    }

    fn compile(documents: &[Document], name: &str) -> Result<Self> {
        let mut lines = Vec::new();
        let mut allowances = Vec::new();
        let mode = documents
            .iter()
            .find_map(|document| document.mode)
            .unwrap_or_default();
        for document in documents {
            for (index, line) in document.actions.iter().enumerate() {
                lines.push(line.compile(mode, &format!("{name}: actions.{index}"))?);
            }
            for (index, entry) in document.allow.iter().enumerate() {
                allowances.push(entry.compile(&format!("{name}: allow.{index}"))?);
            }
        }
        let on_error = documents
            .iter()
            .fold(document::OnErrors::default(), |all, document| {
                all.or(document.on_error)
            });
        let text = serde_json::to_string(documents).unwrap_or_default();
        Ok(Self {
            modes: lines
                .iter()
                .map(|line| line.decision.mode)
                .chain([mode])
                .collect(),
            // What no line names was made by somebody who found it worth finding.
            fallback: Decision {
                action: Action::Redact,
                mode,
            },
            lines,
            allowances,
            on_error,
            digest: hex(&Sha256::digest(text)),
        })
    }

    /// The same policy with one mode for everything that is redacted.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        for line in &mut self.lines {
            line.decision.mode = mode;
        }
        self.fallback.mode = mode;
        self.modes = BTreeSet::from([mode]);
        self.digest = hex(&Sha256::digest(format!("{} {mode:?}", self.digest)));
        self
    }

    /// Decides about one finding.
    pub fn decide(&self, subject: &Subject<'_>) -> Decision {
        let decision = self
            .lines
            .iter()
            .find(|line| {
                subject.confidence >= line.min_confidence
                    && subject.severity >= line.min_severity
                    && line.scope.fits(subject)
            })
            .map_or(self.fallback, |line| line.decision);
        if self.allowances.iter().any(|entry| entry.allows(subject)) {
            return Decision {
                action: Action::Allow,
                ..decision
            };
        }
        decision
    }

    /// What happens to a text that could not be scanned.
    pub fn on_error(&self, stage: Stage) -> OnError {
        self.on_error.at(stage)
    }

    /// Names the policy by its content: 64 hexadecimal digits. What it cleaned is stored under it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether what this policy leaves of a value depends on the key.
    pub fn names_values(&self) -> bool {
        self.uses(Mode::Pseudonym) || self.uses(Mode::Fake)
    }

    /// Whether text that was redacted before can hold what this mode leaves.
    pub(crate) fn uses(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }
}

#[cfg(test)]
mod tests;
