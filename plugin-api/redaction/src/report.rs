//! What is told about findings: where they are and what was done, never what they say.

mod baseline;
mod counts;
mod sarif;

use codex_plugin_api::Severity;
use serde::{Deserialize, Serialize};

use crate::Action;
pub use baseline::Baseline;
pub use counts::{Count, Counts};
pub use sarif::sarif;

/// One finding as `--json`, NDJSON and SARIF show it. Places are those of the text that was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedFinding {
    /// The file, where the text has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// From 1; lines end with `\n`.
    pub line: u64,
    /// From 1, in characters (Unicode scalar values).
    pub column: u64,
    /// The line of the first character behind it.
    pub end_line: u64,
    /// The column of the first character behind it.
    pub end_column: u64,
    /// The JSON Pointer of the value (`/messages/0/content`), or `/row/column` of a CSV field, both from 0. Of
    /// NDJSON, within the line. Of a key, that of its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The plugin whose sanitizer found it.
    pub plugin: String,
    /// The rule's name.
    pub rule: String,
    /// What was found.
    pub entity: String,
    /// How bad it is.
    pub severity: Severity,
    /// Between 0 and 1.
    pub confidence: f32,
    /// First byte of it.
    pub byte_start: u64,
    /// One past the last byte.
    pub byte_end: u64,
    /// What the policy does with it.
    pub action: Action,
    /// HMAC-SHA256 of the value under a key of the caller's: equal for equal values, and no way back.
    pub value_hmac: String,
}
