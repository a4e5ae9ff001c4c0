//! `codex-ml sanitize`: the sanitizers over files. [`settings`] reads the arguments, [`sources`] finds the files, [`reader`]
//! cuts them into pieces, [`scanning`] has all cores scan these, [`destination`] writes what was redacted, [`report`] tells
//! it. What is done with findings is [`codex_redaction`]'s, as everywhere.

mod asking;
mod columns;
mod destination;
mod folders;
mod known;
mod piece;
mod policy;
mod reader;
mod report;
mod rules;
mod scan;
mod scanning;
mod settings;
mod sources;
mod staged;
mod table;

use codex_plugin_api::{Arguments, Command, Completing, Error, HostRef, Result};

/// `sanitize`, `sanitize rules list|explain|test` and `sanitize policy check`.
#[derive(Debug, Default)]
pub struct SanitizeCommand;

impl Command for SanitizeCommand {
    fn run(&mut self, arguments: &Arguments, host: &HostRef) -> Result<i32> {
        if let Some(typing) = arguments.completing() {
            return complete(typing, host);
        }
        match arguments.subcommand() {
            None => scan::run(arguments, host),
            Some("rules list") => rules::list(arguments, host),
            Some("rules explain") => rules::explain(arguments, host),
            Some("rules test") => rules::test(arguments, host),
            Some("policy check") => policy::check(arguments, host),
            Some(other) => Err(
                Error::config(format!("sanitize has no subcommand {other:?}"))
                    .hint("use rules list, rules explain, rules test or policy check"),
            ),
        }
    }
}

/// Rules by their ids.
fn complete(typing: Completing<'_>, host: &HostRef) -> Result<i32> {
    if ["rule", "disable"].contains(&typing.argument) {
        let set = crate::rules::builtin::load()?;
        let lines: Vec<String> = set
            .rules
            .iter()
            .filter(|rule| rule.id.starts_with(typing.prefix))
            .map(|rule| format!("{}\t{}\n", rule.id, rule.description))
            .collect();
        host.print(&lines.concat())?;
    }
    Ok(0)
}

/// A path as people read it: parted by `/`, nothing that moves a cursor.
fn shown(path: &str) -> String {
    path.chars()
        .flat_map(|letter| {
            let escaped = letter.is_control();
            let plain = (!escaped).then_some(letter);
            let escape = escaped.then(|| letter.escape_default());
            plain.into_iter().chain(escape.into_iter().flatten())
        })
        .collect()
}
