//! Completion: what the shells' scripts ask, what is answered from manifests alone, and what a plugin is asked for. And
//! `plugin run`, which reaches a command whose short name somebody else has.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::bench::{Bench, Ran, built, fixtures, library};
use crate::third_party::{patched, with_plugin};

/// What fish would show for a line whose last word is being typed.
fn proposed(bench: &Bench, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let index = (words.len() - 1).to_string();
    let ask = [&["__complete", "fish", &index], &words[..]].concat();
    let ran = bench.run(&ask).ok();
    assert_eq!(ran.stderr, "", "{line}");
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn commands_options_choices_and_files_need_no_plugin() {
    let bench = with_plugin();
    bench.write("notes and more.txt", "x");
    bench.write("deep/inner.txt", "x");
    for (line, expected) in [
        (
            "codex-ml gree",
            vec!["greet\tGreets someone, as often as asked"],
        ),
        ("codex-ml greet --lou", vec!["--loud\tIn upper case"]),
        ("codex-ml greet Ada --language ", vec!["en", "cs", "de"]),
        ("codex-ml greet Ada --language=d", vec!["--language=de"]),
        (
            "codex-ml plugin instal",
            vec![
                "install\tInstall a plugin from a built library, or from a folder with plugin.toml and a library",
            ],
        ),
        ("codex-ml plugin install dee", vec!["deep/"]),
        ("codex-ml plugin run third", vec!["third-party:greet"]),
        ("codex-ml evaluate --model dee", vec!["deep/"]),
    ] {
        let found = proposed(&bench, line);
        let values = |all: &[String]| -> Vec<String> {
            all.iter()
                .map(|one| one.split('\t').next().unwrap().to_owned())
                .collect()
        };
        let due: Vec<String> = expected.iter().map(|one| (*one).to_owned()).collect();
        // The words about a command of the host may change; a plugin's are its manifest's.
        if line.contains("instal") {
            assert_eq!(values(&found), values(&due), "{line}");
        } else {
            assert_eq!(found, due, "{line}");
        }
    }
    // Without the plugin there is nothing of it, and what makes no sense is no error.
    assert_eq!(
        proposed(&Bench::new(), "codex-ml gree"),
        Vec::<String>::new()
    );
    for words in [
        &["__complete"][..],
        &["__complete", "csh", "0"],
        &["__complete", "bash", "many"],
    ] {
        bench.run(words).code(2);
    }
}

#[test]
fn a_plugin_that_wants_to_be_asked_proposes_values_for_a_second_at_most() {
    let bench = with_plugin();
    assert_eq!(
        proposed(&bench, "codex-ml greet Ada --rows "),
        ["10\tfor Ada", "100", "25\tfor Ada"]
    );
    assert_eq!(
        proposed(&bench, "codex-ml greet Ada --rows 1"),
        ["10\tfor Ada", "100"]
    );
    assert_eq!(
        proposed(&bench, "codex-ml greet --rows=2"),
        ["--rows=25\tfor nobody"]
    );
    // One that takes a minute, one that ends its process.
    for prefix in ["7", "8"] {
        let start = Instant::now();
        let line = format!("codex-ml greet Ada --rows {prefix}");
        assert_eq!(proposed(&bench, &line), Vec::<String>::new());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{prefix}: {:?}",
            start.elapsed()
        );
    }
    // To be asked is no argument that a user could give.
    bench
        .run(&["greet", "Ada", "--@complete", "x"])
        .code(2)
        .tells(&["--@complete"]);
}

/// Runs a line in a shell that has read the script; none where the shell is not installed.
fn in_shell(bench: &Bench, shell: &str, words: &[&str]) -> Option<String> {
    let script = bench.run(&["completions", shell]).ok().stdout;
    bench.write("completion", script);
    let mut command = Command::new(shell);
    command.args(words);
    bench.prepare(&mut command);
    let path = format!("{}:{}", built().display(), std::env::var("PATH").unwrap());
    let Ok(output) = command.env("PATH", path).output() else {
        crate::guests::left_out(&format!("completion in {shell}, which is not installed"));
        return None;
    };
    Some(Ran::new(&[shell], output).ok().stdout)
}

#[test]
fn bash_completes_through_its_script() {
    let bench = with_plugin();
    bench.write("my notes.txt", "x");
    for (words, expected) in [
        ("codex-ml gree", "greet"),
        ("codex-ml greet Ada --lou", "--loud"),
        ("codex-ml --color = al", "always"),
        ("codex-ml greet --language = ", "en cs de"),
        ("codex-ml plugin run third-party : g", "greet"),
        ("codex-ml greet Ada --rows 1", "10 100"),
        ("codex-ml plugin install my", "my\\ notes.txt"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let ask = format!(
            "source completion; COMP_WORDS=({}); COMP_CWORD={}; _codex_ml codex-ml; echo \"${{COMPREPLY[@]}}\"",
            quoted.join(" "),
            words.len() - 1
        );
        let Some(answer) = in_shell(&bench, "bash", &["-c", &ask]) else {
            return;
        };
        assert_eq!(answer.trim(), expected, "{words:?}");
    }
}

#[test]
fn fish_completes_through_its_script() {
    let bench = with_plugin();
    for (line, expected) in [
        ("codex-ml gree", "greet\tGreets someone, as often as asked"),
        ("codex-ml greet Ada --language=c", "--language=cs"),
        ("codex-ml greet Ada --rows 2", "25\tfor Ada"),
    ] {
        let ask = format!("source completion; complete --do-complete '{line}'");
        let Some(answer) = in_shell(&bench, "fish", &["--no-config", "-c", &ask]) else {
            return;
        };
        assert_eq!(answer.trim(), expected, "{line}");
    }
}

#[test]
fn zsh_completes_through_its_script() {
    let bench = with_plugin();
    // The widget's own functions need a line editor, so what it would offer is written down instead.
    let ask = "compdef() { :; }; _describe() { local name=${@[4]}; print -rl -- ${(P)name}; }; source completion; \
               words=(codex-ml greet Ada --language ''); CURRENT=5; _codex_ml; \
               words=(codex-ml greet Ada --rows 2); CURRENT=5; _codex_ml";
    if let Some(answer) = in_shell(&bench, "zsh", &["-f", "-c", ask]) {
        assert_eq!(
            answer.lines().collect::<Vec<_>>(),
            ["en", "cs", "de", "25:for Ada"]
        );
    }
}

#[test]
fn a_command_is_reached_by_its_full_name_whoever_has_the_short_one() {
    let bench = with_plugin();
    bench
        .run(&["plugin", "run", "third-party:greet", "Ada", "--times", "2"])
        .ok()
        .shows(&["hello, Ada\nhello, Ada\n"]);
    bench
        .run(&["plugin", "run", "third-party:greet", "--help"])
        .ok()
        .shows(&[
            "codex-ml plugin run third-party:greet",
            "--language",
            "[default: 1]",
        ]);
    bench
        .run(&["plugin", "run", "third-party:greet", "Ada", "--times", "x"])
        .code(2)
        .tells(&["'x'", "--times"]);
    for name in [
        "greet",
        "third-party:great",
        "third-party:",
        "no-party:greet",
    ] {
        bench
            .run(&["plugin", "run", name])
            .fails(2, &["no command", name])
            .tells(&["third-party:greet"]);
    }

    // Somebody else's plugin with the same command.
    let library = fixtures("third-party").join(library("third-party"));
    let bytes = std::fs::read(&library).unwrap();
    let other = patched(&bytes, b"id = \"third-party\"", b"id = \"other-party\"");
    let name = library.file_name().unwrap().to_str().unwrap().to_owned();
    let other = bench.write(&format!("other/{name}"), other);
    let install = ["plugin", "install", other.to_str().unwrap()];
    bench.run(&install).fails(
        3,
        &["other-party 0.3.1", "already given by third-party 0.3.1"],
    );
    bench.run(&[&install[..], &["--force"]].concat()).ok();
    bench.run(&["greet", "Ada"]).ok();
    for id in ["third-party", "other-party"] {
        bench
            .run(&[
                "plugin",
                "run",
                &format!("{id}:greet"),
                "Eve",
                "--language",
                "cs",
            ])
            .ok()
            .shows(&["ahoj, Eve"]);
    }
}

#[test]
fn a_plugins_test_asks_for_values_too() {
    let bench = with_plugin();
    let name = "it proposes values for the arguments that ask for some";
    let ran = bench
        .run(&[
            "plugin",
            "test",
            "third-party",
            "--component",
            "greet",
            "--json",
        ])
        .ok();
    // What the command proposes is looked at and not printed between the results.
    let checks = ran.json()["components"][0]["checks"].clone();
    let checks = checks.as_array().unwrap();
    let asked = checks.iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(asked["outcome"], "passed", "{asked}");
}
