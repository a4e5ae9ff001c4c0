//! Commands that plugins bring: from the manifest to the parser's terms and back to checked arguments. The plugin itself
//! is loaded only to run.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use codex_plugin_api::manifest::{Argument, ArgumentType, ComponentEntry, Subcommand};
use codex_plugin_api::{Arguments, Error, ErrorKind, Kind, Result};
use serde_json::{Map, Value};

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::discover::{Catalog, Plugin};

/// Every command of every plugin, in alphabetical order.
pub(super) fn commands(catalog: &Catalog) -> Vec<clap::Command> {
    let mut commands: Vec<clap::Command> = catalog
        .plugins
        .iter()
        .flat_map(|plugin| {
            plugin
                .manifest
                .components
                .iter()
                .map(move |entry| (plugin, entry))
        })
        .filter(|(_, entry)| entry.kind == Kind::Command)
        .map(|(plugin, entry)| command(plugin, entry))
        .collect();
    commands.sort_by(|a, b| a.get_name().cmp(b.get_name()));
    commands
}

/// The parser of a plugin's command.
pub(super) fn command(plugin: &Plugin, entry: &ComponentEntry) -> clap::Command {
    let about = plain(&entry.description);
    let about = if about.is_empty() {
        format!("A command of {}", plugin.id())
    } else {
        about
    };
    let mut command = clap::Command::new(entry.name.clone())
        .long_about(format!("{about}\n\nFrom plugin {}.", plugin.title()))
        .about(about)
        .version(plugin.manifest.plugin.version.to_string())
        .args(entry.arguments.iter().map(argument));
    if !entry.examples.is_empty() {
        let lines: Vec<String> = entry
            .examples
            .iter()
            .map(|line| format!("  {}", plain(line)))
            .collect();
        command = command.after_help(format!("Examples:\n{}", lines.join("\n")));
    }
    with_subcommands(command, &entry.arguments, &entry.subcommands)
}

/// A command with positional arguments runs by itself as well; one without needs one of its subcommands.
fn with_subcommands(
    mut command: clap::Command,
    arguments: &[Argument],
    subcommands: &[Subcommand],
) -> clap::Command {
    let needed = !subcommands.is_empty() && !arguments.iter().any(|one| one.positional);
    for subcommand in subcommands {
        let inner = clap::Command::new(subcommand.name.clone())
            .about(plain(&subcommand.description))
            .args(subcommand.arguments.iter().map(argument));
        command = command.subcommand(with_subcommands(
            inner,
            &subcommand.arguments,
            &subcommand.subcommands,
        ));
    }
    if needed {
        command = command
            .subcommand_required(true)
            .arg_required_else_help(true);
    }
    command
}

fn argument(declared: &Argument) -> Arg {
    let mut arg = Arg::new(declared.name.clone())
        .help(plain(&declared.help))
        .required(declared.required);
    if !declared.positional {
        arg = arg.long(declared.name.clone());
    }
    if let Some(short) = declared.short {
        arg = arg.short(short);
    }
    if declared.value_type == ArgumentType::Flag {
        return arg.action(ArgAction::SetTrue);
    }
    arg = match declared.value_type {
        ArgumentType::Integer => arg
            .value_parser(value_parser!(i64))
            .allow_negative_numbers(true),
        ArgumentType::Number => arg.value_parser(finite).allow_negative_numbers(true),
        ArgumentType::File => arg.value_hint(ValueHint::FilePath),
        ArgumentType::Folder => arg.value_hint(ValueHint::DirPath),
        _ if declared.choices.is_empty() => arg,
        _ => arg.value_parser(PossibleValuesParser::new(declared.choices.clone())),
    };
    let word = match declared.value_type {
        ArgumentType::Integer | ArgumentType::Number if !declared.positional => "N".to_owned(),
        ArgumentType::File if !declared.positional => "FILE".to_owned(),
        ArgumentType::Folder if !declared.positional => "DIR".to_owned(),
        _ => declared.name.to_uppercase().replace('-', "_"),
    };
    arg = arg.value_name(word);
    if declared.repeatable {
        arg = arg.action(ArgAction::Append);
        if declared.positional {
            arg = arg.num_args(1..);
        }
    }
    match &declared.default {
        Some(Value::Array(values)) => arg.default_values(values.iter().map(as_written)),
        Some(value) => arg.default_value(as_written(value)),
        None => arg,
    }
}

fn as_written(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err("it must be finite".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs the command `name` of a plugin with what the parser understood.
pub(super) fn run(name: &str, matches: &ArgMatches, app: &App) -> Result<Exit> {
    let registry = app.registry()?;
    let plugin = registry.owner(Kind::Command, name)?;
    let entry = plugin
        .manifest
        .component(Kind::Command, name)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Plugin,
                format!("plugin {} lost its command {name}", plugin.title()),
            )
        })?;
    let mut arguments = collect(entry, matches);
    if app.output.is_json() {
        // No argument can have this name. Without the option it is left out, for commands that know only their own.
        arguments.0.insert("json".into(), true.into());
    }
    let mut command = registry.create_command(name, &Value::Null)?;
    command
        .run(&arguments, &registry.host_for(plugin))
        .map(Exit::from_command)
}

/// The arguments as the plugin gets them.
pub(super) fn collect(entry: &ComponentEntry, matches: &ArgMatches) -> Arguments {
    let mut values = Map::new();
    read(&entry.arguments, matches, &mut values);
    let mut words = Vec::new();
    let (mut known, mut matches) = (&entry.subcommands, matches);
    while let Some((chosen, inner)) = matches.subcommand()
        && let Some(subcommand) = known.iter().find(|subcommand| subcommand.name == chosen)
    {
        words.push(chosen);
        read(&subcommand.arguments, inner, &mut values);
        (known, matches) = (&subcommand.subcommands, inner);
    }
    if !words.is_empty() {
        values.insert("subcommand".into(), words.join(" ").into());
    }
    Arguments(values)
}

fn read(declared: &[Argument], matches: &ArgMatches, values: &mut Map<String, Value>) {
    for argument in declared {
        let name = argument.name.as_str();
        let given: Vec<Value> = match argument.value_type {
            ArgumentType::Flag => vec![matches.get_flag(name).into()],
            ArgumentType::Integer => matches
                .get_many::<i64>(name)
                .into_iter()
                .flatten()
                .map(|n| (*n).into())
                .collect(),
            ArgumentType::Number => matches
                .get_many::<f64>(name)
                .into_iter()
                .flatten()
                .map(|n| (*n).into())
                .collect(),
            _ => matches
                .get_many::<String>(name)
                .into_iter()
                .flatten()
                .map(|text| text.clone().into())
                .collect(),
        };
        if argument.repeatable {
            values.insert(name.into(), given.into());
        } else if let Some(value) = given.into_iter().next() {
            values.insert(name.into(), value);
        }
    }
}

#[cfg(test)]
mod tests;
