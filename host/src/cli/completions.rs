//! `codex-ml completions`.

use clap_complete::Shell;
use codex_plugin_api::{Error, Result};

use super::parse::complete_command;
use crate::app::App;
use crate::exit::Exit;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  codex-ml completions bash > ~/.local/share/bash-completion/completions/codex-ml\n  \
    codex-ml completions zsh > \"${fpath[1]}/_codex-ml\"\n  \
    codex-ml completions fish > ~/.config/fish/completions/codex-ml.fish"
)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let script = script(args.shell, complete_command(app.registry()?.catalog()))?;
    app.output.write(&script)?;
    Ok(Exit::Done)
}

fn script(shell: Shell, mut command: clap::Command) -> Result<String> {
    // The generator's bash script loses subcommands of a program with a hyphen in its name.
    let name = match shell {
        Shell::Bash => "codex_ml",
        _ => "codex-ml",
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    let script = String::from_utf8(script)
        .map_err(|error| Error::failed("the completion script is not UTF-8").because(&error))?;
    Ok(match shell {
        Shell::Bash => script.replace("-o default codex_ml\n", "-o default codex-ml\n"),
        _ => script,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::{Command, Stdio};

    use codex_plugin_api::Kind;

    use super::*;
    use crate::plugins::discover::{Catalog, tests::plugin};

    #[test]
    fn scripts_name_the_commands_of_plugins_and_shells_can_read_them() {
        let catalog = Catalog {
            plugins: vec![plugin("greeter", &[(Kind::Command, "greet")], "x")],
            ..Catalog::default()
        };
        for (shell, program) in [
            (Shell::Bash, "bash"),
            (Shell::Zsh, "zsh"),
            (Shell::Fish, "fish"),
        ] {
            let script = script(shell, complete_command(&catalog)).unwrap();
            assert!(
                script.contains("greet") && script.contains("train"),
                "{shell}"
            );
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &script).unwrap();
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
    fn bash_completes_commands_of_plugins_and_their_options() {
        let greeter = plugin("greeter", &[(Kind::Command, "greet-all")], "x");
        let catalog = Catalog {
            plugins: vec![greeter],
            ..Catalog::default()
        };
        let script = script(Shell::Bash, complete_command(&catalog)).unwrap();
        assert!(script.contains("-o default codex-ml\n"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &script).unwrap();
        for (words, expected) in [
            ("codex-ml gr", "greet-all"),
            ("codex-ml greet-all --js", "--json"),
            ("codex-ml plugin inst", "install"),
            ("codex-ml plugin install --for", "--force"),
            ("codex-ml completions fi", "fish"),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            let last = words.len() - 1;
            let ask = format!(
                "source {}; COMP_WORDS=({}); COMP_CWORD={last}; _codex_ml codex-ml '{}' '{}'; echo \"${{COMPREPLY[@]}}\"",
                file.path().display(),
                words.join(" "),
                words[last],
                words[last - 1]
            );
            let Ok(output) = Command::new("bash").args(["-c", &ask]).output() else {
                return;
            };
            let answer = String::from_utf8(output.stdout).unwrap();
            assert_eq!(answer.trim(), expected, "{words:?}");
        }
    }
}
