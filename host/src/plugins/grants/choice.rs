//! What a user picks of the permissions that a plugin asks for, to grant it or to take it back.

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Kind, Manifest, Result};

use super::request::{expanded, own_path};
use super::{Granted, Permission, command_line, requests};
use crate::folders::Folders;

/// The permissions of one `plugin grant` or `plugin revoke`.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Everything.
    pub all: bool,
    /// To grant: `NAME=PATH`, or the name alone where it is a path itself. To take back: the name.
    pub folders: Vec<String>,
    /// Environment variables.
    pub environment: Vec<String>,
    /// Hosts.
    pub network: Vec<String>,
    /// Kinds of components.
    pub components: Vec<Kind>,
    /// The clock.
    pub clock: bool,
    /// Random numbers.
    pub random: bool,
    /// Output to the terminal.
    pub terminal: bool,
    /// Limits beyond the default.
    pub limits: bool,
}

impl Choice {
    /// Whether nothing was picked.
    pub fn is_empty(&self) -> bool {
        !self.all && self.folders.is_empty() && self.others().is_empty()
    }

    /// What was picked, folders aside.
    fn others(&self) -> Vec<Permission> {
        let picked = Granted {
            environment: self.environment.iter().cloned().collect(),
            network: self.network.iter().cloned().collect(),
            components: self.components.iter().copied().collect(),
            clock: self.clock,
            random: self.random,
            terminal: self.terminal,
            limits: self.limits,
            ..Granted::default()
        };
        picked.permissions()
    }

    /// What is granted afterwards: `granted` and what was picked. `own` are the folders that no plugin may write to.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] naming what the plugin does not ask for, or the folder that is not there.
    pub fn grant(
        &self,
        manifest: &Manifest,
        mut granted: Granted,
        own: &Folders,
    ) -> Result<Granted> {
        let asked: Vec<Permission> = requests(manifest)
            .into_iter()
            .map(|request| request.permission)
            .collect();
        for text in &self.folders {
            let (name, path) = binding(text, &asked)
                .ok_or_else(|| not_asked(manifest, &format!("folder {}", before_sign(text))))?;
            let path = path.or_else(|| own_path(name));
            let path = path.ok_or_else(|| unbound(manifest, &[name]))?;
            granted.folders.insert(
                name.to_owned(),
                bind(name, &path, writes(name, &asked), own)?,
            );
        }
        let others = self.others();
        if let Some(other) = others.iter().find(|other| !asked.contains(other)) {
            return Err(not_asked(manifest, &other.noun()));
        }
        if !self.all {
            for other in others {
                granted.add(other);
            }
            return Ok(granted);
        }
        let mut missing = Vec::new();
        for permission in &asked {
            match permission {
                Permission::Folder { name, .. } if granted.folders.contains_key(name) => {}
                Permission::Folder { name, .. } => match own_path(name) {
                    Some(path) => {
                        let found = bind(name, &path, writes(name, &asked), own)?;
                        granted.folders.insert(name.clone(), found);
                    }
                    None => missing.push(name.as_str()),
                },
                other => granted.add(other.clone()),
            }
        }
        if missing.is_empty() {
            Ok(granted)
        } else {
            Err(unbound(manifest, &missing))
        }
    }

    /// Takes what was picked out of `granted`.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] naming what was not granted.
    pub fn revoke(&self, id: &str, granted: &mut Granted) -> Result<()> {
        if self.all {
            *granted = Granted::default();
            return Ok(());
        }
        let before = granted.permissions();
        let folders = self.folders.iter().map(|name| Permission::Folder {
            name: name.clone(),
            write: false,
        });
        for permission in folders.chain(self.others()) {
            if !before.contains(&permission) {
                let nouns: Vec<String> = before.iter().map(Permission::noun).collect();
                let hint = if nouns.is_empty() {
                    "nothing is granted to it".to_owned()
                } else {
                    format!("granted are {}", nouns.join(", "))
                };
                let message = format!("{id} was not granted {}", permission.noun());
                return Err(Error::config(message).hint(hint));
            }
            granted.remove(&permission);
        }
        Ok(())
    }
}

impl Granted {
    /// Adds a permission; folders need a path and are added with it.
    fn add(&mut self, permission: Permission) {
        match permission {
            Permission::Folder { .. } => {}
            Permission::Environment(key) => {
                self.environment.insert(key);
            }
            Permission::Network(host) => {
                self.network.insert(host);
            }
            Permission::Components(kind) => {
                self.components.insert(kind);
            }
            Permission::Clock => self.clock = true,
            Permission::Random => self.random = true,
            Permission::Terminal => self.terminal = true,
            Permission::Limits => self.limits = true,
        }
    }

    fn remove(&mut self, permission: &Permission) {
        match permission {
            Permission::Folder { name, .. } => {
                self.folders.remove(name);
            }
            Permission::Environment(key) => {
                self.environment.remove(key);
            }
            Permission::Network(host) => {
                self.network.remove(host);
            }
            Permission::Components(kind) => {
                self.components.remove(kind);
            }
            Permission::Clock => self.clock = false,
            Permission::Random => self.random = false,
            Permission::Terminal => self.terminal = false,
            Permission::Limits => self.limits = false,
        }
    }
}

/// The folder that `NAME=PATH` or `NAME` means, and the path. Names may hold the sign too, so the longest one counts.
fn binding<'a>(text: &str, asked: &'a [Permission]) -> Option<(&'a str, Option<PathBuf>)> {
    let names = asked.iter().filter_map(|permission| match permission {
        Permission::Folder { name, .. } => Some(name.as_str()),
        _ => None,
    });
    names
        .filter_map(|name| match text.strip_prefix(name)? {
            "" => Some((name, None)),
            rest => Some((name, Some(expanded(rest.strip_prefix('=')?)))),
        })
        .max_by_key(|(name, _)| name.len())
}

fn before_sign(text: &str) -> &str {
    text.split_once('=').map_or(text, |(name, _)| name)
}

fn writes(folder: &str, asked: &[Permission]) -> bool {
    asked.iter().any(
        |permission| matches!(permission, Permission::Folder { name, write: true } if name == folder),
    )
}

fn not_asked(manifest: &Manifest, noun: &str) -> Error {
    let asked: Vec<String> = requests(manifest)
        .iter()
        .map(|request| request.permission.noun())
        .collect();
    let hint = if asked.is_empty() {
        "it asks for nothing".to_owned()
    } else {
        format!("it asks for {}", asked.join(", "))
    };
    Error::config(format!("{} does not ask for {noun}", manifest.plugin.id)).hint(hint)
}

fn unbound(manifest: &Manifest, names: &[&str]) -> Error {
    let message = format!(
        "no folder of yours stands for {} of {}",
        names.join(", "),
        manifest.plugin.id
    );
    Error::config(message).hint(format!("name it: {}", command_line(manifest)))
}

/// The folder that shall stand for a name, absolute and without links, so that it stays the one that the user chose.
fn bind(name: &str, path: &Path, write: bool, own: &Folders) -> Result<PathBuf> {
    let other = format!("make it first, or name another: --folder {name}=PATH");
    let found = fs::canonicalize(path).or_error(|| {
        Error::config(format!("folder {} is not there", path.display())).hint(other.clone())
    })?;
    if !found.is_dir() {
        let message = format!("{} is no folder", path.display());
        return Err(Error::config(message).hint(other));
    }
    if found.to_str().is_none() {
        let message = format!("the path {} is not UTF-8", found.display());
        return Err(Error::config(message).hint(other));
    }
    // What lies there is trusted: whoever may write there grants, or runs as native code.
    let kept = [
        (&own.data, "plugins and what is granted to them"),
        (&own.cache, "compiled plugins"),
        (&own.project, "the project's plugins"),
    ];
    for (folder, what) in kept {
        let Some(folder) = folder.as_deref().filter(|_| write) else {
            continue;
        };
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        if found.starts_with(&folder) || folder.starts_with(&found) {
            let message = format!(
                "no plugin may write to {}: codex-ml keeps {what} in {}",
                found.display(),
                folder.display()
            );
            return Err(Error::config(message).hint(format!(
                "name a folder that holds nothing else: --folder {name}=PATH"
            )));
        }
    }
    Ok(found)
}
