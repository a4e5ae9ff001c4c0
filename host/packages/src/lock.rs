//! `codex-plugins.lock`: the exact versions in use, with everything that must not change behind the user's back. It holds
//! the digests of every target's file, so that one lock serves every system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use codex_plugin_api::{Context, Error, Permissions, Result};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::digest::sha256;
use crate::entry::{ANY_TARGET, FileDigest};
use crate::resolve::{Host, Requirement};
use crate::source::Offer;

const VERSION: u32 = 1;

/// A lock larger than this was not written by codex-ml.
const MAX_SIZE: u64 = 16 << 20;

const HEAD: &str = "# The plugin versions in use. Written by codex-ml; commit it, and change it with codex-ml plugin add, update, pin.\n";

/// Everything that is in use in a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// By name.
    pub plugins: BTreeMap<String, Locked>,
}

/// One plugin of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// The plugin's id.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// What the registry is called that it came from.
    pub registry: String,
    /// That registry's address as the project file writes it.
    pub url: String,
    /// SHA-256 of the signed entry's text.
    pub entry: String,
    /// The id of the key that signed it.
    pub key: String,
    /// The versions of the plugin API with which it works.
    pub api: VersionReq,
    /// Digest of what it asks for, reasons aside.
    pub permissions: String,
    /// The archive.
    pub archive: FileDigest,
    /// SHA-256 of each target's file.
    pub artifacts: BTreeMap<String, String>,
    /// The plugins that it needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependencies: BTreeMap<String, VersionReq>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default)]
    plugin: Vec<Locked>,
}

/// The part that every version of the file has.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// The versions that a change replaces, adds or takes away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The plugin.
    pub name: String,
    /// What was in use.
    pub from: Option<Version>,
    /// What is in use now.
    pub to: Option<Version>,
}

impl Change {
    /// `shout 1.0.0 -> 1.1.0`, `+ shout 1.0.0` or `- shout 1.0.0`; `~ shout 1.0.0` where only what is recorded differs.
    pub fn line(&self) -> String {
        let name = &self.name;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) if from == to => format!("~ {name} {to}"),
            (Some(from), Some(to)) => format!("{name} {from} -> {to}"),
            (None, Some(to)) => format!("+ {name} {to}"),
            (Some(from), None) => format!("- {name} {from}"),
            (None, None) => name.clone(),
        }
    }
}

impl Locked {
    /// What a lock records of a version. `url` is the registry's address as the project file writes it.
    pub fn of(offer: &Offer, url: &str) -> Self {
        let entry = &offer.entry;
        Self {
            name: entry.name.clone(),
            version: entry.version.clone(),
            registry: offer.source.registry.clone(),
            url: url.to_owned(),
            entry: sha256(offer.signed.entry.as_bytes()),
            key: offer.key_id.clone(),
            api: entry.api.clone(),
            permissions: permission_digest(&entry.permissions),
            archive: entry.archive.clone(),
            artifacts: entry
                .artifacts
                .iter()
                .map(|(target, artifact)| (target.clone(), artifact.digest.sha256.clone()))
                .collect(),
            dependencies: entry.dependencies.clone(),
        }
    }

    /// Name and version, as messages name it.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Why it cannot run on a host.
    pub fn obstacle(&self, host: &Host) -> Option<String> {
        if !self.api.matches(&host.api) {
            return Some(format!(
                "{} needs plugin API {}, and this codex-ml has {}",
                self.title(),
                self.api,
                host.api
            ));
        }
        let runs =
            self.artifacts.contains_key(ANY_TARGET) || self.artifacts.contains_key(&host.target);
        let targets: Vec<&str> = self.artifacts.keys().map(String::as_str).collect();
        (!runs).then(|| {
            format!(
                "{} has no file for {}, only for {}",
                self.title(),
                host.target,
                targets.join(", ")
            )
        })
    }
}

impl Lock {
    /// Reads a lock; an absent one holds nothing.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when it is damaged or of another version.
    pub fn open(path: &Path) -> Result<Self> {
        let size = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(
                    Error::config(format!("cannot read {}", path.display())).because(&error)
                );
            }
        };
        if size > MAX_SIZE {
            return Err(Error::config(format!(
                "{} has {size} bytes; a lock has at most {MAX_SIZE}",
                path.display()
            ))
            .hint(MEND));
        }
        let text = fs::read_to_string(path)
            .or_error(|| Error::config(format!("cannot read {}", path.display())).hint(MEND))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a lock's text. `origin` is named in errors.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let wrong = |error: toml::de::Error| {
            let line = error
                .span()
                .map_or(1, |span| crate::project::line_of(text, span.start));
            let what = error
                .message()
                .lines()
                .next()
                .unwrap_or("is no lock")
                .to_owned();
            Error::config(format!("{origin}, line {line}: {what}")).hint(MEND)
        };
        let other = |version: u32| {
            Error::config(format!(
                "{origin} has version {version}, and this codex-ml knows version {VERSION}"
            ))
            .hint("use the codex-ml that wrote it, or delete it and run codex-ml plugin sync")
        };
        // Every start reads locks, so a good one is read once.
        let document: Document =
            toml::from_str(text).map_err(|error| match toml::from_str::<Head>(text) {
                Ok(head) if head.version != VERSION => other(head.version),
                _ => wrong(error),
            })?;
        if document.version != VERSION {
            return Err(other(document.version));
        }
        let mut plugins = BTreeMap::new();
        for locked in document.plugin {
            check(&locked).map_err(|what| {
                Error::config(format!("{origin}: {} {what}", locked.title())).hint(MEND)
            })?;
            let name = locked.name.clone();
            if plugins.insert(name.clone(), locked).is_some() {
                return Err(Error::config(format!("{origin}: {name} is there twice")).hint(MEND));
            }
        }
        Ok(Self { plugins })
    }

    /// The text of the file.
    ///
    /// # Errors
    /// When a size is beyond what TOML can write.
    pub fn text(&self) -> Result<String> {
        let document = Document {
            version: VERSION,
            plugin: self.plugins.values().cloned().collect(),
        };
        let body =
            toml::to_string(&document).or_error(|| Error::failed("cannot write the lock"))?;
        Ok(format!("{HEAD}{body}"))
    }

    /// The versions in use, by name.
    pub fn versions(&self) -> BTreeMap<String, Version> {
        let pair = |locked: &Locked| (locked.name.clone(), locked.version.clone());
        self.plugins.values().map(pair).collect()
    }

    /// Whether it answers what is asked for, no more and no less: nothing has to be resolved then.
    pub fn answers(&self, wanted: &[Requirement], pins: &BTreeMap<String, Version>) -> bool {
        let fits = |name: &str, versions: &VersionReq| {
            let locked = self.plugins.get(name);
            locked.is_some_and(|locked| versions.matches(&locked.version))
        };
        let all = wanted.iter().all(|wanted| {
            let registry = self
                .plugins
                .get(&wanted.name)
                .map(|locked| &locked.registry);
            fits(&wanted.name, &wanted.versions)
                && wanted
                    .registry
                    .as_ref()
                    .is_none_or(|named| Some(named) == registry)
        });
        let held = pins.iter().all(|(name, version)| {
            self.plugins
                .get(name)
                .is_none_or(|locked| locked.version == *version)
        });
        let met = self.plugins.values().all(|locked| {
            let mut needs = locked.dependencies.iter();
            needs.all(|(name, versions)| fits(name, versions))
        });
        let needed = self.reachable(wanted.iter().map(|wanted| wanted.name.as_str()));
        all && held && met && needed.len() == self.plugins.len()
    }

    /// The plugins that `roots` lead to, themselves included.
    pub fn reachable<'a>(&'a self, roots: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut next: Vec<&str> = roots.collect();
        while let Some(name) = next.pop() {
            if let Some(locked) = self.plugins.get(name)
                && found.insert(name)
            {
                next.extend(locked.dependencies.keys().map(String::as_str));
            }
        }
        found
    }

    /// The lock without the plugins that are not named.
    #[must_use]
    pub fn only(&self, names: &BTreeSet<&str>) -> Self {
        let named = self
            .plugins
            .iter()
            .filter(|(name, _)| names.contains(name.as_str()));
        Self {
            plugins: named
                .map(|(name, locked)| (name.clone(), locked.clone()))
                .collect(),
        }
    }

    /// What is different in `after`, by name.
    pub fn changes(&self, after: &Self) -> Vec<Change> {
        let names: BTreeSet<&String> = self.plugins.keys().chain(after.plugins.keys()).collect();
        let version =
            |lock: &Self, name: &str| lock.plugins.get(name).map(|locked| locked.version.clone());
        names
            .into_iter()
            .filter(|name| self.plugins.get(*name) != after.plugins.get(*name))
            .map(|name| Change {
                name: name.clone(),
                from: version(self, name),
                to: version(after, name),
            })
            .collect()
    }
}

const MEND: &str = "restore it from version control, or delete it and run codex-ml plugin sync: it is then made again from what is asked for";

/// What becomes part of a path, or is compared, has to be what it claims.
fn check(locked: &Locked) -> std::result::Result<(), String> {
    crate::names::check(&locked.name).map_err(|error| error.message().to_owned())?;
    let digests = [&locked.entry, &locked.archive.sha256, &locked.permissions];
    let hexadecimal = |text: &str| {
        text.len() == 64
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    for digest in digests.into_iter().chain(locked.artifacts.values()) {
        if !hexadecimal(digest) {
            return Err(format!("has {digest:?} where a SHA-256 is due"));
        }
    }
    Ok(())
}

/// Digest of permissions, reasons and order aside: the same for a manifest that asks for the same in other words.
pub fn permission_digest(permissions: &Permissions) -> String {
    let lines: BTreeSet<String> = permissions
        .lines()
        .into_iter()
        .map(|(what, _)| what)
        .collect();
    sha256(lines.into_iter().collect::<Vec<_>>().join("\n").as_bytes())
}

#[cfg(test)]
mod tests;
