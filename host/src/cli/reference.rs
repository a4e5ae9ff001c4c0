//! `docs/commands.md`, generated from the command line's own definitions: the test fails when the page is stale and
//! writes it anew when `CODEX_ML_WRITE_DOCS` is set. Commands of plugins are the plugins' affair.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::path::PathBuf;

use super::own_command;

const HEAD: &str = "# Commands\n\n<!-- Generated from the source: CODEX_ML_WRITE_DOCS=1 cargo test --release -p codex-ml reference -->\n\n\
Every command takes the global options. Results go to standard output, everything else to standard error. Exit codes: \
0 done, 1 failed, 2 wrong use or configuration, 3 a plugin was refused or failed, 4 data or model is bad, 130 interrupted.\n";

fn page() -> String {
    let mut root = own_command();
    root.build();
    let mut page = HEAD.to_owned();
    let globals: Vec<String> = root
        .get_arguments()
        .filter(|argument| {
            argument.is_global_set() || ["help", "version"].contains(&argument.get_id().as_str())
        })
        .map(row)
        .collect();
    write!(page, "\n## Global options\n\n{}", globals.concat()).unwrap();
    for command in root.get_subcommands() {
        section(&mut page, command, "codex-ml", 2);
    }
    page
}

fn section(page: &mut String, command: &clap::Command, parent: &str, level: usize) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let usage = command.clone().bin_name(&name).render_usage().to_string();
    let about = command
        .get_long_about()
        .or(command.get_about())
        .map(ToString::to_string)
        .unwrap_or_default();
    write!(
        page,
        "\n{} {name}\n\n{about}\n\n```text\n{}\n```\n",
        "#".repeat(level),
        usage.trim_start_matches("Usage: ")
    )
    .unwrap();
    let own: Vec<String> = command
        .get_arguments()
        .filter(|argument| !argument.is_global_set() && !argument.is_hide_set())
        .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        .map(row)
        .collect();
    if !own.is_empty() {
        write!(page, "\n{}", own.concat()).unwrap();
    }
    if let Some(after) = command.get_after_help() {
        let lines: Vec<String> = after
            .to_string()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect();
        write!(page, "\n```text\n{}\n```\n", lines.join("\n")).unwrap();
    }
    for inner in command.get_subcommands() {
        section(page, inner, &name, level + 1);
    }
}

fn row(argument: &clap::Arg) -> String {
    let written = argument.to_string();
    let short = argument
        .get_short()
        .map(|short| format!("`-{short}`, "))
        .unwrap_or_default();
    let help = argument
        .get_long_help()
        .or(argument.get_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    let help: Vec<&str> = help
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let mut notes = String::new();
    let choices: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|v| !v.is_hide_set())
        .map(|v| v.get_name().to_owned())
        .collect();
    if !choices.is_empty() && argument.get_action().takes_values() {
        write!(notes, " One of `{}`.", choices.join("`, `")).unwrap();
    }
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        write!(notes, " Default: `{}`.", defaults.join(" ")).unwrap();
    }
    format!("- {short}`{written}`: {}{notes}\n", help.join(" "))
}

#[test]
fn reference_of_commands_is_fresh() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let fresh = page();
    if std::env::var_os("CODEX_ML_WRITE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == fresh,
        "docs/commands.md is stale: CODEX_ML_WRITE_DOCS=1 cargo test --release -p codex-ml reference"
    );
}
