//! Arguments of plugin commands, declared so that help, validation and completion never run plugin code.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an argument's value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ArgumentType {
    /// Any text.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A flag without a value.
    Flag,
    /// A file, completed by the shell.
    File,
    /// A folder, completed by the shell.
    Folder,
}

/// One `[[component.argument]]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// The long name without dashes (`max-words`), or a positional argument's name.
    pub name: String,
    /// What its value is.
    #[serde(default, rename = "type")]
    pub value_type: ArgumentType,
    /// What `--help` says.
    #[serde(default)]
    pub help: String,
    /// One letter, for `-x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<char>,
    /// Given by place instead of by name.
    #[serde(default)]
    pub positional: bool,
    /// Must be given.
    #[serde(default)]
    pub required: bool,
    /// May be given several times; the values arrive as a list.
    #[serde(default)]
    pub repeatable: bool,
    /// Used when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The only values allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The plugin itself proposes values while the user types (see [`crate::Arguments::completing`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
}

/// One `[[component.subcommand]]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subcommand {
    /// Its name.
    pub name: String,
    /// What `--help` says.
    #[serde(default)]
    pub description: String,
    /// Its arguments.
    #[serde(default, rename = "argument", skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    /// Subcommands of its own.
    #[serde(default, rename = "subcommand", skip_serializing_if = "Vec::is_empty")]
    pub subcommands: Vec<Self>,
}

/// Names that the host uses itself, on every command.
const RESERVED: [&str; 9] = [
    "help",
    "json",
    "quiet",
    "verbose",
    "color",
    "version",
    "subcommand",
    "plugin-dir",
    "threads",
];

impl Argument {
    fn check(&self, others: &[Self]) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("argument {:?} {why}", self.name));
        if super::check_name(&self.name).is_err() {
            return wrong("must be named in lower-case letters, digits and hyphens");
        }
        if RESERVED.contains(&self.name.as_str()) {
            return wrong("has a name that the host uses itself");
        }
        if others.iter().any(|other| other.name == self.name) {
            return wrong("is there twice");
        }
        if self.short.is_some_and(|short| {
            !short.is_ascii_alphabetic()
                || "hqvV".contains(short)
                || others.iter().any(|o| o.short == self.short)
        }) {
            return wrong(
                "has a short name that is no letter or taken (-h, -q, -v and -V are the host's)",
            );
        }
        if self.value_type == ArgumentType::Flag
            && (self.positional
                || self.required
                || self.repeatable
                || self.default.is_some()
                || !self.choices.is_empty())
        {
            return wrong("is a flag, so it has no place, no default and no choices");
        }
        if self.required && self.default.is_some() {
            return wrong("is required, so its default is never used");
        }
        if let Some(default) = &self.default {
            let values = match default {
                Value::Array(values) if self.repeatable => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            let fits = |value: &Value| match self.value_type {
                ArgumentType::Integer => value.is_i64(),
                ArgumentType::Number => value.is_number(),
                ArgumentType::Text | ArgumentType::File | ArgumentType::Folder => {
                    value.as_str().is_some_and(|text| {
                        self.choices.is_empty() || self.choices.iter().any(|choice| choice == text)
                    })
                }
                ArgumentType::Flag => false,
            };
            if !values.iter().all(fits) {
                return wrong(
                    "has a default of another type, or one that is not among its choices",
                );
            }
        }
        if !self.choices.is_empty() && self.value_type != ArgumentType::Text {
            return wrong("has choices, so its type must be text");
        }
        let by_itself = !self.choices.is_empty()
            || matches!(
                self.value_type,
                ArgumentType::Flag | ArgumentType::File | ArgumentType::Folder
            );
        if self.complete && by_itself {
            return wrong(
                "is completed without the plugin: complete is for texts and numbers without choices",
            );
        }
        Ok(())
    }
}

/// Checks the arguments of one command and of its subcommands.
pub(super) fn check_all(arguments: &[Argument], subcommands: &[Subcommand]) -> Result<(), String> {
    check_below(&[], arguments, subcommands)
}

/// `outer` are the arguments of the commands above, whose values come in the same map.
fn check_below(
    outer: &[Argument],
    arguments: &[Argument],
    subcommands: &[Subcommand],
) -> Result<(), String> {
    let mut known = outer.to_vec();
    for (index, argument) in arguments.iter().enumerate() {
        argument.check(&known)?;
        check_place(argument, &arguments[..index])?;
        known.push(argument.clone());
    }
    for (index, subcommand) in subcommands.iter().enumerate() {
        if super::check_name(&subcommand.name).is_err() || subcommand.name == "help" {
            return Err(format!("subcommand {:?} has a bad name", subcommand.name));
        }
        if subcommands[..index]
            .iter()
            .any(|other| other.name == subcommand.name)
        {
            return Err(format!("subcommand {:?} is there twice", subcommand.name));
        }
        check_below(&known, &subcommand.arguments, &subcommand.subcommands)
            .map_err(|why| format!("subcommand {:?}: {why}", subcommand.name))?;
    }
    Ok(())
}

/// Places count within one command: what is positional above a subcommand is not given when the subcommand is.
fn check_place(argument: &Argument, earlier: &[Argument]) -> Result<(), String> {
    let unclear = argument.positional
        && earlier.iter().any(|other| {
            other.positional && (other.repeatable || !other.required && argument.required)
        });
    if unclear {
        return Err(format!(
            "argument {:?} is positional and follows one that is optional or repeatable",
            argument.name
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn check(toml: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Table {
            argument: Vec<Argument>,
        }
        check_all(&toml::from_str::<Table>(toml).unwrap().argument, &[])
    }

    #[test]
    fn arguments_are_checked() {
        for (toml, word) in [
            ("[[argument]]\nname = \"json\"", "the host uses itself"),
            (
                "[[argument]]\nname = \"x\"\n[[argument]]\nname = \"x\"",
                "twice",
            ),
            ("[[argument]]\nname = \"x\"\nshort = \"h\"", "short name"),
            (
                "[[argument]]\nname = \"x\"\ntype = \"flag\"\nrequired = true",
                "is a flag",
            ),
            (
                "[[argument]]\nname = \"x\"\ntype = \"integer\"\ndefault = \"a\"",
                "another type",
            ),
            (
                "[[argument]]\nname = \"x\"\nchoices = [\"a\"]\ndefault = \"b\"",
                "not among",
            ),
            (
                "[[argument]]\nname = \"x\"\npositional = true\n[[argument]]\nname = \"y\"\npositional = true\nrequired = true",
                "follows one",
            ),
            (
                "[[argument]]\nname = \"x\"\ntype = \"file\"\ncomplete = true",
                "without the plugin",
            ),
            (
                "[[argument]]\nname = \"x\"\nchoices = [\"a\"]\ncomplete = true",
                "without the plugin",
            ),
        ] {
            let error = check(toml).unwrap_err();
            assert!(error.contains(word), "{error} lacks {word}");
        }
        check("[[argument]]\nname = \"n\"\ntype = \"integer\"\ndefault = 3\nshort = \"n\"")
            .unwrap();
        check("[[argument]]\nname = \"n\"\ncomplete = true").unwrap();
    }

    #[test]
    fn subcommands_have_places_and_subcommands_of_their_own() {
        #[derive(Deserialize)]
        struct Table {
            argument: Vec<Argument>,
            subcommand: Vec<Subcommand>,
        }
        let check = |inner: &str| {
            let outer = "[[argument]]\nname = \"path\"\npositional = true\nrepeatable = true\n\
                 [[subcommand]]\nname = \"rules\"\n[[subcommand.subcommand]]\nname = \"explain\"\n";
            let table: Table = toml::from_str(&format!("{outer}{inner}")).unwrap();
            check_all(&table.argument, &table.subcommand)
        };
        let argument = "[[subcommand.subcommand.argument]]\npositional = true\nrequired = true\n";
        check(&format!("{argument}name = \"rule\"")).unwrap();
        for (inner, word) in [
            (
                format!("{argument}name = \"path\""),
                "\"rules\": subcommand \"explain\": argument \"path\" is there twice",
            ),
            (
                "[[subcommand.subcommand]]\nname = \"explain\"".into(),
                "\"explain\" is there twice",
            ),
            (
                "[[subcommand.subcommand]]\nname = \"help\"".into(),
                "bad name",
            ),
        ] {
            let error = check(&inner).unwrap_err();
            assert!(error.contains(word), "{error} lacks {word}");
        }
    }
}
