//! `plugin.toml`: what a plugin is, what it offers and what it asks for. Read before any of its code runs.

mod argument;
mod limits;
mod permissions;

use std::collections::BTreeMap;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use argument::{Argument, ArgumentType, Subcommand};
pub use limits::{Limits, Size, Span};
pub use permissions::{
    ComponentPermission, EnvironmentPermission, FolderPermission, NetworkPermission, Permissions,
    Reason,
};

use crate::{Error, Kind, Result};

/// The whole manifest. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Who the plugin is.
    pub plugin: Plugin,
    /// What it offers; at least one.
    #[serde(default, rename = "component")]
    pub components: Vec<ComponentEntry>,
    /// What it asks for; nothing by default.
    #[serde(default, skip_serializing_if = "Permissions::is_empty")]
    pub permissions: Permissions,
    /// How much it may use, where it runs in a sandbox.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// The plugins that it needs, by id, each with the versions that will do. They are installed with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependencies: BTreeMap<String, VersionReq>,
}

/// The `[plugin]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Lower-case letters, digits and hyphens, beginning with a letter; at most 64 characters.
    pub id: String,
    /// The plugin's own version.
    pub version: Version,
    /// Which versions of this interface it works with (`"1"`).
    pub api: VersionReq,
    /// One line for people.
    pub description: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// The library's file, relative to the manifest, where it is not found by its usual name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
}

/// One `[[component]]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentEntry {
    /// Its kind.
    pub kind: Kind,
    /// Its name; the same rules as the plugin's id.
    pub name: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// For commands: the arguments.
    #[serde(default, rename = "argument", skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    /// For commands: subcommands with arguments of their own.
    #[serde(default, rename = "subcommand", skip_serializing_if = "Vec::is_empty")]
    pub subcommands: Vec<Subcommand>,
    /// For commands: lines that `--help` shows at its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// For plugins in WebAssembly: the keys of its configuration, each with its JSON Schema. (A native plugin publishes
    /// the schema of its configuration type.)
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
}

impl Manifest {
    /// Parses and checks a manifest. `origin` is named in errors.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with line, key and what is wrong.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text[..span.start.min(text.len())].lines().count().max(1)
            });
            let message = error
                .message()
                .lines()
                .next()
                .unwrap_or("not a manifest")
                .replace(char::is_control, "\u{fffd}");
            Error::config(format!("{origin}, line {line}: {message}"))
                .hint("docs/writing-plugins.md lists every key of plugin.toml")
        })?;
        manifest.check(origin)?;
        Ok(manifest)
    }

    /// Checks what types cannot express: names, unique components, arguments, paths.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming the key and the value.
    pub fn check(&self, origin: &str) -> Result<()> {
        let wrong = |what: String| Err(Error::config(format!("{origin}: {what}")));
        check_name(&self.plugin.id)
            .or_else(|why| wrong(format!("plugin.id {:?} {why}", self.plugin.id)))?;
        if self.plugin.description.chars().any(char::is_control) {
            return wrong("plugin.description holds a control character".into());
        }
        // All of it is shown somewhere, and a stranger's text must not move the cursor.
        let all = serde_json::to_value(self)
            .map_err(|error| Error::config(format!("{origin}: {error}")))?;
        if let Some(text) = control(&all) {
            return wrong(format!("{text:?} holds a control character"));
        }
        if let Some(library) = &self.plugin.library
            && !is_inside(library)
        {
            return wrong(format!(
                "plugin.library {library:?} leaves the plugin's folder"
            ));
        }
        if self.components.is_empty() {
            return wrong("there is no [[component]]".into());
        }
        for (index, entry) in self.components.iter().enumerate() {
            let place = format!("component {} {:?}", entry.kind, entry.name);
            check_name(&entry.name).or_else(|why| wrong(format!("{place}: the name {why}")))?;
            if self.components[..index]
                .iter()
                .any(|other| other.kind == entry.kind && other.name == entry.name)
            {
                return wrong(format!("{place} is there twice"));
            }
            if entry.kind != Kind::Command
                && !(entry.arguments.is_empty() && entry.subcommands.is_empty())
            {
                return wrong(format!("{place}: only commands have arguments"));
            }
            argument::check_all(&entry.arguments, &entry.subcommands)
                .or_else(|why| wrong(format!("{place}: {why}")))?;
        }
        for name in self.dependencies.keys() {
            check_name(name)
                .or_else(|why| wrong(format!("dependencies.{name:?}: the name {why}")))?;
            if *name == self.plugin.id {
                return wrong(format!(
                    "dependencies.{name}: a plugin does not need itself"
                ));
            }
        }
        self.permissions
            .check()
            .or_else(|why| wrong(format!("permissions: {why}")))
    }

    /// The entry of a component.
    pub fn component(&self, kind: Kind, name: &str) -> Option<&ComponentEntry> {
        self.components
            .iter()
            .find(|entry| entry.kind == kind && entry.name == name)
    }
}

/// The first string or key with a control character other than a tab or a line's end.
fn control(value: &Value) -> Option<&str> {
    let bad = |text: &&str| text.contains(|c: char| c.is_control() && !matches!(c, '\t' | '\n'));
    match value {
        Value::String(text) => Some(text.as_str()).filter(bad),
        Value::Array(values) => values.iter().find_map(control),
        Value::Object(entries) => entries
            .iter()
            .find_map(|(key, value)| Some(key.as_str()).filter(bad).or_else(|| control(value))),
        _ => None,
    }
}

/// Whether a name is lower-case letters, digits and hyphens, beginning with a letter, at most 64 characters.
fn check_name(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(good)
        || name.len() > 64
    {
        return Err("must be lower-case letters, digits and hyphens, begin with a letter and have at most 64".into());
    }
    Ok(())
}

/// Whether a relative path stays in its folder, on every system.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with(['/', '\\'])
        && !path.contains(':')
        && path
            .split(['/', '\\'])
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const GOOD: &str = "[plugin]\nid = \"shout\"\nversion = \"0.1.0\"\napi = \"1\"\ndescription = \"d\"\n\
                        [[component]]\nkind = \"metric\"\nname = \"shout-rate\"\n";

    #[test]
    fn a_small_manifest_is_enough() {
        let manifest = Manifest::parse(GOOD, "plugin.toml").unwrap();
        assert!(manifest.component(Kind::Metric, "shout-rate").is_some());
        assert!(manifest.permissions.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, word) in [
            (
                GOOD.replace("id = \"shout\"", "id = \"../up\""),
                "plugin.id \"../up\" must be",
            ),
            (GOOD.replace("0.1.0", "one"), "line 3: "),
            (
                GOOD.replace("description = \"d\"", "descripton = \"d\""),
                "unknown field `descripton`",
            ),
            (
                GOOD.replace(
                    "description = \"d\"",
                    "description = \"d\"\nlibrary = \"../x.so\"",
                ),
                "leaves the plugin's",
            ),
            (
                GOOD.replace("kind = \"metric\"", "kind = \"metrc\""),
                "line 7: unknown variant `metrc`",
            ),
            (GOOD.replace("shout-rate", "Shout"), "the name must be"),
            (
                format!("{GOOD}description = \"a\\u001b[2J\"\n"),
                "\"a\\u{1b}[2J\" holds a control character",
            ),
            (
                format!("{GOOD}\"\\u001b[2J\" = 1\n"),
                "unknown field `\u{fffd}[2J`",
            ),
            (
                format!("{GOOD}[[component]]\nkind = \"metric\"\nname = \"shout-rate\"\n"),
                "is there twice",
            ),
            (
                GOOD.split("[[").next().unwrap().to_owned(),
                "no [[component]]",
            ),
            (
                format!("{GOOD}[[component.argument]]\nname = \"x\"\n"),
                "only commands have arguments",
            ),
        ] {
            let error = Manifest::parse(&change, "plugin.toml").unwrap_err();
            assert!(error.message().contains(word), "{error} lacks {word}");
        }
    }

    #[test]
    fn what_it_needs_is_named_with_versions() {
        let with =
            |line: &str| Manifest::parse(&format!("{GOOD}[dependencies]\n{line}\n"), "plugin.toml");
        let manifest = with("words = \"^1.2\"").unwrap();
        assert_eq!(manifest.dependencies["words"].to_string(), "^1.2");
        for (line, word) in [
            ("shout = \"1\"", "does not need itself"),
            ("Words = \"1\"", "the name must be"),
            ("words = \"one\"", "line "),
        ] {
            let error = with(line).unwrap_err();
            assert!(error.message().contains(word), "{error} lacks {word}");
        }
    }
}
