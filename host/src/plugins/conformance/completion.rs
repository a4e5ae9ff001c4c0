//! Asks a command for values of its arguments as a shell does while its user types, and holds the answer against what
//! `codex_plugin_api::Arguments::completing` promises.

use std::time::{Duration, Instant};

use codex_plugin_api::manifest::{Argument, ComponentEntry, Subcommand};
use codex_plugin_api::testing::Outcome;
use codex_plugin_api::{Arguments, Command, Completing, HostRef, Result};
use serde_json::{Map, Value, json};

use super::in_one_line;
use crate::output::Kept;
use crate::plugins::registry::Registry;

/// How long a plugin may think when a shell asks it. A user who presses a key waits no longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Tries every argument that the manifest declares with `complete = true`; none where there is no such argument.
pub(super) fn check(
    registry: &Registry,
    entry: &ComponentEntry,
    config: &Value,
) -> Option<Outcome> {
    let mut asked = questions(entry).peekable();
    asked.peek()?;
    for (argument, given) in asked {
        let answer = registry
            .create_overheard(&entry.name, config)
            .map_err(|error| in_one_line(&error))
            .and_then(|(mut command, host, kept)| ask(&mut *command, &host, &kept, &given));
        if let Err(why) = answer {
            return Some(Outcome::Failed(format!("argument {argument}: {why}")));
        }
    }
    Some(Outcome::Passed)
}

/// Each argument that wants to be asked for, with the question: nothing is typed yet but the subcommand that has it.
fn questions(entry: &ComponentEntry) -> impl Iterator<Item = (&str, Arguments)> {
    let mut found = Vec::new();
    collect("", &entry.arguments, &entry.subcommands, &mut found);
    found.into_iter()
}

fn collect<'a>(
    chosen: &str,
    arguments: &'a [Argument],
    subcommands: &'a [Subcommand],
    found: &mut Vec<(&'a str, Arguments)>,
) {
    for argument in arguments.iter().filter(|one| one.complete) {
        let mut given = Map::new();
        if !chosen.is_empty() {
            given.insert("subcommand".to_owned(), chosen.into());
        }
        let question = json!({"argument": argument.name, "prefix": ""});
        given.insert(Completing::KEY.to_owned(), question);
        found.push((argument.name.as_str(), Arguments(given)));
    }
    for subcommand in subcommands {
        let words = format!("{chosen} {}", subcommand.name);
        collect(
            words.trim_start(),
            &subcommand.arguments,
            &subcommand.subcommands,
            found,
        );
    }
}

/// Asks one question; `Err` says how the answer breaks the contract. To propose nothing is an answer too.
fn ask(
    command: &mut dyn Command,
    host: &HostRef,
    kept: &Kept,
    question: &Arguments,
) -> std::result::Result<(), String> {
    let start = Instant::now();
    let code: Result<i32> = command.run(question, host);
    let took = start.elapsed();
    match code {
        Ok(0) => {}
        Ok(code) => {
            return Err(format!(
                "the exit code is {code}: it must answer 0 when it is asked for values"
            ));
        }
        Err(error) => return Err(in_one_line(&error)),
    }
    if took > PATIENCE {
        return Err(format!(
            "the answer took {took:.1?}, and who presses a key waits {PATIENCE:?} at most"
        ));
    }
    let answer = kept.text();
    let value = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    let wrong = answer.lines().find(|line| {
        let value = value(line);
        !line.is_empty() && (value.is_empty() || value.chars().any(char::is_control))
    });
    match wrong {
        None => Ok(()),
        Some(line) => Err(format!(
            "the line {line:?} is no value: a value stands first, without control characters, words about it after a tab"
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::{Error, Manifest, NoHost};

    use super::*;
    use crate::output::{Color, Output};

    /// Answers with the same text and code to everything.
    struct Says(Output, &'static str, Result<i32>);

    impl Command for Says {
        fn run(&mut self, _arguments: &Arguments, _host: &HostRef) -> Result<i32> {
            self.0.write(self.1)?;
            self.2.clone()
        }
    }

    fn answer(text: &'static str, code: Result<i32>) -> std::result::Result<(), String> {
        let (output, kept) = Output::new(false, true, 0, Color::Never).keeping();
        let mut command = Says(output, text, code);
        ask(
            &mut command,
            &NoHost::shared(),
            &kept,
            &Arguments::default(),
        )
    }

    #[test]
    fn an_answer_is_values_and_the_code_0() {
        answer("red\ngreen\tof leaves\n\n", Ok(0)).unwrap();
        answer("", Ok(0)).unwrap();
        for (text, code, words) in [
            ("red\n", Ok(2), "the exit code is 2"),
            (
                "",
                Err(Error::failed("no colours today")),
                "no colours today",
            ),
            ("\u{1b}[2Jred\n", Ok(0), "is no value"),
            ("\tof leaves\n", Ok(0), "is no value"),
        ] {
            let why = answer(text, code).unwrap_err();
            assert!(why.contains(words), "{why} lacks {words}");
        }
    }

    #[test]
    fn every_argument_that_wants_to_be_asked_is_asked_for() {
        let text = r#"
[plugin]
id = "paint"
version = "0.1.0"
api = "1"
description = "d"

[[component]]
kind = "command"
name = "paint"
description = "Paints"

[[component.argument]]
name = "size"
type = "integer"

[[component.argument]]
name = "shade"
complete = true

[[component.subcommand]]
name = "wall"
description = "A wall"

[[component.subcommand.argument]]
name = "room"
complete = true

[[component.subcommand.subcommand]]
name = "door"

[[component.subcommand.subcommand.argument]]
name = "side"
complete = true
"#;
        let manifest = Manifest::parse(text, "test").unwrap();
        let asked: Vec<(&str, Option<String>)> = questions(&manifest.components[0])
            .map(|(argument, given)| {
                let typing = given.completing().unwrap();
                assert_eq!((typing.argument, typing.prefix), (argument, ""));
                (argument, given.subcommand().map(str::to_owned))
            })
            .collect();
        let below = |words: &str| Some(words.to_owned());
        let expected = [
            ("shade", None),
            ("room", below("wall")),
            ("side", below("wall door")),
        ];
        assert_eq!(asked, expected);
    }
}
