//! `codex-ml plugin policy`.

use codex_packages::trust::{Policy, policy_files};
use codex_plugin_api::{Context, Error, Result};
use serde_json::{Value, json};

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;

/// Arguments of `plugin policy`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the policy files, and what they come to together.
    Show,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    match args.command {
        Command::Show => show(app),
    }
}

fn show(app: &App) -> Result<Exit> {
    let places = policy_files(app.folders.data.as_deref());
    let policy = Policy::read(&places)?;
    let merged = policy.merged();
    if app.output.is_json() {
        let files: Vec<Value> = policy
            .files()
            .iter()
            .map(|(path, rules)| json!({"path": path, "rules": rules}))
            .collect();
        app.output
            .value(&json!({"places": places, "files": files, "policy": merged}))?;
        return Ok(Exit::Done);
    }
    let mut lines = Vec::new();
    for place in &places {
        let there = policy.files().iter().any(|(path, _)| path == place);
        let word = if there { "read" } else { "not there" };
        lines.push(format!("# {} ({word})", place.display()));
    }
    let text = toml::to_string(&merged)
        .or_error(|| Error::failed("the policy cannot be written as TOML"))?;
    lines.push(text);
    app.output.line(plain(lines.join("\n").trim_end()))?;
    Ok(Exit::Done)
}
