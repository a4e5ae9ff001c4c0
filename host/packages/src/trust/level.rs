//! How much is known about who made a plugin.

use std::fmt;
use std::str::FromStr;

use codex_plugin_api::Error;
use serde::{Deserialize, Serialize};

/// Who vouches for a plugin; a later one says more than an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// A file of this machine: whoever put it there.
    Local,
    /// Its author, by a key that was pinned at first use or is named in a policy.
    PinnedKey,
    /// The registry that it came from, by its root key.
    RegistrySigned,
    /// Whoever built this codex-ml: it lies beside the executable.
    BuiltIn,
}

impl Level {
    /// The level's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::PinnedKey => "pinned-key",
            Self::RegistrySigned => "registry-signed",
            Self::BuiltIn => "built-in",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        [
            Self::Local,
            Self::PinnedKey,
            Self::RegistrySigned,
            Self::BuiltIn,
        ]
        .into_iter()
        .find(|level| level.as_str() == word)
        .ok_or_else(|| {
            Error::config(format!("there is no trust level {word:?}"))
                .hint("the levels are local, pinned-key, registry-signed and built-in")
        })
    }
}
