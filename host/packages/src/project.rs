//! `codex-plugins.toml`: what is asked for, held back, and from which registries. Edited in place: comments, order and
//! spelling stay as the user wrote them.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};
use semver::{Version, VersionReq};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use crate::durable;
use crate::names;
use crate::resolve::Requirement;

const PLUGINS: &str = "plugins";
const PINS: &str = "pins";
const REGISTRIES: &str = "registries";

/// A registry as a project file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Its name here.
    pub name: String,
    /// URL or path as it is written; a relative path is meant from the file's folder.
    pub url: String,
    /// The root key, where the file says it.
    pub key: Option<String>,
}

/// A project file in memory.
#[derive(Clone, Debug)]
pub struct ProjectFile {
    path: PathBuf,
    /// As it was read; `None` where there is no file.
    before: Option<String>,
    document: DocumentMut,
}

impl ProjectFile {
    /// Reads a file and checks all of it; an absent one asks for nothing.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] with line and key.
    pub fn open(path: &Path) -> Result<Self> {
        let before = match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                return Err(
                    Error::config(format!("cannot read {}", path.display())).because(&error)
                );
            }
        };
        Self::parse(path, before)
    }

    /// As [`Self::open`], of a text that stood or is to stand there.
    pub(crate) fn parse(path: &Path, before: Option<String>) -> Result<Self> {
        let text = before.as_deref().unwrap_or_default();
        let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            let what = error
                .message()
                .lines()
                .next()
                .unwrap_or("is no TOML")
                .to_owned();
            Error::config(format!("{}, line {line}: {what}", path.display())).hint(SHAPE)
        })?;
        let file = Self {
            path: path.to_owned(),
            before,
            document,
        };
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<()> {
        for (key, item) in self.document.iter() {
            if ![PLUGINS, PINS, REGISTRIES].contains(&key) {
                return Err(self.wrong(&format!("there is no table [{key}] in this file")));
            }
            if item.as_table_like().is_none() {
                return Err(self.wrong(&format!("{key} is no table")));
            }
        }
        self.wanted()?;
        self.pins()?;
        self.registries().map(drop)
    }

    fn wrong(&self, what: &str) -> Error {
        Error::config(format!("{}: {what}", self.path.display())).hint(SHAPE)
    }

    /// Where it is, or will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn entries(&self, table: &str) -> impl Iterator<Item = (&str, &Item)> {
        let table = self.document.get(table).and_then(Item::as_table_like);
        table.into_iter().flat_map(toml_edit::TableLike::iter)
    }

    /// What is asked for, in the file's order.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] naming the key.
    pub fn wanted(&self) -> Result<Vec<Requirement>> {
        self.entries(PLUGINS)
            .map(|(name, item)| {
                let place = format!("{PLUGINS}.{name}");
                names::check(name)?;
                let (versions, registry) = match item.as_str() {
                    Some(text) => (text, None),
                    None => (
                        self.text_in(item, &place, "version", &["version", "registry"])?
                            .unwrap_or("*"),
                        self.text_in(item, &place, "registry", &["version", "registry"])?,
                    ),
                };
                let versions = VersionReq::parse(versions).map_err(|error| {
                    self.wrong(&format!(
                        "{place}: {versions:?} is no version requirement: {error}"
                    ))
                })?;
                Ok(Requirement {
                    name: name.to_owned(),
                    versions,
                    registry: registry.map(str::to_owned),
                })
            })
            .collect()
    }

    /// The text at a key of a table, which has no others than `known`.
    fn text_in<'a>(
        &self,
        item: &'a Item,
        place: &str,
        key: &str,
        known: &[&str],
    ) -> Result<Option<&'a str>> {
        let table = item.as_table_like().ok_or_else(|| {
            self.wrong(&format!(
                "{place} is neither a text nor a table with {}",
                known.join(", ")
            ))
        })?;
        if let Some((unknown, _)) = table.iter().find(|(key, _)| !known.contains(key)) {
            return Err(self.wrong(&format!("{place} has no key {unknown}")));
        }
        match table.get(key) {
            None => Ok(None),
            Some(value) => value
                .as_str()
                .map(Some)
                .ok_or_else(|| self.wrong(&format!("{place}.{key} is no text"))),
        }
    }

    /// The plugins that are held at a version.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] naming the key.
    pub fn pins(&self) -> Result<BTreeMap<String, Version>> {
        self.entries(PINS)
            .map(|(name, item)| {
                names::check(name)?;
                let text = item
                    .as_str()
                    .ok_or_else(|| self.wrong(&format!("{PINS}.{name} is no text")))?;
                let version = Version::parse(text).map_err(|error| {
                    self.wrong(&format!("{PINS}.{name}: {text:?} is no version: {error}"))
                })?;
                Ok((name.to_owned(), version))
            })
            .collect()
    }

    /// The registries in the file's order, which is the order in which they are asked.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] naming the key.
    pub fn registries(&self) -> Result<Vec<Connected>> {
        self.entries(REGISTRIES)
            .map(|(name, item)| {
                let place = format!("{REGISTRIES}.{name}");
                names::check(name)?;
                let known = ["url", "key"];
                let (url, key) = match item.as_str() {
                    Some(url) => (Some(url), None),
                    None => (
                        self.text_in(item, &place, "url", &known)?,
                        self.text_in(item, &place, "key", &known)?,
                    ),
                };
                let url = url
                    .filter(|url| !url.is_empty())
                    .ok_or_else(|| self.wrong(&format!("{place} names no url")))?;
                Ok(Connected {
                    name: name.to_owned(),
                    url: url.to_owned(),
                    key: key.map(str::to_owned),
                })
            })
            .collect()
    }

    /// Asks for a plugin, or for other versions of it.
    pub fn want(&mut self, wanted: &Requirement) {
        let versions = wanted.versions.to_string();
        let table = self.table(PLUGINS);
        let named = wanted.registry.is_some();
        match table.get_mut(&wanted.name) {
            // A table stays one, with what else it says.
            Some(item) if item.is_table_like() => {
                if let Some(old) = item.as_table_like_mut() {
                    old.insert("version", Item::Value(versions.into()));
                    if let Some(registry) = &wanted.registry {
                        old.insert("registry", Item::Value(registry.into()));
                    }
                }
            }
            _ if named => {
                let mut inline = InlineTable::new();
                inline.insert("version", versions.into());
                inline.insert(
                    "registry",
                    wanted.registry.clone().unwrap_or_default().into(),
                );
                put(table, &wanted.name, inline.into());
            }
            _ => put(table, &wanted.name, versions.into()),
        }
    }

    /// Asks for a plugin no longer; gives whether it was asked for.
    pub fn unwant(&mut self, name: &str) -> bool {
        self.take(PLUGINS, name)
    }

    /// Holds a plugin at a version.
    pub fn pin(&mut self, name: &str, version: &Version) {
        put(self.table(PINS), name, version.to_string().into());
    }

    /// Holds a plugin no longer; gives whether it was held.
    pub fn unpin(&mut self, name: &str) -> bool {
        self.take(PINS, name)
    }

    /// Names a registry, asked after those that are there, or gives one of them another address.
    pub fn connect(&mut self, registry: &Connected) {
        let value = match &registry.key {
            None => registry.url.clone().into(),
            Some(key) => {
                let mut inline = InlineTable::new();
                inline.insert("url", registry.url.clone().into());
                inline.insert("key", key.clone().into());
                inline.into()
            }
        };
        // Not sorted: their order says who is asked first.
        replace(self.table(REGISTRIES), &registry.name, value);
    }

    /// Takes a registry away; gives whether it was there.
    pub fn disconnect(&mut self, name: &str) -> bool {
        self.take(REGISTRIES, name)
    }

    fn table(&mut self, name: &str) -> &mut Table {
        let item = self
            .document
            .entry(name)
            .or_insert_with(|| Item::Table(Table::new()));
        if !item.is_table() {
            // An inline table (`plugins = {…}`) has no room for comments of its own; a table can take its place.
            let old = std::mem::take(item);
            *item = Item::Table(old.into_table().unwrap_or_default());
        }
        match item {
            Item::Table(table) => table,
            _ => unreachable!("made a table above"),
        }
    }

    fn take(&mut self, table: &str, name: &str) -> bool {
        let Some(table) = self
            .document
            .get_mut(table)
            .and_then(Item::as_table_like_mut)
        else {
            return false;
        };
        table.remove(name).is_some()
    }

    /// The text as it stands now.
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// The text as it was read; `None` where there was no file.
    pub fn before(&self) -> Option<&str> {
        self.before.as_deref()
    }

    /// Says what stands in the file, where this was read from elsewhere.
    pub(crate) fn stands_as(&mut self, before: Option<String>) {
        self.before = before;
    }

    /// Whether there is something to write.
    pub fn is_changed(&self) -> bool {
        self.before.as_deref().unwrap_or_default() != self.text()
    }

    /// Writes the file where something changed.
    ///
    /// # Errors
    /// When it cannot be written; the old one stays then.
    pub fn save(&mut self) -> Result<()> {
        if self.is_changed() {
            let text = self.text();
            durable::write_file(&self.path, text.as_bytes())?;
            self.before = Some(text);
        }
        Ok(())
    }
}

const SHAPE: &str = "the file has the tables [plugins] (name = \"^1.2\"), [pins] (name = \"1.2.3\") and [registries] (name = \"URL or path\")";

/// Sets a value; a table that was in alphabetical order stays so.
fn put(table: &mut Table, name: &str, value: Value) {
    let names: Vec<&str> = table.iter().map(|(name, _)| name).collect();
    let sorted = names.is_sorted();
    replace(table, name, value);
    if sorted {
        table.sort_values();
    }
}

/// Sets a value and leaves what is written around the old one, comments before its key included.
fn replace(table: &mut Table, name: &str, mut value: Value) {
    match table.get_mut(name) {
        Some(item) => {
            if let Some(old) = item.as_value() {
                *value.decor_mut() = old.decor().clone();
            }
            *item = Item::Value(value);
        }
        None => {
            table.insert(name, Item::Value(value));
        }
    }
}

/// The line, from 1, in which a byte of a text stands.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.get(..at)
        .map_or(1, |before| before.split('\n').count())
}

/// Reads `NAME` or `NAME@REQ` of a command line.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] for a name or a requirement that is none.
pub fn parse_wish(text: &str) -> Result<(String, Option<VersionReq>)> {
    let (name, versions) = match text.split_once('@') {
        Some((name, versions)) => (name, Some(versions)),
        None => (text, None),
    };
    names::check(name)?;
    let parse = |versions: &str| {
        VersionReq::parse(versions).or_error(|| {
            Error::config(format!("{versions:?} in {text:?} is no version requirement"))
                .hint("write NAME@1.2 for 1.2 and what is compatible with it, NAME@=1.2.3 for that version alone, or NAME@\">=1, <3\"")
        })
    };
    Ok((name.to_owned(), versions.map(parse).transpose()?))
}

#[cfg(test)]
mod tests;
