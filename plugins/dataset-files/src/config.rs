//! What the dataset `files` can be told.

use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::{Deserialize, Serialize};

/// The configuration of the dataset `files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
pub struct Config {
    /// A file, a folder (all files in it, by name, without hidden ones), or a list of both.
    pub path: Paths,
    /// How to read the files.
    #[serde(default)]
    pub format: Format,
    /// The column that holds the text; its values become text whatever they are.
    #[serde(default)]
    pub text_column: Option<String>,
    /// Only these columns of a table; all when empty.
    #[serde(default)]
    pub columns: Vec<String>,
    /// What a row of plain text is.
    #[serde(default)]
    pub document: Document,
    /// `auto` (UTF-8, UTF-16 by its mark, else UTF-8 with what is broken replaced and a warning), `utf-8` (strict), or the
    /// name of an encoding of the web such as `utf-16le`, `windows-1252`, `shift_jis`.
    #[serde(default = "auto")]
    pub encoding: String,
    /// The character between the values of a CSV file; guessed from its first line when absent.
    #[serde(default)]
    pub delimiter: Option<String>,
}

fn auto() -> String {
    "auto".into()
}

impl Config {
    /// The defaults for one path.
    pub fn of(path: impl Into<String>) -> Self {
        Self {
            path: Paths::One(path.into()),
            format: Format::Auto,
            text_column: None,
            columns: Vec::new(),
            document: Document::Paragraph,
            encoding: auto(),
            delimiter: None,
        }
    }
}

/// One path or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", untagged)]
#[schemars(crate = "codex_plugin_api::schemars")]
pub enum Paths {
    /// A file or folder.
    One(String),
    /// Files and folders, read in this order.
    Many(Vec<String>),
}

impl Paths {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

/// A file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", rename_all = "kebab-case")]
#[schemars(crate = "codex_plugin_api::schemars")]
pub enum Format {
    /// By the file's extension; text where it says nothing.
    #[default]
    Auto,
    /// Plain text.
    Text,
    /// JSON objects, one a line or in an array.
    Jsonl,
    /// Comma, tab or otherwise separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// What a row of plain text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", rename_all = "kebab-case")]
#[schemars(crate = "codex_plugin_api::schemars")]
pub enum Document {
    /// Lines up to a blank one; what is over 8 KiB is cut at a line, space or character.
    #[default]
    Paragraph,
    /// Each line that is not blank, cut like a paragraph.
    Line,
    /// The whole file, uncut, up to 1 GiB.
    File,
}
