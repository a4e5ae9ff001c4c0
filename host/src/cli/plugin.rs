//! `codex-ml plugin`: one file a subcommand.

mod doctor;
mod info;
mod install;
mod list;
mod remove;

use codex_plugin_api::Result;

use crate::app::App;
use crate::exit::Exit;

/// Arguments of `plugin`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the plugins that were found.
    List,
    /// Show what a plugin is, what it offers and what it asks for.
    Info(info::Args),
    /// Install a plugin from a built library, or from a folder with plugin.toml and a library.
    Install(install::Args),
    /// Remove an installed plugin.
    Remove(remove::Args),
    /// Try every plugin that was found; say why one is refused and what mends it (exit code 3).
    Doctor,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    match &args.command {
        Command::List => list::run(app),
        Command::Info(args) => info::run(args, app),
        Command::Install(args) => install::run(args, app),
        Command::Remove(args) => remove::run(args, app),
        Command::Doctor => doctor::run(app),
    }
}
