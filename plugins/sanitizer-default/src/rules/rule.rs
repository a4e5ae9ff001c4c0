//! A rule that is ready to be tried.

use codex_plugin_api::Severity;

use super::allow::Allow;
use super::pattern::Pattern;
use crate::check::Validator;

/// No match of a rule of our own is longer, where its file does not say otherwise.
pub const DEFAULT_MAX_LEN: usize = 512;
/// Findings of a stranger's rule whose expression has no bound are cut into pieces of this many bytes.
pub const FOREIGN_MAX_LEN: usize = 16 << 10;

/// Where a rule is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Around its keywords, or everywhere when it has none.
    Keyword,
    /// At words that hold a digit.
    Token,
    /// Nowhere: a finder written by hand reports under this rule's name.
    Finder,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// What it finds.
    pub entity: String,
    /// How bad a finding is.
    pub severity: Severity,
    /// How sure a match is.
    pub confidence: f32,
    /// What to multiply with when the validator does not agree.
    pub invalid: f32,
    /// The check that a match usually passes.
    pub validator: Option<Validator>,
    /// Words that make a match surer.
    pub context: Vec<String>,
    /// The expression; nothing for a rule that only looks at paths or belongs to a finder.
    pub pattern: Option<Pattern>,
    /// Which group is the secret; 0 for the first that is not empty.
    pub secret_group: usize,
    /// More entropy than this, or 0 for any.
    pub entropy: f64,
    /// Words of which one is in the text, in lower case.
    pub keywords: Vec<String>,
    /// What the path must match.
    pub path: Option<Pattern>,
    /// What is left alone.
    pub allow: Vec<Allow>,
    /// Where it is tried.
    pub place: Place,
    /// No finding is longer.
    pub max_len: usize,
    /// Only a name beside it gives the secret away, which then has a digit at least.
    pub assigned: bool,
    /// Whether it finds nothing by itself.
    pub silent: bool,
    /// Whether it came from a file of the user, and so behaves as gitleaks does to the letter.
    pub foreign: bool,
    /// Texts in which it finds something.
    pub examples: Vec<String>,
    /// Texts in which it finds nothing sure.
    pub negative_examples: Vec<String>,
}

impl Rule {
    /// The expression of this rule alone, to be tried on a text that was made readable first.
    pub(crate) fn phrase(&self) -> Self {
        Self {
            id: self.id.clone(),
            description: String::new(),
            entity: self.entity.clone(),
            severity: self.severity,
            confidence: self.confidence,
            invalid: self.invalid,
            validator: self.validator,
            context: self.context.clone(),
            pattern: self
                .pattern
                .as_ref()
                .map(|pattern| Pattern::new(pattern.source(), &self.keywords)),
            secret_group: self.secret_group,
            entropy: self.entropy,
            keywords: self.keywords.clone(),
            path: None,
            allow: Vec::new(),
            place: self.place,
            max_len: self.max_len,
            assigned: self.assigned,
            silent: self.silent,
            foreign: self.foreign,
            examples: Vec::new(),
            negative_examples: Vec::new(),
        }
    }

    /// Whether a more specific finding in the same place makes this one needless.
    pub fn is_generic(&self) -> bool {
        self.id.to_lowercase().contains("generic")
    }
}
