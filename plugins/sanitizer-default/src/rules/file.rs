//! The rule file on disk: gitleaks' TOML, with the keys that only we have marked.
//!
//! Unknown keys are errors: a misspelt `keyword` would otherwise quietly make a rule slow or blind. Every key that
//! gitleaks documents is known, those that do not concern texts (commits) included.

use codex_plugin_api::Severity;
use serde::Deserialize;
use toml::Spanned;

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Unused: for people.
    #[serde(default)]
    pub title: Option<String>,
    /// Unused: for people.
    #[serde(default)]
    pub description: Option<String>,
    /// The oldest gitleaks that reads the file; it says nothing to us.
    #[serde(default, rename = "minVersion")]
    pub min_version: Option<String>,
    /// Other rules that these add to.
    #[serde(default)]
    pub extend: Extend,
    /// The older spelling of one global allow-list.
    #[serde(default)]
    pub allowlist: Option<Spanned<AllowList>>,
    /// Global allow-lists.
    #[serde(default)]
    pub allowlists: Vec<Spanned<AllowList>>,
    /// The rules.
    #[serde(default)]
    pub rules: Vec<Spanned<RuleEntry>>,
}

/// Which rules a file adds to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    /// Start from the rules that come with this plugin.
    #[serde(default, rename = "useDefault")]
    pub use_default: bool,
    /// Start from another file, relative to the one that names it.
    #[serde(default)]
    pub path: Option<String>,
    /// Refused: nothing is downloaded.
    #[serde(default)]
    pub url: Option<String>,
    /// Rules of the extended file that are left out.
    #[serde(default, rename = "disabledRules")]
    pub disabled_rules: Vec<String>,
}

/// What an allow-list is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegexTarget {
    /// The finding.
    #[default]
    #[serde(alias = "")]
    Secret,
    /// All that the rule's regular expression matched.
    Match,
    /// The lines that the match lies in.
    Line,
}

/// How the conditions of an allow-list are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Condition {
    /// One is enough.
    #[default]
    #[serde(rename = "OR", alias = "or", alias = "||", alias = "")]
    Or,
    /// All that are given must hold.
    #[serde(rename = "AND", alias = "and", alias = "&&")]
    And,
}

/// What is no finding after all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowList {
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// How the conditions are joined.
    #[serde(default)]
    pub condition: Condition,
    /// Commits; texts have none, so they never hold.
    #[serde(default)]
    pub commits: Vec<String>,
    /// Regular expressions over the path.
    #[serde(default)]
    pub paths: Vec<String>,
    /// What `regexes` look at.
    #[serde(default, rename = "regexTarget")]
    pub regex_target: RegexTarget,
    /// Regular expressions over the target.
    #[serde(default)]
    pub regexes: Vec<String>,
    /// Words that a secret does not hold.
    #[serde(default, alias = "stopWords")]
    pub stopwords: Vec<String>,
    /// For a global list: only for these rules.
    #[serde(default, rename = "targetRules")]
    pub target_rules: Vec<String>,
}

/// Where a rule's regular expression is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// Around its keywords; everywhere when it has none.
    #[default]
    Keyword,
    /// At the beginning of every word that holds a digit, from border to border.
    Token,
}

/// One rule as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    /// Its name.
    pub id: String,
    /// One line for people.
    #[serde(default)]
    pub description: Option<String>,
    /// The regular expression, in Go's syntax.
    #[serde(default)]
    pub regex: Option<Spanned<String>>,
    /// Which group of it is the secret; the first that is not empty where nothing is said.
    #[serde(default, rename = "secretGroup")]
    pub secret_group: usize,
    /// The secret has more entropy than this (bits a character).
    #[serde(default)]
    pub entropy: Option<f64>,
    /// A regular expression that the path matches.
    #[serde(default)]
    pub path: Option<Spanned<String>>,
    /// One of these is in the text, in any case of letters.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Labels; kept for compatibility.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The older spelling of one allow-list.
    #[serde(default)]
    pub allowlist: Option<Spanned<AllowList>>,
    /// What this rule leaves alone.
    #[serde(default)]
    pub allowlists: Vec<Spanned<AllowList>>,
    /// gitleaks: the rule only serves others. Accepted; such a rule reports nothing.
    #[serde(default, rename = "skipReport")]
    pub skip_report: bool,

    /// Ours: the value alone, for secrets that only the name beside them gives away: a keyword within the name, an
    /// operator, then this. Instead of `regex`.
    #[serde(default)]
    pub assigned: Option<Spanned<String>>,
    /// Ours: where the regular expression is tried.
    #[serde(default)]
    pub at: At,
    /// Ours: what it finds; `secret` where nothing is said.
    #[serde(default)]
    pub entity: Option<String>,
    /// Ours: how bad a finding is; high where nothing is said.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Ours: how sure a match is, from 0 to 1, its validator having agreed; 0.9 where nothing is said.
    #[serde(default)]
    pub confidence: Option<f32>,
    /// Ours: the name of a check that a match usually passes.
    #[serde(default)]
    pub validator: Option<Spanned<String>>,
    /// Ours: what the confidence is multiplied with when the validator does not agree; 0.3 where nothing is said.
    #[serde(default)]
    pub invalid: Option<f32>,
    /// Ours: words (lower case) that make a match surer when they are near.
    #[serde(default)]
    pub context: Vec<String>,
    /// Ours: no match is longer than this many bytes.
    #[serde(default)]
    pub max_len: Option<usize>,
    /// Ours: texts in which it must find something.
    #[serde(default)]
    pub examples: Vec<String>,
    /// Ours: texts in which it must find nothing with a confidence of a half or more.
    #[serde(default)]
    pub negative_examples: Vec<String>,
}
