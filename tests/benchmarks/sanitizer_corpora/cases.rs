//! Case files, and shares of them.

use std::fmt;
use std::path::Path;

use codex_plugin_api::serde::Deserialize;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(crate = "codex_plugin_api::serde")]
pub(crate) struct Case {
    pub(crate) text: String,
    /// The other project's rule, whose test this is.
    pub(crate) rule: Option<String>,
    /// `tp` when the rule finds something, `fp` when it must not.
    pub(crate) kind: Option<String>,
    /// Bytes of what is found.
    pub(crate) spans: Option<Vec<(usize, usize)>>,
    pub(crate) path: Option<String>,
    /// Entities that are looked for.
    pub(crate) entities: Option<Vec<String>>,
    /// How many there are.
    pub(crate) expected: Option<usize>,
    /// Characters of what is found.
    pub(crate) spans_chars: Option<Vec<(usize, usize)>>,
}

impl Case {
    /// What the case is about.
    pub(crate) fn name(&self) -> String {
        match (&self.rule, &self.entities) {
            (Some(rule), _) => rule.clone(),
            (None, Some(entities)) => entities.join(", "),
            (None, None) => String::new(),
        }
    }

    /// Whether nothing must be found.
    pub(crate) fn is_negative(&self) -> bool {
        self.kind.as_deref() == Some("fp") || self.expected == Some(0)
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<Case>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            codex_plugin_api::serde_json::from_str(line)
                .map_err(|error| format!("{} line {}: {error}", path.display(), number + 1))
        })
        .collect()
}

/// So many of so many.
#[derive(Clone, Copy, Default)]
pub(crate) struct Share {
    pub(crate) part: usize,
    pub(crate) whole: usize,
}

impl Share {
    pub(crate) fn count(&mut self, part: usize, whole: usize) {
        self.part += part;
        self.whole += whole;
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.part as f64 / self.whole.max(1) as f64;
        write!(f, "{}/{} ({percent:.1} %)", self.part, self.whole)
    }
}
