//! Tries a plugin in a process of its own, so that a library that crashes or hangs while it is loaded takes nobody along.
//! The child is this same executable with the word [`WORD`]; it answers with one line of JSON.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use codex_plugin_api::{Error, Kind};
use serde::{Deserialize, Serialize};

use super::discover::Plugin;
use super::load;
use super::refusal::{Refusal, Step};
use super::search::{Candidate, Origin};
use super::{gates, load::Loaded};
use crate::folders::Folders;
use crate::output::{Color, Output};

/// The argument that makes this executable the child.
pub const WORD: &str = "__probe";

/// How long a library may take to load.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the child found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    /// Every gate passed; these components are there.
    Probed(Vec<(Kind, String)>),
    Refused(Refusal),
}

/// The child: loads one library and says what came of it.
pub fn serve(arguments: &[OsString]) -> ExitCode {
    let [library] = arguments else {
        return ExitCode::from(2);
    };
    let answer = match load_one(Path::new(library)) {
        Ok(components) => Answer::Probed(components),
        Err(refusal) => Answer::Refused(refusal),
    };
    match Output::new(true, true, 0, Color::Never).value(&answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn load_one(library: &Path) -> Result<Vec<(Kind, String)>, Refusal> {
    let (passed, _) = gates::examine_file(library).map_err(|stopped| stopped.refusal)?;
    let candidate = Candidate {
        path: library.to_owned(),
        is_folder: false,
        origin: Origin::Option,
    };
    let plugin = Plugin::new(&candidate, passed);
    let runtime = load::open(&plugin, &Folders::from_environment())?;
    let loaded = Loaded::new(&plugin, runtime)?;
    Ok(loaded
        .runtime
        .components()
        .into_iter()
        .map(|info| (info.kind, info.name))
        .collect())
}

/// Tries the library in a child process; gives its components.
///
/// # Errors
/// The step at which it failed; [`Step::Load`] when the child ended without an answer.
pub fn probe(library: &Path) -> Result<Vec<(Kind, String)>, Refusal> {
    let failed = |error: &io::Error| {
        let reason = format!("no process could be started to try it: {error}");
        Refusal::new(
            library,
            Step::Load,
            reason,
            "free some memory or processes and try again",
        )
    };
    let executable = std::env::current_exe().map_err(|error| failed(&error))?;
    ask(
        &executable,
        &[WORD.into(), library.into()],
        library,
        PATIENCE,
    )
    .map_err(|error| failed(&error))?
}

fn ask(
    program: &Path,
    arguments: &[PathBuf],
    library: &Path,
    patience: Duration,
) -> io::Result<Result<Vec<(Kind, String)>, Refusal>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (answer, complaint) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let Some(status) = wait(&mut child, patience)? else {
        let reason = format!("it was still loading after {} s", patience.as_secs());
        return Ok(Err(Refusal::new(
            library,
            Step::Load,
            reason,
            "ask its author what it does while it is loaded",
        )));
    };
    let (answer, complaint) = (
        answer.join().unwrap_or_default(),
        complaint.join().unwrap_or_default(),
    );
    // A library may print while it is loaded; the answer is the last line.
    let line = answer
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    Ok(match serde_json::from_str::<Answer>(line) {
        Ok(Answer::Probed(components)) => Ok(components),
        Ok(Answer::Refused(refusal)) => Err(refusal),
        Err(_) => {
            let said = complaint.lines().rev().find(|line| !line.trim().is_empty());
            let said = said.map_or_else(String::new, |said| format!(": {}", said.trim()));
            let reason = format!(
                "it ended the process that loaded it ({}){said}",
                ending(status)
            );
            Err(Refusal::new(
                library,
                Step::Load,
                reason,
                "rebuild it, or ask its author; codex-ml will not load it",
            ))
        }
    })
}

/// Reads to the end on a thread of its own: a child that fills one pipe must not wait for the other. Ends early when
/// somebody else holds the pipe open after the child was killed: nobody joins it then.
fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is all there is to know.
            let _ = pipe.take(1 << 20).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn ending(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("signal {signal}");
    }
    status
        .code()
        .map_or_else(|| "killed".to_owned(), |code| format!("exit code {code}"))
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.to_error()
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Vec<(Kind, String)>, Refusal> {
        let arguments = ["-c".into(), script.into()];
        ask(
            Path::new("/bin/sh"),
            &arguments,
            Path::new("x.so"),
            Duration::from_millis(300),
        )
        .unwrap()
    }

    #[test]
    fn whatever_the_child_does_is_an_answer() {
        let probed = shell(r#"echo noise; echo '{"probed":[["metric","x"]]}'"#).unwrap();
        assert_eq!(probed, [(Kind::Metric, "x".to_owned())]);
        for (script, reason) in [
            (
                "kill -SEGV $$",
                "it ended the process that loaded it (signal 11)",
            ),
            (
                "echo oh no >&2; exit 7",
                "it ended the process that loaded it (exit code 7): oh no",
            ),
            ("exec sleep 60", "it was still loading after 0 s"),
            (
                r#"echo '{"refused":{"path":"x","step":"layout","reason":"r","hint":"h"}}'"#,
                "r",
            ),
        ] {
            assert_eq!(shell(script).unwrap_err().reason, reason);
        }
    }
}
