//! `codex-ml data`: look at datasets.

mod inspect;

use clap::Subcommand;
use codex_plugin_api::Result;

use crate::app::App;
use crate::exit::Exit;

/// Arguments of `data`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what a dataset holds: its columns, its size, its first documents.
    Inspect(inspect::Args),
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    match &args.command {
        Action::Inspect(args) => inspect::run(args, app),
    }
}
