//! Why a candidate is not used: the gate at which it was stopped, the reason, and what mends it.

use std::fmt;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// The gates, in the order in which a candidate passes them. Up to [`Step::Trust`] no code of the plugin has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The file can be read and is a whole library.
    Read,
    /// It carries a plugin's stamp.
    Stamp,
    /// Its manifest is right, and the same as the one beside it.
    Manifest,
    /// It was built for an interface that this host has.
    Api,
    /// It was built for this system and processor.
    Target,
    /// Its names are free.
    Name,
    /// The user and the machine's policies accept it, and its file is what was installed.
    Trust,
    /// The system's loader opens it.
    Load,
    /// Its tables are laid out as this host expects.
    Layout,
    /// It offers what its manifest declares.
    Components,
}

impl Step {
    /// The step's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Stamp => "stamp",
            Self::Manifest => "manifest",
            Self::Api => "api",
            Self::Target => "target",
            Self::Name => "name",
            Self::Trust => "trust",
            Self::Load => "load",
            Self::Layout => "layout",
            Self::Components => "components",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Longest line of a stranger's text that is passed on.
const LONGEST: usize = 8 << 10;

/// One line without control characters: a stranger's text must not move the cursor.
pub(super) fn printable(text: &str) -> String {
    let line = text.trim_end().chars().map(|c| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    });
    let mut line: String = line.collect();
    if line.len() > LONGEST {
        let mut end = LONGEST;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('…');
    }
    line
}

/// A refused candidate: a row of `plugin doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The file or folder.
    pub path: PathBuf,
    /// Where it was stopped.
    pub step: Step,
    /// Why, in one line.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
    /// What lies behind the reason, for `-v`; hundreds of lines when layouts differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

impl Refusal {
    /// A refusal of the candidate at `path`. Both texts may quote its file, so both are made one harmless line.
    pub fn new(
        path: &Path,
        step: Step,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            step,
            reason: printable(&reason.into()),
            hint: printable(&hint.into()),
            causes: Vec::new(),
        }
    }

    /// The same refusal with what lies behind it.
    #[must_use]
    pub fn because(mut self, causes: &[String]) -> Self {
        self.causes = causes.to_vec();
        self
    }

    /// The refusal that an error means; `hint` where the error brings none.
    pub fn from_error(path: &Path, step: Step, error: &Error, hint: &str) -> Self {
        let mut reason = error.message().to_owned();
        if let Some(cause) = error.causes().last()
            && !reason.contains(cause.as_str())
        {
            reason = format!("{reason}: {cause}");
        }
        Self::new(path, step, reason, error.hint_text().unwrap_or(hint))
    }

    /// The refusal as an error, for who needs just this plugin.
    pub fn to_error(&self) -> Error {
        let message = format!(
            "plugin {} is refused at step {}: {}",
            self.path.display(),
            self.step,
            self.reason
        );
        Error::new(ErrorKind::Plugin, message)
            .hint(self.hint.clone())
            .with_causes(self.causes.iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_says_is_one_harmless_line() {
        assert_eq!(printable("a\nb\u{1b}[31mc\t"), "a b\u{fffd}[31mc");
        assert_eq!(
            printable(&"č".repeat(10_000)).len(),
            LONGEST + '…'.len_utf8()
        );
    }
}
