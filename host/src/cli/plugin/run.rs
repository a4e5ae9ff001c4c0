//! `codex-ml plugin run PLUGIN:COMMAND`: reaches every command, whoever has its short name.

use std::ffi::OsString;

use clap_complete::engine::ArgValueCompleter;
use codex_plugin_api::{Error, Kind, Result};

use crate::app::App;
use crate::cli::complete::FullNames;
use crate::cli::plugin_command;
use crate::exit::Exit;
use crate::plugins::conformance::alone;
use crate::plugins::discover::Catalog;
use crate::plugins::nearest::nearest;
use crate::plugins::{Plugin, Registry, Step};

/// Arguments of `plugin run`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Run a plugin's command by its full name.\n\nA command whose name another plugin or codex-ml itself has is refused \
                  its short name; it is run all the same in this way. Options of codex-ml's own stand before the name: what stands \
                  behind it is the command's.",
    after_help = "Examples:\n  codex-ml plugin run greeter:greet --times 2\n  codex-ml plugin run greeter:greet --help"
)]
pub(super) struct Args {
    /// The plugin's id and its command, and what the command gets.
    #[arg(
        value_name = "PLUGIN:COMMAND [ARGUMENT]",
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        add = ArgValueCompleter::new(FullNames)
    )]
    words: Vec<OsString>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let registry = app.registry()?;
    let catalog = registry.catalog();
    let (command, arguments) = args
        .words
        .split_first()
        .ok_or_else(|| unknown("", catalog))?;
    let command = command.to_string_lossy();
    let plugin = find(&command, catalog)?;
    let name = command.rsplit(':').next().unwrap_or_default();
    let entry = plugin
        .manifest
        .component(Kind::Command, name)
        .ok_or_else(|| unknown(&command, catalog))?;
    let title = format!("codex-ml plugin run {command}");
    let parser = plugin_command::command(&plugin, entry)
        .bin_name(title.clone())
        .disable_version_flag(true);
    let words = std::iter::once(OsString::from(title)).chain(arguments.iter().cloned());
    let matches = match parser.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return Ok(app.output.usage(&error)),
    };
    let registry = Registry::of(first(&plugin, catalog), app);
    let own = App::new(
        app.output.clone(),
        app.interrupt.clone(),
        app.plugin_dirs.clone(),
        app.threads,
    );
    plugin_command::run(name, &matches, &own.with_registry(registry))
}

/// The plugin that is meant: one in use, one that another of its id shadows, or one whose names were taken.
fn find(command: &str, catalog: &Catalog) -> Result<Plugin> {
    let (id, name) = command
        .split_once(':')
        .ok_or_else(|| unknown(command, catalog))?;
    let has = |manifest: &codex_plugin_api::Manifest| {
        manifest.plugin.id == id && manifest.component(Kind::Command, name).is_some()
    };
    let mut found = catalog.plugins.iter().chain(&catalog.shadowed);
    if let Some(plugin) = found.find(|plugin| has(&plugin.manifest)) {
        return Ok(plugin.clone());
    }
    let stopped = catalog
        .refused
        .iter()
        .find(|stopped| stopped.manifest.as_deref().is_some_and(has))
        .ok_or_else(|| unknown(command, catalog))?;
    // Whatever else is wrong with it stays wrong; a name that is taken is what this command is for.
    if stopped.refusal.step != Step::Name {
        return Err(stopped.refusal.to_error());
    }
    alone(&stopped.refusal.path)?
        .plugins
        .into_iter()
        .next()
        .ok_or_else(|| unknown(command, catalog))
}

/// The catalogue in which this plugin comes first, so that its names are its own. The others may be asked for components.
fn first(plugin: &Plugin, catalog: &Catalog) -> Catalog {
    let others = catalog
        .plugins
        .iter()
        .filter(|other| other.id() != plugin.id());
    Catalog {
        plugins: std::iter::once(plugin).chain(others).cloned().collect(),
        ..catalog.clone()
    }
}

fn unknown(command: &str, catalog: &Catalog) -> Error {
    let names: Vec<String> = catalog
        .plugins
        .iter()
        .flat_map(|plugin| {
            let commands = plugin.manifest.components.iter();
            commands
                .filter(|entry| entry.kind == Kind::Command)
                .map(|entry| format!("{}:{}", plugin.id(), entry.name))
        })
        .collect();
    let error = Error::config(format!("there is no command {command:?} of a plugin"));
    let one = names
        .iter()
        .find(|name| name.ends_with(&format!(":{command}")));
    match one
        .map(String::as_str)
        .or_else(|| nearest(command, names.iter().map(String::as_str)))
    {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None if names.is_empty() => error
            .hint("no plugin that offers a command can be used; codex-ml plugin doctor says more"),
        None => error.hint(format!("there are {}", names.join(", "))),
    }
}
