//! From files to rules: `extend` is followed, every mistake is named with its file, line, rule and key.

use std::fs;
use std::path::Path;

use codex_plugin_api::{Error, Result};

use super::allow::Allow;
use super::builtin;
use super::entry::{Entry, allow_list};
use super::file::File;
use super::rule::Rule;

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
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    /// A file of the user's, which is checked at once; ours is checked by its tests.
    pub(super) foreign: bool,
}

impl Source<'_> {
    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        before.split(|&byte| byte == b'\n').count()
    }

    pub(super) fn wrong(&self, at: usize, rule: &str, key: &str, reason: &str) -> Error {
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
        let rule = Entry {
            source,
            at,
            written: entry,
            base: known.map(|place| &set.rules[place]),
        }
        .read()?;
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
