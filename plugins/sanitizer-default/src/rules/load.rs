//! From files to rules: `extend` is followed, every mistake is named with its file, line, rule and key.

use std::fs;
use std::path::Path;

use codex_plugin_api::{Error, Result, Severity};
use toml::Spanned;

use super::allow::Allow;
use super::builtin;
use super::file::{AllowList, At, File, RuleEntry};
use super::pattern::{Pattern, parse};
use super::rule::{DEFAULT_MAX_LEN, FOREIGN_MAX_LEN, Place, Rule};
use crate::check;

/// Files may extend files; this many times, as gitleaks has it.
const MOST_EXTENSIONS: usize = 2;

/// Rules, and what all of them leave alone.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// The rules, each name once.
    pub rules: Vec<Rule>,
    /// The global allow-lists.
    pub allow: Vec<Allow>,
}

/// Where a text of rules is from, for error messages.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
    /// A file of the user's, which is checked at once; ours is checked by its tests.
    foreign: bool,
}

impl Source<'_> {
    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        before.split(|&byte| byte == b'\n').count()
    }

    fn wrong(&self, at: usize, rule: &str, key: &str, reason: &str) -> Error {
        let (name, line) = (self.name, self.line(at));
        let place = if rule.is_empty() {
            format!("{name} line {line}, key {key:?}")
        } else {
            format!("{name} line {line}, rule {rule:?}, key {key:?}")
        };
        Error::config(format!("{place}: {reason}"))
    }
}

/// Reads a rule file of the user's.
///
/// # Errors
/// When a file cannot be read or is wrong; the message names file, line, rule and key.
pub fn from_path(path: &Path) -> Result<RuleSet> {
    read(path, 0)
}

fn read(path: &Path, depth: usize) -> Result<RuleSet> {
    let text = fs::read_to_string(path).map_err(|error| {
        Error::config(format!("cannot read rule file {}", path.display()))
            .because(&error)
            .hint("`rules` takes paths of TOML files in gitleaks' format")
    })?;
    let name = path.display().to_string();
    let source = Source {
        name: &name,
        text: &text,
        foreign: true,
    };
    load(&source, path.parent().unwrap_or(Path::new(".")), depth)
}

/// Reads rules from memory: those of this plugin, and tests.
///
/// # Errors
/// As [`from_path`].
pub fn from_text(name: &str, text: &str, foreign: bool) -> Result<RuleSet> {
    let source = Source {
        name,
        text,
        foreign,
    };
    load(&source, Path::new("."), 0)
}

fn load(source: &Source<'_>, folder: &Path, depth: usize) -> Result<RuleSet> {
    let file: File = toml::from_str(source.text).map_err(|error| syntax_error(source, &error))?;
    let mut set = extended(source, &file, folder, depth)?;
    for list in file.allowlist.iter().chain(&file.allowlists) {
        set.allow.push(allow_list(source, "", list)?);
    }
    for entry in &file.rules {
        let at = entry.span().start;
        let entry = entry.get_ref();
        let known = set.rules.iter().position(|rule| rule.id == entry.id);
        let rule = rule(source, at, entry, known.map(|place| &set.rules[place]))?;
        match known {
            Some(place)
                if depth < MOST_EXTENSIONS
                    && (file.extend.use_default || file.extend.path.is_some()) =>
            {
                let old = std::mem::replace(&mut set.rules[place], rule);
                set.rules[place].allow.extend(old.allow);
            }
            Some(_) => {
                return Err(source
                    .wrong(at, &entry.id, "id", "another rule has the same id")
                    .hint("give each rule an id of its own"));
            }
            None => set.rules.push(rule),
        }
    }
    Ok(set)
}

/// What the file adds to.
fn extended(source: &Source<'_>, file: &File, folder: &Path, depth: usize) -> Result<RuleSet> {
    let extend = &file.extend;
    if let Some(url) = &extend.url {
        return Err(source
            .wrong(
                source.text.find(url.as_str()).unwrap_or(0),
                "",
                "extend.url",
                "rules are not downloaded",
            )
            .hint("fetch the file yourself and name it with extend.path"));
    }
    let mut set = match &extend.path {
        Some(_) if depth >= MOST_EXTENSIONS => {
            return Err(source
                .wrong(0, "", "extend.path", "files extend files more than twice")
                .hint("put the rules into fewer files"));
        }
        Some(path) => read(&folder.join(path), depth + 1)?,
        None if extend.use_default => builtin::load()?,
        None => RuleSet::default(),
    };
    set.rules
        .retain(|rule| !extend.disabled_rules.contains(&rule.id));
    Ok(set)
}

fn syntax_error(source: &Source<'_>, error: &toml::de::Error) -> Error {
    let line = source.line(error.span().map_or(0, |span| span.start));
    let message = error
        .message()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    Error::config(format!("{} line {line}: {message}", source.name))
        .hint("rules are written as gitleaks has them, with the keys that docs/sanitizers.md lists")
}

fn allow_list(source: &Source<'_>, rule: &str, list: &Spanned<AllowList>) -> Result<Allow> {
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
                    .hint("the syntax is Go's (RE2): no look-around, no back-references")
            })?;
        }
    }
    Ok(allow)
}

/// The expression around a value that only the name beside it gives away.
fn assigned(value: &str, keywords: &[String]) -> String {
    let words: Vec<String> = keywords
        .iter()
        .map(|word| regex_syntax::escape(word))
        .collect();
    format!(
        r#"(?i:{})[ \t\w.\-]{{0,40}}[\s'"\x60\])\\]{{0,4}}(?:=|>|:{{1,3}}=|\|\||:|=>|\?=|,)[\x60'"\s=@\\(]{{0,8}}({value})(?:[^\w+/=\-]|$)"#,
        words.join("|")
    )
}

/// One rule, over what an extended file said of it.
fn rule(source: &Source<'_>, at: usize, entry: &RuleEntry, base: Option<&Rule>) -> Result<Rule> {
    let wrong = |at: usize, key: &str, reason: &str| source.wrong(at, &entry.id, key, reason);
    if entry.id.is_empty() {
        return Err(wrong(at, "id", "it is empty").hint("give the rule a name"));
    }
    let mut keywords: Vec<String> = entry
        .keywords
        .iter()
        .map(|word| word.to_lowercase())
        .collect();
    keywords.extend(base.iter().flat_map(|base| base.keywords.iter().cloned()));
    let written = match (&entry.regex, &entry.assigned) {
        (Some(_), Some(both)) => {
            return Err(wrong(
                both.span().start,
                "assigned",
                "the rule has a regex as well",
            )
            .hint("keep one of the two"));
        }
        (Some(regex), None) => Some((regex.span().start, "regex", regex.get_ref().clone())),
        (None, Some(value)) => Some((
            value.span().start,
            "assigned",
            assigned(value.get_ref(), &keywords),
        )),
        (None, None) => base
            .and_then(|base| base.pattern.as_ref())
            .map(|pattern| (at, "regex", pattern.source().to_owned())),
    };
    if written.is_none() && entry.path.is_none() && entry.at == At::Keyword && source.foreign {
        return Err(
            wrong(at, "regex", "it is missing").hint("a rule needs a regex, a path, or both")
        );
    }
    let mut longest = None;
    if let Some((at, key, regex)) = written.as_ref().filter(|_| source.foreign) {
        let hir = parse(regex).map_err(|reason| {
            wrong(*at, key, &reason)
                .hint("the syntax is Go's (RE2): no look-around, no back-references")
        })?;
        longest = hir.properties().maximum_len();
    }
    if let Some(path) = entry.path.as_ref().filter(|_| source.foreign) {
        parse(path.get_ref()).map_err(|reason| {
            wrong(path.span().start, "path", &reason).hint("the syntax is Go's (RE2)")
        })?;
    }
    let validator = entry
        .validator
        .as_ref()
        .map(|name| {
            check::validator(name.get_ref()).ok_or_else(|| {
                wrong(
                    name.span().start,
                    "validator",
                    &format!("{:?} is no validator", name.get_ref()),
                )
                .hint(format!(
                    "there are {}",
                    check::names().collect::<Vec<_>>().join(", ")
                ))
            })
        })
        .transpose()?;
    let confidence = entry
        .confidence
        .or(base.map(|base| base.confidence))
        .unwrap_or(0.9);
    if !(0.0..=1.0).contains(&confidence) {
        return Err(wrong(
            at,
            "confidence",
            &format!("{confidence} is not between 0 and 1"),
        )
        .hint("write 0.9"));
    }
    let mut allow = Vec::new();
    for list in entry.allowlist.iter().chain(&entry.allowlists) {
        allow.push(allow_list(source, &entry.id, list)?);
    }
    let place = match (entry.at, &written, &entry.path) {
        (At::Token, ..) => Place::Token,
        (At::Keyword, None, None) => Place::Finder,
        _ => Place::Keyword,
    };
    let max_len = match (entry.max_len, source.foreign) {
        (Some(len), _) => len.max(1),
        (None, true) => longest.unwrap_or(FOREIGN_MAX_LEN).clamp(1, FOREIGN_MAX_LEN),
        (None, false) => DEFAULT_MAX_LEN,
    };
    Ok(Rule {
        id: entry.id.clone(),
        description: entry
            .description
            .clone()
            .or_else(|| base.map(|base| base.description.clone()))
            .unwrap_or_default(),
        entity: entry
            .entity
            .clone()
            .or_else(|| base.map(|base| base.entity.clone()))
            .unwrap_or_else(|| "secret".to_owned()),
        severity: entry
            .severity
            .or(base.map(|base| base.severity))
            .unwrap_or(Severity::High),
        confidence,
        invalid: entry.invalid.unwrap_or(0.3).clamp(0.0, 1.0),
        validator: validator.or(base.and_then(|base| base.validator)),
        context: entry.context.clone(),
        pattern: written.map(|(_, _, regex)| match place {
            Place::Token => Pattern::to_word_end(regex),
            _ => Pattern::new(regex, &keywords),
        }),
        secret_group: if entry.secret_group > 0 {
            entry.secret_group
        } else {
            base.map_or(0, |base| base.secret_group)
        },
        entropy: entry
            .entropy
            .or(base.map(|base| base.entropy))
            .unwrap_or(0.0),
        keywords,
        path: entry
            .path
            .as_ref()
            .map(|path| Pattern::new(path.get_ref().clone(), &[])),
        allow,
        place,
        max_len,
        silent: entry.skip_report,
        foreign: source.foreign,
        examples: entry.examples.clone(),
        negative_examples: entry.negative_examples.clone(),
    })
}
