//! Allow-lists: what is no finding after all. The meaning is gitleaks'.

use memchr::memmem;

use super::file::{AllowList, Condition, RegexTarget};
use super::pattern::Pattern;

/// What an allow-list looks at.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The finding.
    pub secret: &'a [u8],
    /// All that the regular expression matched.
    pub matched: &'a [u8],
    /// The lines that the match lies in.
    pub line: &'a [u8],
    /// Where the text is from.
    pub path: Option<&'a str>,
}

/// An allow-list that is ready.
#[derive(Debug)]
pub struct Allow {
    condition: Condition,
    target: RegexTarget,
    regexes: Vec<Pattern>,
    paths: Vec<Pattern>,
    stopwords: Vec<Vec<u8>>,
    has_commits: bool,
    /// For a global list: the rules it is for; all when empty.
    pub rules: Vec<String>,
}

impl From<&AllowList> for Allow {
    fn from(list: &AllowList) -> Self {
        let patterns = |sources: &[String]| {
            sources
                .iter()
                .map(|source| Pattern::new(source, &[]))
                .collect()
        };
        Self {
            condition: list.condition,
            target: list.regex_target,
            regexes: patterns(&list.regexes),
            paths: patterns(&list.paths),
            stopwords: list
                .stopwords
                .iter()
                .map(|word| word.to_lowercase().into_bytes())
                .collect(),
            has_commits: !list.commits.is_empty(),
            rules: list.target_rules.clone(),
        }
    }
}

impl Allow {
    /// Its expressions, with the key that each stands under.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&'static str, &Pattern)> {
        self.regexes
            .iter()
            .map(|pattern| ("regexes", pattern))
            .chain(self.paths.iter().map(|pattern| ("paths", pattern)))
    }

    /// Whether a whole text is left alone because of its path.
    pub fn allows_path(&self, path: Option<&str>) -> Result<bool, String> {
        Ok(self.condition == Condition::Or && self.path_matches(path)?)
    }

    /// Whether a finding is left alone.
    pub fn allows(&self, candidate: Candidate<'_>) -> Result<bool, String> {
        let target = match self.target {
            RegexTarget::Secret => candidate.secret,
            RegexTarget::Match => candidate.matched,
            RegexTarget::Line => candidate.line,
        };
        if self.condition == Condition::Or {
            return Ok(any(&self.regexes, target)? || self.has_stopword(candidate.secret));
        }
        let given = !self.regexes.is_empty()
            || !self.stopwords.is_empty()
            || !self.paths.is_empty()
            || self.has_commits;
        Ok(given
            && !self.has_commits
            && (self.regexes.is_empty() || any(&self.regexes, target)?)
            && (self.stopwords.is_empty() || self.has_stopword(candidate.secret))
            && (self.paths.is_empty() || self.path_matches(candidate.path)?))
    }

    fn path_matches(&self, path: Option<&str>) -> Result<bool, String> {
        path.map_or(Ok(false), |path| any(&self.paths, path.as_bytes()))
    }

    fn has_stopword(&self, secret: &[u8]) -> bool {
        if self.stopwords.is_empty() {
            return false;
        }
        let lower = secret.to_ascii_lowercase();
        self.stopwords
            .iter()
            .any(|word| memmem::find(&lower, word).is_some())
    }
}

fn any(patterns: &[Pattern], text: &[u8]) -> Result<bool, String> {
    for pattern in patterns {
        if pattern.is_match(text)? {
            return Ok(true);
        }
    }
    Ok(false)
}
