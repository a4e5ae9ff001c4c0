//! `codex-ml plugin pin`.

use codex_packages::session::{Edit, Goal};
use codex_plugin_api::{Context, Error, Result};
use semver::Version;

use super::packages::{FetchArgs, ScopeArgs, reach};
use crate::app::App;
use crate::exit::Exit;
use crate::plugins::packages::Room;

/// Arguments of `plugin pin`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Hold plugins at a version, whoever asks for others.\n\nWithout a version: at the one in use. The pin stands \
                  in codex-plugins.toml; codex-ml plugin unpin takes it away.",
    after_help = "Examples:\n  codex-ml plugin pin word-list\n  codex-ml plugin pin word-list@1.2.0"
)]
pub(super) struct Args {
    /// Plugins, each with a version where not the one in use is meant.
    #[arg(required = true, value_name = "NAME[@VERSION]")]
    plugins: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let goal = Goal {
        what: format!("pin {}", args.plugins.join(" ")),
        edits: args
            .plugins
            .iter()
            .map(|text| edit(text))
            .collect::<Result<_>>()?,
        ..Goal::default()
    };
    reach(
        app,
        &Room::open(app, args.scope.which())?,
        &args.fetch,
        &goal,
        false,
    )
}

fn edit(text: &str) -> Result<Edit> {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    codex_packages::names::check(name)?;
    let parse = |version: &str| {
        Version::parse(version).or_error(|| {
            Error::config(format!("{version:?} in {text:?} is no version"))
                .hint("a pin is one version, as codex-ml plugin pin NAME@1.2.3")
        })
    };
    Ok(Edit::Pin(name.to_owned(), version.map(parse).transpose()?))
}
