//! Asks a plugin's command for values of an argument. It answers in a process of its own, which is this same executable with
//! the word [`WORD`]: what it prints is the answer, a crash is its own, and after a second it is ended. The limits and
//! permissions of a sandboxed plugin hold as ever.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use codex_plugin_api::{Arguments, Completing, Error, Kind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::interrupt::Interrupt;
use crate::output::{Color, Output};
use crate::plugins::conformance::PATIENCE;

/// The argument that makes this executable the child.
pub(in crate::cli) const WORD: &str = "__values";

/// How much of an answer is read, and how many values are shown.
const LONGEST: u64 = 256 << 10;
const MOST: usize = 1000;

/// A question for the values of one argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Question {
    /// Every `--plugin-dir` of the line.
    plugin_dirs: Vec<PathBuf>,
    command: String,
    argument: String,
    given: Map<String, Value>,
}

impl Question {
    pub(super) fn new(
        plugin_dirs: &[PathBuf],
        command: &str,
        argument: &str,
        given: &Arguments,
    ) -> Self {
        Self {
            plugin_dirs: plugin_dirs.to_vec(),
            command: command.to_owned(),
            argument: argument.to_owned(),
            given: given.0.clone(),
        }
    }

    /// The values that the plugin proposes, each with a few words about it; none when it fails or is late.
    pub(super) fn ask(&self, prefix: &str) -> Vec<(String, Option<String>)> {
        let mut question = self.clone();
        question.given.insert(
            Completing::KEY.to_owned(),
            json!({"argument": self.argument, "prefix": prefix}),
        );
        read(&question.run().unwrap_or_default())
    }

    /// What the child prints, if it ends well in time.
    fn run(&self) -> Option<String> {
        let mut child = Command::new(std::env::current_exe().ok()?)
            .arg(WORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let text = serde_json::to_vec(self).ok()?;
        let mut input = child.stdin.take()?;
        let output = child.stdout.take()?;
        let writer = thread::spawn(move || input.write_all(&text));
        let reader = thread::spawn(move || {
            let mut answer = Vec::new();
            output
                .take(LONGEST)
                .read_to_end(&mut answer)
                .map(|_| answer)
        });
        let ended_well = wait(&mut child);
        // Both pipes are closed once the child is gone.
        let _ = writer.join();
        let answer = reader.join().ok()?.ok()?;
        ended_well.then(|| String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Whether the child ended with the exit code 0 before its time was over; it is gone in any case.
fn wait(child: &mut Child) -> bool {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// One value a line, with a tab and words about it where there are any.
fn read(answer: &str) -> Vec<(String, Option<String>)> {
    let lines = answer.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| match line.split_once('\t') {
            Some((value, about)) => (value.to_owned(), Some(about.to_owned())),
            None => (line.to_owned(), None),
        })
        // What would steer a terminal, or be another word, is no value.
        .filter(|(value, _)| !value.is_empty() && !value.chars().any(char::is_control))
        .take(MOST)
        .collect()
}

/// The child: runs the command with the question on standard input.
pub(in crate::cli) fn serve(arguments: &[OsString]) -> ExitCode {
    if !arguments.is_empty() {
        return ExitCode::from(2);
    }
    match answer() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> Result<i32> {
    let mut text = String::new();
    std::io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| Error::failed("cannot read the question").because(&error))?;
    let question: Question = serde_json::from_str(&text)
        .map_err(|error| Error::failed("this is no question").because(&error))?;
    let output = Output::new(false, true, 0, Color::Never);
    let app = App::new(output, Interrupt::default(), question.plugin_dirs, 1);
    let registry = app.registry()?;
    let plugin = registry.owner(Kind::Command, &question.command)?;
    let mut command = registry.create_command(&question.command, &Value::Null)?;
    command.run(&Arguments(question.given), &registry.host_for(plugin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_value_a_line_without_what_steers_a_terminal() {
        let one = |value: &str, about: Option<&str>| (value.to_owned(), about.map(str::to_owned));
        assert_eq!(
            read("red\n\ngreen\tof leaves\tin spring\n\u{1b}[2Jbad\n\tno value\r\nblue words"),
            [
                one("red", None),
                one("green", Some("of leaves\tin spring")),
                one("blue words", None)
            ]
        );
        let many: String = (0..5000).map(|n| n.to_string() + "\n").collect();
        assert_eq!(read(&many).len(), MOST);
    }
}
