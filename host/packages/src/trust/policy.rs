//! What a machine accepts: `policy.toml` of the system and of the user. Every file may refuse and none can allow what
//! another one refuses, so adding a policy only ever tightens.

use std::collections::BTreeMap;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, ErrorKind, Permissions, Result};
use serde::{Deserialize, Serialize};

use super::{Level, Source};

const FILE: &str = "policy.toml";
const SYSTEM: &str = "/etc/codex-ml";
const VARIABLE: &str = "CODEX_ML_POLICY";

/// The places of policy files, the system's first: `$CODEX_ML_POLICY` or `/etc/codex-ml/policy.toml`, then the user's
/// in the data folder.
pub fn policy_files(data: Option<&Path>) -> Vec<PathBuf> {
    let given = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let system = given.map_or_else(|| Path::new(SYSTEM).join(FILE), PathBuf::from);
    std::iter::once(system)
        .chain(data.map(|data| data.join(FILE)))
        .collect()
}

/// What a policy says of native code that is neither built in nor sandboxed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Native {
    /// The user decides, by name.
    #[default]
    Allow,
    /// The user decides, by name, about those that the policy lists.
    Listed,
    /// None.
    Deny,
}

/// A permission that a policy may deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the words of the manifest")]
pub enum Denied {
    Folders,
    /// Writing to folders; reading stays.
    FolderWrite,
    Environment,
    Network,
    Components,
    Clock,
    Random,
    Terminal,
}

impl Denied {
    fn is_in(self, asked: &Permissions) -> bool {
        match self {
            Self::Folders => !asked.folders.is_empty(),
            Self::FolderWrite => asked.folders.iter().any(|folder| folder.write),
            Self::Environment => !asked.environment.is_empty(),
            Self::Network => !asked.network.is_empty(),
            Self::Components => !asked.components.is_empty(),
            Self::Clock => asked.clock.is_some(),
            Self::Random => asked.random.is_some(),
            Self::Terminal => asked.terminal.is_some(),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Folders => "folders",
            Self::FolderWrite => "folder-write",
            Self::Environment => "environment",
            Self::Network => "network",
            Self::Components => "components",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Terminal => "terminal",
        }
    }
}

/// One policy file. Built-in plugins are beyond its reach: they are part of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rules {
    /// The lowest level that is accepted.
    pub minimum_level: Level,
    /// Native code.
    pub native: Native,
    /// For `native = "listed"`: names, or beginnings of names before a `*`.
    pub native_plugins: Vec<String>,
    /// The addresses of the registries that may be used; all of them where there is no such line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registries: Option<Vec<String>>,
    /// Whether plugins that came from no registry are run.
    pub local: bool,
    /// What no plugin may ask for.
    pub denied_permissions: Vec<Denied>,
    /// The public keys that may sign a name, or names that begin with what stands before a `*`.
    pub keys: BTreeMap<String, Vec<String>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            minimum_level: Level::Local,
            native: Native::Allow,
            native_plugins: Vec::new(),
            registries: None,
            local: true,
            denied_permissions: Vec::new(),
            keys: BTreeMap::new(),
        }
    }
}

/// What is judged: a plugin that is offered, or one that is there.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Who vouches for it.
    pub level: Level,
    /// Whether its code has the user's authority.
    pub native: bool,
    /// What it asks for.
    pub permissions: &'a Permissions,
    /// The registry and the public key, where there are such.
    pub origin: Option<(&'a Source, &'a str)>,
}

/// All policies of a machine.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    files: Vec<(PathBuf, Rules)>,
}

impl Policy {
    /// Reads the files that are there.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when one cannot be read or says something unknown: what cannot be understood might forbid.
    pub fn read(paths: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let text = match std::fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if error.kind() == Io::NotFound => continue,
                Err(error) => {
                    let message = format!("policy {} cannot be read", path.display());
                    return Err(Error::config(message).because(&error).hint(
                        "no plugin is installed or run before it can be; ask whoever wrote it",
                    ));
                }
            };
            files.push((path.clone(), parse(&text, path)?));
        }
        Ok(Self { files })
    }

    /// The files that are in force, with what they say.
    pub fn files(&self) -> &[(PathBuf, Rules)] {
        &self.files
    }

    /// What all files together come to, for those who want to read it; keys of several files for one pattern stand
    /// where both name them.
    pub fn merged(&self) -> Rules {
        let mut all = Rules::default();
        for (_, rules) in &self.files {
            all.minimum_level = all.minimum_level.max(rules.minimum_level);
            if rules.native == Native::Listed && all.native == Native::Listed {
                all.native_plugins
                    .retain(|name| rules.native_plugins.contains(name));
            } else if rules.native == Native::Listed {
                all.native_plugins.clone_from(&rules.native_plugins);
            }
            all.native = all.native.max(rules.native);
            all.registries = match (all.registries.take(), &rules.registries) {
                (Some(mut ours), Some(theirs)) => {
                    ours.retain(|url| theirs.contains(url));
                    Some(ours)
                }
                (ours, theirs) => ours.or_else(|| theirs.clone()),
            };
            all.local &= rules.local;
            all.denied_permissions
                .extend(rules.denied_permissions.iter().copied());
            for (pattern, keys) in &rules.keys {
                let allowed = all
                    .keys
                    .entry(pattern.clone())
                    .or_insert_with(|| keys.clone());
                allowed.retain(|key| keys.contains(key));
            }
        }
        all.denied_permissions.sort_unstable();
        all.denied_permissions.dedup();
        all
    }

    /// Whether every file accepts the plugin.
    ///
    /// # Errors
    /// [`ErrorKind::Plugin`] naming the file and its line.
    pub fn check(&self, subject: &Subject<'_>) -> Result<()> {
        if subject.level == Level::BuiltIn {
            return Ok(());
        }
        for (path, rules) in &self.files {
            if let Some(what) = rules.objection(subject) {
                let message = format!(
                    "{} {what}, says the policy {}",
                    subject.name,
                    path.display()
                );
                return Err(Error::new(ErrorKind::Plugin, message).hint(
                    "codex-ml plugin policy show says what is accepted; only whoever wrote the policy can change it",
                ));
            }
        }
        Ok(())
    }
}

impl Rules {
    fn objection(&self, subject: &Subject<'_>) -> Option<String> {
        let Subject {
            name,
            level,
            native,
            permissions,
            origin,
        } = *subject;
        if level == Level::Local && !self.local {
            return Some(
                "comes from no registry, and such plugins are not run (local = false)".into(),
            );
        }
        if level < self.minimum_level {
            return Some(format!(
                "has the trust level {level}, below minimum-level = \"{}\"",
                self.minimum_level
            ));
        }
        if native {
            match self.native {
                Native::Allow => {}
                Native::Listed if listed(&self.native_plugins, name) => {}
                Native::Listed => {
                    return Some("is native code and not in native-plugins".into());
                }
                Native::Deny => {
                    return Some("is native code, which is not run (native = \"deny\")".into());
                }
            }
        }
        let denied = self
            .denied_permissions
            .iter()
            .find(|denied| denied.is_in(permissions));
        if let Some(denied) = denied {
            return Some(format!(
                "asks for {}, which is in denied-permissions",
                denied.as_str()
            ));
        }
        let (source, key) = origin?;
        if let Some(registries) = &self.registries
            && !registries.iter().any(|url| same_address(url, &source.url))
        {
            return Some(format!(
                "comes from {}, which is not in registries",
                source.url
            ));
        }
        let mut patterns = self
            .keys
            .iter()
            .filter(|(pattern, _)| matches(pattern, name));
        let (pattern, _) = patterns.find(|(_, keys)| !keys.iter().any(|allowed| allowed == key))?;
        Some(format!(
            "is signed with a key that keys.{pattern:?} does not name"
        ))
    }
}

fn listed(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// Whether a pattern names a plugin: its name, or its beginning before a `*` at the end.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

/// Addresses that differ only in a slash at the end are the same.
pub(super) fn same_address(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn parse(text: &str, path: &Path) -> Result<Rules> {
    let wrong = |what: String| {
        Error::config(format!("policy {}: {what}", path.display()))
            .hint("docs/security.md lists every key; no plugin is installed or run before the file is mended")
    };
    let rules: Rules = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text[..span.start.min(text.len())].lines().count().max(1)
        });
        wrong(format!(
            "line {line}: {}",
            error.message().lines().next().unwrap_or("no policy")
        ))
    })?;
    for pattern in rules.native_plugins.iter().chain(rules.keys.keys()) {
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.chars().all(good) || pattern.is_empty() {
            return Err(wrong(format!(
                "{pattern:?} is no name of a plugin, nor its beginning with * after it"
            )));
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests;
