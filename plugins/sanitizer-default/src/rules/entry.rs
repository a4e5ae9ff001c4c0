//! One rule of a file, checked, over what the file that it extends said of it.

use codex_plugin_api::{Error, Result, Severity};
use toml::Spanned;

use super::allow::Allow;
use super::file::{AllowList, At, RuleEntry};
use super::load::Source;
use super::pattern::{Pattern, parse};
use super::rule::{DEFAULT_MAX_LEN, FOREIGN_MAX_LEN, Place, Rule};
use crate::check::{self, Validator};

const SYNTAX_HINT: &str = "the syntax is Go's (RE2): no look-around, no back-references";

pub(super) fn allow_list(
    source: &Source<'_>,
    rule: &str,
    list: &Spanned<AllowList>,
) -> Result<Allow> {
    let allow = Allow::from(list.get_ref());
    if source.foreign {
        for (key, pattern) in allow.patterns() {
            parse(pattern.source()).map_err(|reason| {
                source
                    .wrong(
                        list.span().start,
                        rule,
                        &format!("allowlists.{key}"),
                        &format!("{:?}: {reason}", pattern.source()),
                    )
                    .hint(SYNTAX_HINT)
            })?;
        }
    }
    Ok(allow)
}

/// The expression around a value that only the name beside it gives away.
fn assigned(value: &str, keywords: &[String]) -> String {
    let mut names = Vec::new();
    for word in keywords {
        let escaped = regex_syntax::escape(word);
        // A short word may be part of another one; a word of its own has one case, or begins a hump.
        if word.len() <= 6 && word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            let (upper, first) = (word.to_uppercase(), word[..1].to_uppercase());
            let capital = format!("{first}{}", &word[1..]);
            names.push(format!(r"(?:\b|[\d_])(?:{word}|{upper}|{capital})"));
            names.push(format!("[a-z]{capital}"));
        } else {
            names.push(format!("(?i:{escaped})"));
        }
    }
    format!(
        r#"(?:{})[ \t\w.\-]{{0,40}}[\s'"\x60\])\\]{{0,4}}(?:=|>|:{{1,3}}=|\|\||:|=>|\?=|,)[\x60'"\s=@\\(]{{0,8}}({value})(?:[^\w+/=\-]|$)"#,
        names.join("|")
    )
}

/// A rule as it is written, and where.
pub(super) struct Entry<'a> {
    pub(super) source: &'a Source<'a>,
    /// Where in the file.
    pub(super) at: usize,
    pub(super) written: &'a RuleEntry,
    /// The rule of the same id in the file that this one extends.
    pub(super) base: Option<&'a Rule>,
}

/// An expression, and where it stands.
struct Expression {
    at: usize,
    key: &'static str,
    regex: String,
}

impl Entry<'_> {
    /// The rule, ready but for its compilation.
    pub(super) fn read(&self) -> Result<Rule> {
        let (written, base) = (self.written, self.base);
        if written.id.is_empty() {
            return Err(self
                .wrong(self.at, "id", "it is empty")
                .hint("give the rule a name"));
        }
        let keywords = self.keywords();
        let expression = self.expression(&keywords)?;
        let longest = self.longest(expression.as_ref())?;
        let path = self.path()?;
        // Where the expression is the base's, it is also tried as the base's is.
        let inherited = base.filter(|_| expression.is_none());
        let place = match (inherited, written.at, &expression, &path) {
            (Some(base), ..) => base.place,
            (None, At::Token, ..) => Place::Token,
            (None, At::Keyword, None, None) => Place::Finder,
            _ => Place::Keyword,
        };
        let regex = expression.map(|expression| expression.regex).or_else(|| {
            let pattern = inherited?.pattern.as_ref()?;
            Some(pattern.source().to_owned())
        });
        Ok(Rule {
            id: written.id.clone(),
            description: self.text(written.description.as_ref(), |base| &base.description, ""),
            entity: self.text(written.entity.as_ref(), |base| &base.entity, "secret"),
            severity: written
                .severity
                .or(base.map(|base| base.severity))
                .unwrap_or(Severity::High),
            confidence: self.confidence()?,
            invalid: written
                .invalid
                .or(base.map(|base| base.invalid))
                .unwrap_or(0.3)
                .clamp(0.0, 1.0),
            validator: self.validator()?.or(base.and_then(|base| base.validator)),
            context: match base {
                Some(base) if written.context.is_empty() => base.context.clone(),
                _ => written.context.clone(),
            },
            pattern: regex.map(|regex| match place {
                Place::Token => Pattern::to_word_end(regex),
                _ => Pattern::new(regex, &keywords),
            }),
            secret_group: match (written.secret_group, base) {
                (0, Some(base)) => base.secret_group,
                (group, _) => group,
            },
            entropy: written
                .entropy
                .or(base.map(|base| base.entropy))
                .unwrap_or(0.0),
            keywords,
            path,
            allow: self.allow()?,
            place,
            max_len: self.max_len(longest),
            silent: written.skip_report,
            assigned: written.assigned.is_some() || inherited.is_some_and(|base| base.assigned),
            foreign: self.source.foreign && inherited.is_none_or(|base| base.foreign),
            examples: written.examples.clone(),
            negative_examples: written.negative_examples.clone(),
        })
    }

    fn wrong(&self, at: usize, key: &str, reason: &str) -> Error {
        self.source.wrong(at, &self.written.id, key, reason)
    }

    fn text(&self, own: Option<&String>, of: fn(&Rule) -> &String, otherwise: &str) -> String {
        own.or(self.base.map(of))
            .map_or_else(|| otherwise.to_owned(), Clone::clone)
    }

    /// In lower case, those of the base as well.
    fn keywords(&self) -> Vec<String> {
        let mut keywords: Vec<String> = self
            .written
            .keywords
            .iter()
            .map(|word| word.to_lowercase())
            .collect();
        keywords.extend(self.base.iter().flat_map(|base| base.keywords.clone()));
        keywords
    }

    /// What the entry itself says is looked for.
    fn expression(&self, keywords: &[String]) -> Result<Option<Expression>> {
        let written = self.written;
        let (given, key) = match (&written.regex, &written.assigned) {
            (Some(_), Some(both)) => {
                return Err(self
                    .wrong(
                        both.span().start,
                        "assigned",
                        "the rule has a regex as well",
                    )
                    .hint("keep one of the two"));
            }
            (Some(regex), None) => (regex, "regex"),
            (None, Some(value)) => (value, "assigned"),
            (None, None) => {
                let complete =
                    written.path.is_some() || self.base.is_some() || !self.source.foreign;
                if complete {
                    return Ok(None);
                }
                return Err(self
                    .wrong(self.at, "regex", "it is missing")
                    .hint("a rule needs a regex, a path, or both"));
            }
        };
        let text = given.get_ref();
        Ok(Some(Expression {
            at: given.span().start,
            key,
            regex: match key {
                "assigned" => assigned(text, keywords),
                _ => text.clone(),
            },
        }))
    }

    /// Checks the expression of a user's rule; how long its matches can be, where there is a bound.
    fn longest(&self, expression: Option<&Expression>) -> Result<Option<usize>> {
        let Some(Expression { at, key, regex }) = expression.filter(|_| self.source.foreign) else {
            return Ok(self.base.map(|base| base.max_len));
        };
        let hir = parse(regex).map_err(|reason| self.wrong(*at, key, &reason).hint(SYNTAX_HINT))?;
        Ok(hir.properties().maximum_len())
    }

    fn path(&self) -> Result<Option<Pattern>> {
        let Some(path) = &self.written.path else {
            return Ok(None);
        };
        if self.source.foreign {
            parse(path.get_ref()).map_err(|reason| {
                self.wrong(path.span().start, "path", &reason)
                    .hint(SYNTAX_HINT)
            })?;
        }
        Ok(Some(Pattern::new(path.get_ref().clone(), &[])))
    }

    fn validator(&self) -> Result<Option<Validator>> {
        let Some(name) = &self.written.validator else {
            return Ok(None);
        };
        if let Some(validator) = check::validator(name.get_ref()) {
            return Ok(Some(validator));
        }
        let names = check::names().collect::<Vec<_>>().join(", ");
        let reason = format!("{:?} is no validator", name.get_ref());
        Err(self
            .wrong(name.span().start, "validator", &reason)
            .hint(format!("there are {names}")))
    }

    fn confidence(&self) -> Result<f32> {
        let base = self.base.map(|base| base.confidence);
        let confidence = self.written.confidence.or(base).unwrap_or(0.9);
        if (0.0..=1.0).contains(&confidence) {
            return Ok(confidence);
        }
        let reason = format!("{confidence} is not between 0 and 1");
        Err(self.wrong(self.at, "confidence", &reason).hint("write 0.9"))
    }

    fn allow(&self) -> Result<Vec<Allow>> {
        let lists = self.written.allowlist.iter();
        lists
            .chain(&self.written.allowlists)
            .map(|list| allow_list(self.source, &self.written.id, list))
            .collect()
    }

    fn max_len(&self, longest: Option<usize>) -> usize {
        match (self.written.max_len, self.source.foreign) {
            (Some(len), _) => len.max(1),
            (None, true) => longest.unwrap_or(FOREIGN_MAX_LEN).clamp(1, FOREIGN_MAX_LEN),
            (None, false) => DEFAULT_MAX_LEN,
        }
    }
}
