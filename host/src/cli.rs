//! The command line: global options, one file a command, and the way from an error to an exit code.

mod adapters;
mod complete;
mod completions;
mod config;
mod data;
mod embed;
mod env;
mod evaluate;
mod generate;
mod input;
mod line;
mod parse;
mod plugin;
mod plugin_command;
#[cfg(test)]
mod reference;
mod registry;
mod runs;
mod settings;
mod signing;
mod tokenizer;
mod train;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use codex_plugin_api::{Error, Result};

use crate::app::App;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::{Color, Output};
use crate::plugins::probe;
use parse::{Glance, Parsed, Stop};

/// Trains, evaluates and runs small language models; every ability is a plugin.
#[derive(Debug, Parser)]
#[command(name = "codex-ml", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Print results as JSON: one document, or one object a line for streams.
    #[arg(long, global = true)]
    json: bool,
    /// Print nothing but results, warnings and errors.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more; twice for debugging.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Use colour.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
    /// Look for plugins in this folder first; repeatable.
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    plugin_dir: Vec<PathBuf>,
    /// How many threads to use [default: all cores].
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
}

/// The host's own commands. Those of plugins come beside them.
// Where a command's arguments bring a long description, `about` stands instead of a doc comment, which would replace it.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(about = "Train a model; without a config, a small one on the built-in grammar")]
    Train(train::Args),
    /// Show what a run would be told, and where each value comes from.
    Config(config::Args),
    /// List and show runs.
    Runs(runs::Args),
    #[command(
        about = "Measure how well a model predicts text: loss, perplexity, bits per byte, other metrics"
    )]
    Evaluate(evaluate::Args),
    #[command(about = "Continue texts with a model")]
    Generate(generate::Args),
    #[command(about = "Turn texts into vectors of numbers")]
    Embed(embed::Args),
    #[command(about = "Train, use and examine tokenizers")]
    Tokenizer(tokenizer::Args),
    /// Look at datasets.
    Data(data::Args),
    /// Install, list and examine plugins.
    Plugin(plugin::Args),
    /// Use registries of plugins, and run them.
    Registry(registry::Args),
    /// Show what this machine and this build are, and where codex-ml looks for things.
    Env,
    #[command(
        about = "Write a completion script for a shell, commands of installed plugins included"
    )]
    Completions(completions::Args),
}

/// Runs one command line; `arguments` begin with the program's name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    // A plugin that is tried out runs alone in a process, which needs nothing of what follows.
    if let [_, word, rest @ ..] = arguments.as_slice()
        && word == probe::WORD
    {
        return probe::serve(rest);
    }
    // So do a shell that completes a line, and a plugin's command that it asks.
    if let [_, word, rest @ ..] = arguments.as_slice() {
        if word == complete::WORD {
            return complete::serve(rest);
        }
        if word == complete::values::WORD {
            return complete::values::serve(rest);
        }
    }
    let glance = Glance::at(&arguments);
    let early = Output::new(glance.json, false, 0, glance.color);
    let parsed = match parse::parse(arguments, &glance) {
        Ok(parsed) => parsed,
        Err(Stop::Usage(error)) => return early.usage(&error).into(),
        Err(Stop::Error(error)) => return report(&early, &error),
    };
    let Parsed {
        matches,
        catalog,
        plugin_dirs,
    } = parsed;
    let global = match Global::from_arg_matches(&matches) {
        Ok(global) => global,
        Err(error) => return early.usage(&error).into(),
    };
    let output = Output::new(global.json, global.quiet, global.verbose, global.color);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = global.threads.unwrap_or(cores).max(1);
    let exit = Interrupt::from_signals().and_then(|interrupt| {
        let mut app = App::new(output.clone(), interrupt, plugin_dirs, threads);
        if let Some(catalog) = catalog {
            app = app.with_catalog(catalog);
        }
        let exit = match matches.subcommand() {
            Some((name, matches)) if !parse::is_builtin(name) => {
                plugin_command::run(name, matches, &app)
            }
            _ => Command::from_arg_matches(&matches)
                .map_err(|error| Error::config(error.to_string()))
                .and_then(|command| dispatch(command, &app)),
        };
        exit.inspect_err(|_| {
            // From here on they clean what is shown. Where they cannot be created, that may be what the error says.
            let _ = app.sanitizers();
        })
    });
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => report(&output, &error),
    }
}

fn report(output: &Output, error: &Error) -> ExitCode {
    output.error(error);
    Exit::of(error).into()
}

fn dispatch(command: Command, app: &App) -> Result<Exit> {
    match command {
        Command::Train(args) => train::run(&args, app),
        Command::Config(args) => config::run(&args, app),
        Command::Runs(args) => runs::run(&args, app),
        Command::Evaluate(args) => evaluate::run(&args, app),
        Command::Generate(args) => generate::run(&args, app),
        Command::Embed(args) => embed::run(&args, app),
        Command::Tokenizer(args) => tokenizer::run(&args, app),
        Command::Data(args) => data::run(&args, app),
        Command::Plugin(args) => plugin::run(&args, app),
        Command::Registry(args) => registry::run(&args, app),
        Command::Env => env::run(app),
        Command::Completions(args) => completions::run(&args, app),
    }
}

/// The whole command line without the plugins' part.
fn own_command() -> clap::Command {
    Cli::command()
}
