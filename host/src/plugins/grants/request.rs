//! What a manifest asks for, one request at a time, in the words of the command line.

use std::path::{Path, PathBuf};

use codex_plugin_api::{Kind, Manifest};

use super::Granted;
use crate::plugins::wasm::Bounds;

/// One thing that a plugin may be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// A folder by the manifest's name for it.
    Folder {
        /// The name, or a path that stands for itself.
        name: String,
        /// Whether it may write there too.
        write: bool,
    },
    /// An environment variable.
    Environment(String),
    /// A host.
    Network(String),
    /// Components of a kind.
    Components(Kind),
    /// The clock.
    Clock,
    /// Random numbers.
    Random,
    /// Output to the terminal.
    Terminal,
    /// Limits beyond the default.
    Limits,
}

/// A permission that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which.
    pub permission: Permission,
    /// What it is, to follow "asks to" (`read folder data`).
    pub what: String,
    /// Why, in the author's words; limits have no reason of their own.
    pub reason: String,
}

/// All that a plugin asks for, in the order of its manifest, limits last.
pub fn requests(manifest: &Manifest) -> Vec<Request> {
    let asked = &manifest.permissions;
    let permissions = (asked.folders.iter().map(|folder| Permission::Folder {
        name: folder.path.clone(),
        write: folder.write,
    }))
    .chain((asked.environment.iter()).map(|asked| Permission::Environment(asked.key.clone())))
    .chain((asked.network.iter()).map(|asked| Permission::Network(asked.host.clone())))
    .chain((asked.components.iter()).map(|asked| Permission::Components(asked.kind)))
    .chain(asked.clock.iter().map(|_| Permission::Clock))
    .chain(asked.random.iter().map(|_| Permission::Random))
    .chain(asked.terminal.iter().map(|_| Permission::Terminal));
    // The manifest's lines are in this order too.
    let mut requests: Vec<Request> = permissions
        .zip(asked.lines())
        .map(|(permission, (what, reason))| Request {
            permission,
            what,
            reason: reason.to_owned(),
        })
        .collect();
    let usual = Bounds::default().lines();
    let more: Vec<String> = Bounds::beyond_default(manifest)
        .into_iter()
        .map(|(key, value)| {
            let default = usual.iter().find(|(name, _)| *name == key);
            let default = default.map_or("none", |(_, value)| value);
            format!("{key} {value} (default {default})")
        })
        .collect();
    if !more.is_empty() {
        requests.push(Request {
            permission: Permission::Limits,
            what: format!("use more than the default: {}", more.join(", ")),
            reason: String::new(),
        });
    }
    requests
}

/// The command that grants everything a plugin asks for; `PATH` stands where the user has to name a folder.
pub fn command_line(manifest: &Manifest) -> String {
    let mut line = format!("codex-ml plugin grant {} --all", manifest.plugin.id);
    let mut named = Vec::new();
    for request in requests(manifest) {
        if let Permission::Folder { name, .. } = &request.permission
            && own_path(name).is_none()
            && !named.contains(name)
        {
            line = format!("{line} {}", request.permission.argument());
            named.push(name.clone());
        }
    }
    line
}

/// A word as a shell takes it. The manifest is a stranger's, and what is shown here is made to be pasted.
fn quoted(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if word.chars().all(harmless) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The path that a folder's name in a manifest is, where it is one: only such folders need no folder of the user's
/// choice. A relative path is a name like any other, since nobody knows what it should be relative to.
pub(super) fn own_path(name: &str) -> Option<PathBuf> {
    let path = expanded(name);
    path.is_absolute().then_some(path)
}

/// A path with a leading `~/` as the home folder: shells expand it only at the beginning of a word.
pub(super) fn expanded(path: &str) -> PathBuf {
    match path
        .strip_prefix("~/")
        .map(|rest| (rest, etcetera::home_dir()))
    {
        Some((rest, Ok(home))) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

impl Permission {
    /// Whether it is granted.
    pub fn is_in(&self, granted: &Granted) -> bool {
        match self {
            Self::Folder { name, .. } => granted.folders.contains_key(name),
            Self::Environment(key) => granted.environment.contains(key),
            Self::Network(host) => granted.network.contains(host),
            Self::Components(kind) => granted.components.contains(kind),
            Self::Clock => granted.clock,
            Self::Random => granted.random,
            Self::Terminal => granted.terminal,
            Self::Limits => granted.limits,
        }
    }

    /// The user's folder that stands for it.
    pub fn folder<'a>(&self, granted: &'a Granted) -> Option<&'a Path> {
        match self {
            Self::Folder { name, .. } => granted.folders.get(name).map(PathBuf::as_path),
            _ => None,
        }
    }

    /// The option of `plugin grant` that names it.
    pub fn option(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "folder",
            Self::Environment(_) => "environment",
            Self::Network(_) => "network",
            Self::Components(_) => "components",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Terminal => "terminal",
            Self::Limits => "limits",
        }
    }

    /// The option's value, where it has one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Folder { name, .. } | Self::Environment(name) | Self::Network(name) => Some(name),
            Self::Components(kind) => Some(kind.as_str()),
            Self::Clock | Self::Random | Self::Terminal | Self::Limits => None,
        }
    }

    /// The argument of `plugin grant` that grants it, as a shell takes it; `PATH` stands where the user has to name a
    /// folder.
    pub fn argument(&self) -> String {
        let option = self.option();
        match (self, self.name()) {
            (Self::Folder { .. }, Some(name)) if own_path(name).is_none() => {
                format!("--{option} {}", quoted(&format!("{name}=PATH")))
            }
            (_, Some(name)) => format!("--{option} {}", quoted(name)),
            (_, None) => format!("--{option}"),
        }
    }

    /// What it is, as errors name it.
    pub(super) fn noun(&self) -> String {
        match self {
            Self::Folder { name, .. } => format!("folder {name}"),
            Self::Environment(key) => format!("environment variable {key}"),
            Self::Network(host) => format!("host {host}"),
            Self::Components(kind) => format!("{kind} components"),
            Self::Clock => "the clock".to_owned(),
            Self::Random => "random numbers".to_owned(),
            Self::Terminal => "output to the terminal".to_owned(),
            Self::Limits => "limits beyond the default".to_owned(),
        }
    }
}

impl Granted {
    /// One name for everything that is granted.
    pub(super) fn permissions(&self) -> Vec<Permission> {
        let folders = self.folders.keys().map(|name| Permission::Folder {
            name: name.clone(),
            write: false,
        });
        let flags = [
            (self.clock, Permission::Clock),
            (self.random, Permission::Random),
            (self.terminal, Permission::Terminal),
            (self.limits, Permission::Limits),
        ];
        folders
            .chain(
                self.environment
                    .iter()
                    .cloned()
                    .map(Permission::Environment),
            )
            .chain(self.network.iter().cloned().map(Permission::Network))
            .chain(self.components.iter().copied().map(Permission::Components))
            .chain(
                flags
                    .into_iter()
                    .filter(|(set, _)| *set)
                    .map(|(_, permission)| permission),
            )
            .collect()
    }
}
