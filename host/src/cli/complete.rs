//! `codex-ml __complete SHELL INDEX WORD …`: what could stand in the place of one word of a command line. The scripts that
//! `codex-ml completions` writes ask it at every key, so commands of plugins that were installed since are known. No code of a
//! plugin runs, except where its manifest wants to be asked for an argument's values: [`values`].

mod shells;
pub(super) mod values;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, ValueCompleter, complete};
use codex_plugin_api::manifest::{Argument, ComponentEntry, Subcommand};
use codex_plugin_api::{Arguments, Kind};

use super::parse::{Glance, complete_command};
use super::plugin_command;
use crate::folders::Folders;
use crate::output::{Color, Output, plain};
use crate::plugins::discover::{Catalog, discover};
pub(super) use shells::{Shell, script};
use values::Question;

/// The argument that makes this executable answer a shell.
pub(super) const WORD: &str = "__complete";

/// Answers a shell. Whatever is wrong, it proposes nothing and says nothing: the user is in the middle of a word.
pub(super) fn serve(arguments: &[OsString]) -> ExitCode {
    let [shell, index, words @ ..] = arguments else {
        return ExitCode::from(2);
    };
    let shell = shell.to_str().and_then(Shell::of_word);
    let index = index.to_str().and_then(|text| text.parse::<usize>().ok());
    let (Some(shell), Some(index)) = (shell, index) else {
        return ExitCode::from(2);
    };
    let line = shell.line(words, index);
    let text: String = candidates(&line)
        .iter()
        .filter_map(|candidate| shell.show(candidate, &line))
        .collect();
    // A shell that went away needs no answer.
    let _ = Output::new(false, true, 0, Color::Never).write(&text);
    ExitCode::SUCCESS
}

/// A command line, and which word of it is being typed.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    words: Vec<OsString>,
    index: usize,
    /// How many bytes of the word the shell takes for another word: bash breaks words at `=` and `:`.
    before: usize,
}

fn candidates(line: &Line) -> Vec<CompletionCandidate> {
    let typed = &line.words[..line.index.min(line.words.len())];
    let plugin_dirs = Glance::at(typed).plugin_dirs;
    let catalog = discover(&plugin_dirs, &Folders::from_environment()).unwrap_or_default();
    among(line, &catalog, &plugin_dirs)
}

/// What could stand there with these plugins.
fn among(line: &Line, catalog: &Catalog, plugin_dirs: &[PathBuf]) -> Vec<CompletionCandidate> {
    let typed = &line.words[..line.index.min(line.words.len())];
    let mut command = asking(complete_command(catalog), catalog, plugin_dirs, typed);
    let folder = std::env::current_dir().ok();
    complete(
        &mut command,
        line.words.clone(),
        line.index,
        folder.as_deref(),
    )
    .unwrap_or_default()
}

/// The command line in which arguments know whom to ask for their values.
fn asking(
    mut command: clap::Command,
    catalog: &Catalog,
    plugin_dirs: &[PathBuf],
    typed: &[OsString],
) -> clap::Command {
    for plugin in &catalog.plugins {
        for entry in &plugin.manifest.components {
            if entry.kind == Kind::Command && wants_to_be_asked(entry) {
                let given = given(catalog, entry, typed);
                command = command.mut_subcommand(&entry.name, |command| {
                    with_values(command, plugin_dirs, entry, &given)
                });
            }
        }
    }
    command
}

/// Completes the first word behind `plugin run`.
#[derive(Clone, Copy, Debug)]
pub(super) struct FullNames;

impl ValueCompleter for FullNames {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        self.complete_at(0, current)
    }

    fn complete_at(&self, index: usize, current: &OsStr) -> Vec<CompletionCandidate> {
        let Some(current) = current.to_str().filter(|_| index == 0) else {
            return Vec::new();
        };
        // The line that is completed stands among this process's arguments.
        let line: Vec<OsString> = std::env::args_os().collect();
        let plugin_dirs = Glance::at(&line).plugin_dirs;
        let catalog = discover(&plugin_dirs, &Folders::from_environment()).unwrap_or_default();
        let names = qualified(&catalog).into_iter();
        names
            .filter(|name| name.starts_with(current))
            .map(CompletionCandidate::new)
            .collect()
    }
}

/// `PLUGIN:COMMAND` of every plugin that was found, in use or not.
fn qualified(catalog: &Catalog) -> Vec<String> {
    let plugins = catalog.plugins.iter().chain(&catalog.shadowed);
    let refused = catalog
        .refused
        .iter()
        .filter_map(|stopped| stopped.manifest.as_deref());
    let manifests = plugins.map(|plugin| &plugin.manifest).chain(refused);
    let mut names: Vec<String> = manifests
        .flat_map(|manifest| {
            let commands = manifest.components.iter();
            commands
                .filter(|entry| entry.kind == Kind::Command)
                .map(|entry| format!("{}:{}", manifest.plugin.id, entry.name))
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn wants_to_be_asked(entry: &ComponentEntry) -> bool {
    fn any(arguments: &[Argument], subcommands: &[Subcommand]) -> bool {
        let inner = subcommands
            .iter()
            .any(|one| any(&one.arguments, &one.subcommands));
        inner || arguments.iter().any(|argument| argument.complete)
    }
    any(&entry.arguments, &entry.subcommands)
}

/// What was typed for a plugin's command so far, as it will get it: as far as it can be understood.
fn given(catalog: &Catalog, entry: &ComponentEntry, typed: &[OsString]) -> Arguments {
    let matches = complete_command(catalog)
        .ignore_errors(true)
        .try_get_matches_from(typed);
    match matches.as_ref().map(clap::ArgMatches::subcommand) {
        Ok(Some((name, matches))) if name == entry.name => plugin_command::collect(entry, matches),
        _ => Arguments::default(),
    }
}

fn with_values(
    command: clap::Command,
    plugin_dirs: &[PathBuf],
    entry: &ComponentEntry,
    given: &Arguments,
) -> clap::Command {
    let ask = |argument: &Argument| {
        let question = Question::new(plugin_dirs, &entry.name, &argument.name, given);
        ArgValueCompleter::new(move |prefix: &OsStr| proposals(&question, prefix))
    };
    with_completers(command, &entry.arguments, &entry.subcommands, &ask)
}

fn with_completers(
    mut command: clap::Command,
    arguments: &[Argument],
    subcommands: &[Subcommand],
    ask: &dyn Fn(&Argument) -> ArgValueCompleter,
) -> clap::Command {
    for argument in arguments.iter().filter(|one| one.complete) {
        command = command.mut_arg(&argument.name, |arg| arg.add(ask(argument)));
    }
    for subcommand in subcommands {
        command = command.mut_subcommand(&subcommand.name, |inner| {
            with_completers(inner, &subcommand.arguments, &subcommand.subcommands, ask)
        });
    }
    command
}

fn proposals(question: &Question, prefix: &OsStr) -> Vec<CompletionCandidate> {
    let Some(prefix) = prefix.to_str() else {
        return Vec::new();
    };
    let proposed = question.ask(prefix).into_iter();
    proposed
        .filter(|(value, _)| value.starts_with(prefix))
        .map(|(value, about)| {
            CompletionCandidate::new(value).help(about.map(|about| plain(&about).into()))
        })
        .collect()
}

#[cfg(test)]
mod tests;
