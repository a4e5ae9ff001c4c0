//! `docs/fine-tuning.md`, run from top to bottom. What it shows was printed by whole runs; the test makes shorter ones, so
//! it compares the words and leaves the numbers out, and of generated texts it asks that there are some.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::bench::{Bench, Ran, built, root};

/// Writes the page anew, with whole runs.
const WRITE: &str = "CODEX_ML_WRITE_DOCS";

/// What makes a run short enough for a test.
const SHORT: &str = "training.steps=20 training.evaluate_every=5 data.documents=400";

/// What a page shows: without lines that say how fast this machine is, and without its folders.
fn plainly(text: &str, bench: &Bench) -> String {
    let text = text.replace(bench.work().to_str().unwrap(), "~/work");
    let kept = text.lines().filter(|line| !line.contains(" tokens/s"));
    kept.flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// The words of a line, each number a `#`.
fn words(line: &str) -> String {
    let (mut text, mut in_number) = (String::new(), false);
    for c in line.chars() {
        let digit = c.is_ascii_digit();
        if digit && !in_number {
            text.push('#');
        }
        in_number = digit || (in_number && ".,".contains(c));
        if !in_number {
            text.push(c);
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The built program under its own name; in a test, one that trains for a moment only.
fn program(bench: &Bench, whole: bool) -> String {
    let path = std::env::var("PATH").unwrap();
    if whole {
        return format!("{}:{path}", built().display());
    }
    let real = built().join("codex-ml");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = train ]; then exec '{0}' \"$@\" {SHORT}; fi\nexec '{0}' \"$@\"\n",
        real.display()
    );
    let file = bench.write("../bin/codex-ml", script);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{path}", file.parent().unwrap().display())
}

/// The page with the output of this run below each block of commands.
fn run_through(page: &str, bench: &Bench, path: &str) -> String {
    let (mut made, mut output) = (String::new(), None);
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        if let Some(expected) = line.strip_prefix("```sh") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let code = expected.trim().strip_prefix("expect=");
            let script = block.join("\n");
            let mut command = Command::new("sh");
            command.args(["-e", "-c", &format!("exec 2>&1\n{script}")]);
            bench.prepare(&mut command);
            command.env("PATH", path);
            let ran = Ran::new(&[&script], command.output().unwrap());
            let ran = ran.code(code.map_or(0, |code| code.parse().unwrap()));
            output = Some(plainly(&ran.stdout, bench));
            made.extend([script.as_str(), "\n```\n"]);
        } else if line.starts_with("```text") {
            lines
                .by_ref()
                .take_while(|line| *line != "```")
                .for_each(drop);
            made.push_str(&output.take().expect("commands stand before their output"));
            made.push_str("```\n");
        }
    }
    made
}

/// Blocks of generated text hold what a model of another length of training would not say.
fn comparable(page: &str) -> Vec<String> {
    let (mut kept, mut generated) = (Vec::new(), false);
    for line in page.lines() {
        match (generated, line) {
            (true, "```") => generated = false,
            (true, _) => continue,
            (false, "```text generated") => generated = true,
            (false, _) => {}
        }
        kept.push(words(line));
    }
    kept
}

#[test]
fn the_page_works_and_shows_what_is_printed() {
    let path = root().join("docs/fine-tuning.md");
    let page = fs::read_to_string(&path).unwrap();
    let whole = std::env::var_os(WRITE).is_some();
    let bench = Bench::new();
    let made = run_through(&page, &bench, &program(&bench, whole));
    if whole {
        fs::write(&path, made).unwrap();
        return;
    }
    let (page, made) = (comparable(&page), comparable(&made));
    for (number, (left, right)) in page.iter().zip(&made).enumerate() {
        assert_eq!(
            left,
            right,
            "line {} of docs/fine-tuning.md without generated texts: {WRITE}=1 writes it anew",
            number + 1
        );
    }
    assert_eq!(page.len(), made.len());
}

#[test]
fn numbers_are_left_out_of_what_is_compared() {
    for (line, expected) in [
        ("loss  2.0151   lower", "loss # lower"),
        ("12,288 of 1,000 (1.23 %)", "# of # (# %)"),
        (
            "layers.*.q_proj (6), step 3.",
            "layers.*.q_proj (#), step #",
        ),
    ] {
        assert_eq!(words(line), expected);
    }
}
