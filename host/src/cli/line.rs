//! A command line that is run within another: `plugin dev` repeats one after every change.

use std::ffi::OsString;

use clap::FromArgMatches;
use codex_plugin_api::{Error, Result};

use super::parse::{complete_command, is_builtin};
use super::{Command, Global, dispatch, plugin_command};
use crate::app::App;
use crate::exit::Exit;
use crate::output::Output;

/// How a line ended.
pub(super) enum Outcome {
    /// It ran.
    Ran(Exit),
    /// It is wrong, or asks for help.
    Wrong(Box<clap::Error>),
}

/// The app with the line's own global options; what stands before the outer command holds as well.
fn with_globals(matches: &clap::ArgMatches, app: &App) -> Result<App> {
    let global =
        Global::from_arg_matches(matches).map_err(|error| Error::config(error.to_string()))?;
    let outer = &app.output;
    let output = Output::new(
        global.json || outer.is_json(),
        global.quiet || outer.is_quiet(),
        global.verbose.max(outer.verbosity()),
        global.color,
    );
    let inner = App::new(
        output,
        app.interrupt.clone(),
        app.plugin_dirs.clone(),
        global.threads.unwrap_or(app.threads).max(1),
    );
    Ok(inner.with_registry(app.registry()?))
}

/// Runs a line without the program's name, with the app's plugins and output.
///
/// # Errors
/// The command's own.
pub(super) fn run(words: &[OsString], app: &App) -> Result<Outcome> {
    let command = complete_command(app.registry()?.catalog());
    let name = OsString::from(command.get_name());
    let words = std::iter::once(&name).chain(words);
    let matches = match command.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return Ok(Outcome::Wrong(Box::new(error))),
    };
    let app = &with_globals(&matches, app)?;
    let exit = match matches.subcommand() {
        Some((name, matches)) if !is_builtin(name) => plugin_command::run(name, matches, app)?,
        _ => {
            let command = Command::from_arg_matches(&matches)
                .map_err(|error| Error::config(error.to_string()))?;
            dispatch(command, app)?
        }
    };
    Ok(Outcome::Ran(exit))
}
