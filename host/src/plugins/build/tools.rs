//! The tools of other languages: where they are, and what they say when they fail.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use codex_plugin_api::{Context, Error, Result};

use crate::app::App;
use crate::output::plain;

/// How many of a tool's last lines are shown.
const LINES: usize = 40;

/// A program on the search path of the system.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|folder| !folder.as_os_str().is_empty())
        .map(|folder| program(&folder, name))
        .find(|file| file.is_file())
}

/// A program's file in a folder.
pub(super) fn program(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// What a program answers on standard output; `None` when it cannot be run or fails.
pub(super) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Runs a tool to its end; gives what it wrote to standard output.
///
/// # Errors
/// Naming the command; its last lines are shown, or are the causes where output is JSON.
pub(super) fn run(command: &mut Command, hint: &str, app: &App) -> Result<Vec<u8>> {
    let line = describe(command);
    app.output.log(codex_plugin_api::LogLevel::Info, &line);
    let output = command
        .stdin(Stdio::null())
        .output()
        .or_error(|| Error::failed(format!("cannot run {line}")).hint(hint))?;
    if app.interrupt.requested() {
        return Err(Error::interrupted());
    }
    let said = last_lines(&output);
    if output.status.success() {
        // A compiler's warnings are the author's to see.
        if !said.is_empty() {
            app.output
                .log(codex_plugin_api::LogLevel::Info, &said.join("\n"));
        }
        return Ok(output.stdout);
    }
    if !app.output.is_json() {
        app.output.note(said.join("\n"));
    }
    let ending = match output.status.code() {
        Some(code) => format!("exit code {code}"),
        None => "a signal".to_owned(),
    };
    // Shown already where people read; the last line would stand there twice.
    let causes = if app.output.is_json() {
        said
    } else {
        Vec::new()
    };
    Err(Error::failed(format!("{line} ended with {ending}"))
        .hint(hint)
        .with_causes(causes))
}

/// A command as one would type it, shortened.
fn describe(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy);
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(160) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// The last lines of what a tool said to people. Some say it on standard output.
fn last_lines(output: &Output) -> Vec<String> {
    let told = if output.stderr.is_empty() && !output.status.success() {
        &output.stdout
    } else {
        &output.stderr
    };
    let text = String::from_utf8_lossy(told);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(LINES)..]
        .iter()
        .map(|line| plain(line))
        .collect()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::output::Color;

    #[test]
    fn a_tool_that_fails_is_named_with_its_last_lines() {
        let mut app = crate::testing::app();
        app.output = crate::output::Output::new(true, true, 0, Color::Never);
        let script = "seq 1 100 >&2; echo done; exit 7";
        let error = run(
            Command::new("/bin/sh").args(["-c", script]),
            "mend it",
            &app,
        )
        .unwrap_err();
        assert!(error.message().starts_with("sh -c seq 1 100"), "{error}");
        assert!(
            error.message().ends_with("ended with exit code 7"),
            "{error}"
        );
        assert_eq!(error.hint_text(), Some("mend it"));
        assert_eq!(
            (error.causes().len(), error.causes()[0].as_str()),
            (LINES, "61")
        );

        let error = run(&mut Command::new("/none/such-tool"), "install it", &app).unwrap_err();
        assert!(error.message().contains("cannot run such-tool"), "{error}");
        assert_eq!(
            run(Command::new("/bin/echo").arg("hi"), "", &app).unwrap(),
            b"hi\n"
        );
    }

    #[test]
    fn programs_are_found_and_asked() {
        assert!(find("sh").is_some_and(|file| file.is_absolute()));
        assert_eq!(find("no-such-program-anywhere"), None);
        let answer = |script: &str| ask(Command::new("/bin/sh").args(["-c", script]));
        assert_eq!(answer("echo ' 1.85 '").as_deref(), Some("1.85"));
        assert_eq!(answer("echo 1.85; exit 1"), None);
    }
}
