//! `codex-ml completions`.

use clap_complete::Shell;
use codex_plugin_api::{Error, Result};

use super::complete;
use super::parse::complete_command;
use crate::app::App;
use crate::exit::Exit;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Write a completion script for a shell.\n\nThose of bash, zsh and fish ask codex-ml at every key, so plugins that \
                  are installed later are completed too; those of the others know what is there today. Nothing of a plugin is \
                  run, unless its manifest wants to be asked for the values of an argument.",
    after_help = "Examples:\n  codex-ml completions bash > ~/.local/share/bash-completion/completions/codex-ml\n  \
    codex-ml completions zsh > \"${fpath[1]}/_codex-ml\"\n  \
    codex-ml completions fish > ~/.config/fish/completions/codex-ml.fish"
)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let script = script(args.shell, app)?;
    app.output.write(&script)?;
    Ok(Exit::Done)
}

/// Where the shell can ask, a script that asks at every key; else one of what is there today.
fn script(shell: Shell, app: &App) -> Result<String> {
    let asking = match shell {
        Shell::Bash => complete::Shell::Bash,
        Shell::Zsh => complete::Shell::Zsh,
        Shell::Fish => complete::Shell::Fish,
        other => return fixed(other, complete_command(app.registry()?.catalog())),
    };
    Ok(complete::script(asking).to_owned())
}

fn fixed(shell: Shell, mut command: clap::Command) -> Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "codex-ml", &mut script);
    String::from_utf8(script)
        .map_err(|error| Error::failed("the completion script is not UTF-8").because(&error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::{Command, Stdio};

    use codex_plugin_api::Kind;

    use super::*;
    use crate::plugins::discover::{Catalog, tests::plugin};

    #[test]
    fn shells_can_read_the_scripts() {
        for (shell, program) in [
            (complete::Shell::Bash, "bash"),
            (complete::Shell::Zsh, "zsh"),
            (complete::Shell::Fish, "fish"),
        ] {
            let script = complete::script(shell);
            assert!(script.contains(complete::WORD), "{program}");
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), script).unwrap();
            let checked = Command::new(program)
                .arg("-n")
                .arg(file.path())
                .stderr(Stdio::inherit())
                .status();
            // A shell that is not installed cannot be asked.
            if let Ok(status) = checked {
                assert!(status.success(), "{program} -n");
            }
        }
    }

    #[test]
    fn other_shells_get_what_is_there_today() {
        let catalog = Catalog {
            plugins: vec![plugin("greeter", &[(Kind::Command, "greet")], "x")],
            ..Catalog::default()
        };
        for shell in [Shell::Elvish, Shell::PowerShell] {
            let script = fixed(shell, complete_command(&catalog)).unwrap();
            assert!(
                script.contains("greet") && script.contains("train"),
                "{shell}"
            );
        }
    }
}
