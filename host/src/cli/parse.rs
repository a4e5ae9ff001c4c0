//! From arguments to matches. Commands of plugins are part of the command line, but plugins are looked for only when the
//! line asks for one of them, for help, or for something that does not exist.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::Style;
use clap::error::ErrorKind;
use clap::{ArgMatches, ColorChoice, ValueEnum};
use codex_plugin_api::{Error, Kind};

use super::{own_command, plugin_command};
use crate::folders::Folders;
use crate::output::Color;
use crate::plugins::discover::{Catalog, discover};
use crate::plugins::gates::Stopped;

/// What a first look at the arguments tells, before they are parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Glance {
    /// `--json`.
    pub(super) json: bool,
    /// `--color`.
    pub(super) color: Color,
    /// Every `--plugin-dir`, wherever it stands: a parser keeps only those before or those after the subcommand.
    pub(super) plugin_dirs: Vec<PathBuf>,
    /// The first word that is no option.
    subcommand: Option<String>,
    /// `--version` before any subcommand.
    version: bool,
}

impl Glance {
    /// Looks at the arguments, the program's name first.
    pub(super) fn at(arguments: &[OsString]) -> Self {
        let mut glance = Self::default();
        let mut rest = arguments.iter().skip(1);
        while let Some(argument) = rest.next() {
            let word = argument.to_string_lossy();
            if word == "--" {
                break;
            }
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (&*word, None),
            };
            match name {
                "--json" => glance.json = true,
                "--plugin-dir" => glance
                    .plugin_dirs
                    .extend(value.or_else(|| rest.next().cloned()).map(PathBuf::from)),
                "--color" => {
                    let value = value.or_else(|| rest.next().cloned()).unwrap_or_default();
                    glance.color =
                        Color::from_str(&value.to_string_lossy(), true).unwrap_or_default();
                }
                "--threads" if value.is_none() => drop(rest.next()),
                "--version" | "-V" if glance.subcommand.is_none() => glance.version = true,
                _ if word.starts_with('-') => {}
                _ if glance.subcommand.is_none() => glance.subcommand = Some(word.into_owned()),
                _ => {}
            }
        }
        glance
    }

    fn needs_plugins(&self) -> bool {
        match self.subcommand.as_deref() {
            None => !self.version,
            Some("completions" | "help") => true,
            Some(name) => !is_builtin(name),
        }
    }
}

/// A command line that was understood.
pub(super) struct Parsed {
    pub(super) matches: ArgMatches,
    /// The plugins, where reading the line needed them.
    pub(super) catalog: Option<Catalog>,
    pub(super) plugin_dirs: Vec<PathBuf>,
}

/// Why there is nothing to run.
pub(super) enum Stop {
    /// Help was asked for, or the line is wrong.
    Usage(Box<clap::Error>),
    /// Looking for plugins failed.
    Error(Error),
}

/// Whether the host itself has a command of this name.
pub(super) fn is_builtin(name: &str) -> bool {
    own_command()
        .get_subcommands()
        .any(|command| command.get_name() == name)
}

/// Parses the arguments.
pub(super) fn parse(arguments: Vec<OsString>, glance: &Glance) -> Result<Parsed, Stop> {
    let mut command = own_command().color(match glance.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    });
    let catalog = if glance.needs_plugins() {
        let catalog =
            discover(&glance.plugin_dirs, &Folders::from_environment()).map_err(Stop::Error)?;
        command = with_plugins(command, &catalog);
        Some(catalog)
    } else {
        None
    };
    let matches = command.try_get_matches_from(arguments).map_err(|error| {
        let refused = catalog.as_ref().zip(glance.subcommand.as_deref());
        match refused.and_then(|(catalog, name)| refused_command(catalog, name)) {
            Some(refusal) if error.kind() == ErrorKind::InvalidSubcommand => Stop::Error(refusal),
            _ => Stop::Usage(Box::new(error)),
        }
    })?;
    Ok(Parsed {
        matches,
        catalog,
        plugin_dirs: glance.plugin_dirs.clone(),
    })
}

/// Why a command is missing that a refused plugin would bring.
fn refused_command(catalog: &Catalog, name: &str) -> Option<Error> {
    let declares = |stopped: &&Stopped| {
        let manifest = stopped.manifest.as_ref();
        manifest.is_some_and(|manifest| manifest.component(Kind::Command, name).is_some())
    };
    let stopped = catalog.refused.iter().find(declares)?;
    let error = stopped.refusal.to_error();
    let message = format!("command {name} cannot be used: {}", error.message());
    Some(error.with_message(message))
}

/// Adds the commands of plugins, under a heading of their own. The parser's library knows one heading for all
/// subcommands, so these are hidden from its list and written beside it.
fn with_plugins(mut command: clap::Command, catalog: &Catalog) -> clap::Command {
    let added = plugin_command::commands(catalog);
    if added.is_empty() {
        return command;
    }
    let heading = |text: &str| {
        let style: Style = *clap::builder::Styles::styled().get_header();
        format!("{style}{text}{style:#}")
    };
    let own = command
        .get_subcommands()
        .map(|command| command.get_name().len());
    let width = own
        .chain(added.iter().map(|command| command.get_name().len()))
        .max()
        .unwrap_or(0);
    let mut lines = vec![format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\n{{subcommands}}\n\n{}",
        heading("Commands:"),
        heading("Commands from plugins:")
    )];
    let name_style = *clap::builder::Styles::styled().get_literal();
    for added in added {
        let about = added
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        // Braces would be read as places to fill in.
        let about = about.replace(['{', '}'], "");
        let name = added.get_name();
        lines.push(format!(
            "  {name_style}{name:width$}{name_style:#}  {about}"
        ));
        command = command.subcommand(added.hide(true));
    }
    lines.push(format!("\n{}\n{{options}}", heading("Global options:")));
    command.help_template(lines.join("\n"))
}

/// The whole command line with the commands of plugins, as completion scripts need it.
pub(super) fn complete_command(catalog: &Catalog) -> clap::Command {
    plugin_command::commands(catalog)
        .into_iter()
        .fold(own_command(), clap::Command::subcommand)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::plugins::discover::{RESERVED_COMMANDS, tests::plugin};
    use crate::plugins::{Refusal, Step};

    fn glance(line: &str) -> Glance {
        Glance::at(
            &line
                .split_whitespace()
                .map(OsString::from)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn plugins_are_looked_for_only_when_the_line_needs_them() {
        for (line, needed) in [
            ("codex-ml", true),
            ("codex-ml --help", true),
            ("codex-ml help greet", true),
            ("codex-ml --version", false),
            ("codex-ml train --help", false),
            ("codex-ml --threads 2 train", false),
            ("codex-ml --color never --json env", false),
            ("codex-ml --color=never greet", true),
            ("codex-ml completions bash", true),
        ] {
            assert_eq!(glance(line).needs_plugins(), needed, "{line}");
        }
    }

    #[test]
    fn every_plugin_folder_counts_wherever_it_stands() {
        let seen =
            glance("codex-ml --plugin-dir a plugin list --plugin-dir=b --json -- --plugin-dir c");
        assert_eq!(seen.plugin_dirs, [PathBuf::from("a"), PathBuf::from("b")]);
        assert!(seen.json);
        assert_eq!(seen.subcommand.as_deref(), Some("plugin"));
    }

    #[test]
    fn a_command_of_a_refused_plugin_is_explained() {
        let greeter = plugin("greeter", &[(Kind::Command, "greet")], "libgreeter.so");
        let refusal = Refusal::new(&greeter.path, Step::Api, "built for API 2", "rebuild it");
        let manifest = Some(Box::new(greeter.manifest));
        let catalog = Catalog {
            refused: vec![Stopped { refusal, manifest }],
            ..Catalog::default()
        };
        let error = refused_command(&catalog, "greet").unwrap();
        assert_eq!(
            error.message(),
            "command greet cannot be used: plugin libgreeter.so is refused at step api: built for API 2"
        );
        assert!(refused_command(&catalog, "grete").is_none());
    }

    #[test]
    fn no_plugin_can_take_the_name_of_a_command() {
        for command in own_command().get_subcommands() {
            assert!(
                RESERVED_COMMANDS.contains(&command.get_name()),
                "{}",
                command.get_name()
            );
        }
        own_command().debug_assert();
    }
}
