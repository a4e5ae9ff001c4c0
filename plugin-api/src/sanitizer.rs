//! The sanitizer kind: finds what must not pass. The host decides and redacts.

use serde::{Deserialize, Serialize};

use crate::{Result, Texts};

/// How bad it is when a finding passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth redacting.
    Medium,
    /// A secret or a person's data.
    High,
    /// Gives access to something at once.
    Critical,
}

/// Where a text was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stage {
    /// Training or evaluation data, before tokenizing.
    Ingest,
    /// A prompt.
    Prompt,
    /// Generated text.
    Output,
    /// A log line, an event or an error message.
    Log,
}

/// A rule that findings refer to by its place in [`Sanitizer::rules`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The rule's name (`aws-access-key-id`).
    pub id: String,
    /// What it finds (`secret`, `email-address`, …): policies are written on it.
    pub entity: String,
    /// How bad a finding is.
    pub severity: Severity,
    /// One line for people.
    pub description: String,
}

/// One place in one text. The value itself never crosses the border.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// First byte of the finding in its text, on a character's border.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Which text of the batch.
    pub text: u32,
    /// Which rule of [`Sanitizer::rules`].
    pub rule: u32,
    /// Between 0 and 1.
    pub confidence: f32,
}

/// Text to findings.
///
/// The host calls `scan` from several threads and treats the findings of all sanitizers alike: it resolves overlaps,
/// applies the policy and redacts. Findings are ordered by text and start, lie within their text, are not empty and
/// start and end on character borders; the host refuses others. A sanitizer must not keep what it read.
pub trait Sanitizer: Send + Sync {
    /// The rules, fixed at creation.
    ///
    /// # Errors
    /// When the rules cannot be listed.
    fn rules(&self) -> Result<Vec<Rule>>;

    /// No finding is longer than this many bytes: how much a streaming caller must hold back.
    fn max_span(&self) -> u32;

    /// Finds what the rules describe in every text.
    ///
    /// # Errors
    /// When a text cannot be scanned; the host then treats the text as the policy says, closed by default.
    fn scan(&self, texts: Texts<'_>, stage: Stage) -> Result<Vec<Finding>>;
}
