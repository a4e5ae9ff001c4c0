//! Why a candidate is not used: the gate at which it was stopped, the reason, and what mends it.

use std::fmt;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// The gates, in the order in which a candidate passes them. Up to [`Step::Name`] no code of the plugin has run.
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
    /// A refusal of the candidate at `path`.
    pub fn new(
        path: &Path,
        step: Step,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            step,
            reason: reason.into(),
            hint: hint.into(),
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
