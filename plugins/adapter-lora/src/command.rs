//! `codex-ml lora`: what can be done with a saved adapter. One subcommand a file.

mod convert;
mod extract;
mod inspect;
mod merge;
mod model;
mod output;
mod table;

use codex_plugin_api::{Arguments, Command, Error, HostRef, Result};
use serde_json::Value;

/// `merge`, `extract`, `inspect` and `convert`.
#[derive(Debug, Default)]
pub struct LoraCommand;

impl Command for LoraCommand {
    fn run(&mut self, arguments: &Arguments, host: &HostRef) -> Result<i32> {
        if arguments.completing().is_some() {
            return Ok(0);
        }
        let done = match arguments.subcommand() {
            Some("merge") => merge::run(arguments, host)?,
            Some("extract") => extract::run(arguments, host)?,
            Some("inspect") => inspect::run(arguments)?,
            Some("convert") => convert::run(arguments)?,
            other => {
                return Err(Error::config(format!(
                    "lora has no subcommand {:?}",
                    other.unwrap_or_default()
                ))
                .hint("use merge, extract, inspect or convert"));
            }
        };
        if arguments.flag("json") {
            host.print(&format!("{}\n", done.json))?;
        } else {
            host.print(&done.text)?;
        }
        Ok(0)
    }
}

/// The result of a subcommand, for people and for programs.
struct Done {
    text: String,
    json: Value,
}

/// An argument that the manifest declares as required.
fn required<'a>(arguments: &'a Arguments, name: &str) -> Result<&'a str> {
    arguments
        .text(name)
        .ok_or_else(|| Error::config(format!("--{name} is missing")))
}

/// A rank from the command line.
fn rank(arguments: &Arguments) -> Result<Option<u32>> {
    arguments
        .integer("rank")
        .map(|rank| {
            u32::try_from(rank)
                .ok()
                .filter(|rank| *rank > 0)
                .ok_or_else(|| {
                    Error::config(format!("--rank is {rank}")).hint("a rank is at least 1")
                })
        })
        .transpose()
}

fn interrupted(host: &HostRef) -> Result<()> {
    if host.interrupted() {
        return Err(Error::interrupted());
    }
    Ok(())
}
