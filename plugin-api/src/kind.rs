//! The eight kinds of component.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// What a component is. The word is the same in the trait, the manifest, the command line and the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Text to ids and back: [`crate::Tokenizer`].
    Tokenizer,
    /// Learns, scores, embeds and generates: [`crate::Model`].
    Model,
    /// Named columns of rows: [`crate::Dataset`].
    Dataset,
    /// Turns predictions into named scores: [`crate::Metric`].
    Metric,
    /// Receives run events: [`crate::Tracker`].
    Tracker,
    /// Finds what must not pass: [`crate::Sanitizer`].
    Sanitizer,
    /// Adds operations to a model's sites: [`crate::Adapter`].
    Adapter,
    /// A subcommand of the host: [`crate::Command`].
    Command,
}

impl Kind {
    /// Every kind, in the order in which they are listed to users.
    pub const ALL: [Self; 8] = [
        Self::Tokenizer,
        Self::Model,
        Self::Dataset,
        Self::Metric,
        Self::Tracker,
        Self::Sanitizer,
        Self::Adapter,
        Self::Command,
    ];

    /// The kind's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokenizer => "tokenizer",
            Self::Model => "model",
            Self::Dataset => "dataset",
            Self::Metric => "metric",
            Self::Tracker => "tracker",
            Self::Sanitizer => "sanitizer",
            Self::Adapter => "adapter",
            Self::Command => "command",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| {
                let known: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
                Error::config(format!("no plugin kind is called {word:?}"))
                    .hint(format!("use one of {}", known.join(", ")))
            })
    }
}
