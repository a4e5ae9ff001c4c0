//! Allow-lists: findings that are known and may pass.

use glob::{MatchOptions, Pattern};
use regex::Regex;

use super::{Scope, Subject};

/// A finding is allowed by an entry when it meets every key that the entry has, and of each key any value.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    pub(super) scope: Scope,
    pub(super) literals: Vec<String>,
    pub(super) regexes: Vec<Regex>,
    /// In lower case.
    pub(super) stop_words: Vec<String>,
    pub(super) paths: Vec<Pattern>,
}

impl Allowance {
    pub(super) fn allows(&self, subject: &Subject<'_>) -> bool {
        self.scope.fits(subject)
            && (self.literals.is_empty() || self.literals.iter().any(|text| text == subject.value))
            && (self.regexes.is_empty()
                || self
                    .regexes
                    .iter()
                    .any(|regex| regex.is_match(subject.value)))
            && (self.stop_words.is_empty() || has_word(subject.value, &self.stop_words))
            && (self.paths.is_empty()
                || subject
                    .path
                    .is_some_and(|path| self.paths.iter().any(|glob| covers(glob, path))))
    }
}

fn has_word(value: &str, stop_words: &[String]) -> bool {
    let value = value.to_lowercase();
    stop_words.iter().any(|word| value.contains(word))
}

/// A glob that begins with `/` is about the whole path; any other may begin at any folder, because the same file is
/// called by different paths from different places.
fn covers(glob: &Pattern, path: &str) -> bool {
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };
    let path = path.replace('\\', "/");
    let path = path.strip_prefix("./").unwrap_or(&path);
    glob.matches_with(path, options)
        || (!glob.as_str().starts_with('/')
            && path
                .match_indices('/')
                .any(|(at, _)| glob.matches_with(&path[at + 1..], options)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn globs_of_paths() {
        for (glob, path, covered) in [
            ("tests/**", "tests/data/a.txt", true),
            ("tests/**", "/home/me/project/tests/a.txt", true),
            ("tests/**", "contests/a.txt", false),
            ("/tests/**", "sub/tests/a.txt", false),
            ("*.md", "docs/a.md", true),
            ("docs/*.md", "docs/deep/a.md", false),
            ("docs/**/*.md", ".\\docs\\deep\\a.md", true),
            (".env", "app/.env", true),
        ] {
            let pattern = Pattern::new(glob).unwrap();
            assert_eq!(covers(&pattern, path), covered, "{glob} {path}");
        }
    }
}
