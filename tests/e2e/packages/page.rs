//! `docs/packages.md`, run from top to bottom: every command works, and prints what the page shows.

use std::fs;
use std::process::Command;

use super::shop::Shop;
use crate::bench::{Bench, Ran, built, root};

/// What a page shows in place of what differs between machines.
fn plainly(text: &str, bench: &Bench) -> String {
    let text = text
        .replace(bench.data().to_str().unwrap(), "~/.local/share/codex-ml")
        .replace(bench.work().to_str().unwrap(), "~/work")
        .replace(bench.work().parent().unwrap().to_str().unwrap(), "~");
    // Keys are made anew for every test.
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for word in &mut words {
        let core = word.trim_end_matches([')', ',', '\n', ':', ';']).to_owned();
        if core.len() == 16
            && core
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
        {
            *word = word.replace(&core, "4E1F0C8A5B7D2936");
        }
    }
    words.join(" ")
}

/// The page with the output of this run below each block of commands.
fn run_through(page: &str, bench: &Bench) -> String {
    let path = format!("{}:{}", built().display(), std::env::var("PATH").unwrap());
    let mut made = String::new();
    let mut output = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        if let Some(expected) = line.strip_prefix("```sh") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let code = expected
                .trim()
                .strip_prefix("expect=")
                .map_or(0, |code| code.parse().unwrap());
            let script = block.join("\n");
            let mut command = Command::new("sh");
            command.args(["-e", "-c", &format!("exec 2>&1\n{script}")]);
            bench.prepare(&mut command);
            command.env("PATH", &path);
            let ran = Ran::new(&[&script], command.output().unwrap()).code(code);
            output = Some(plainly(&ran.stdout, bench));
            made.extend([script.as_str(), "\n```\n"]);
        } else if line == "```text" {
            lines
                .by_ref()
                .take_while(|line| *line != "```")
                .for_each(drop);
            made.push_str(
                &output
                    .take()
                    .expect("a block of commands stands before its output"),
            );
            made.push_str("```\n");
        }
    }
    made
}

#[cfg(target_os = "linux")]
#[test]
fn the_page_works_and_shows_what_is_printed() {
    let bench = Bench::new();
    let Some(shop) = Shop::unconnected(&bench, "shop") else {
        return;
    };
    for line in [
        "words 1.0.0",
        "words 1.1.0",
        "words 2.0.0",
        "shout 1.0.0: words ^1",
        "shout 2.0.0: words ^2",
        "caption 1.0.0: words ^1",
        "caption 2.0.0: words ^2",
    ] {
        shop.publish(line);
    }
    // The state that the page speaks of in its later part: a version that came after the first installation.
    let path = root().join("docs/packages.md");
    let page = fs::read_to_string(&path).unwrap();
    let (first, second) = page.split_once("## What is there").unwrap();
    let mut made = run_through(first, &bench);
    shop.publish("shout 1.1.0: words ^1");
    made.push_str(&run_through(&format!("## What is there{second}"), &bench));
    if std::env::var_os("CODEX_ML_WRITE_DOCS").is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    assert!(
        same(&page, &made),
        "docs/packages.md shows something else than is printed: CODEX_ML_WRITE_DOCS=1 writes it anew"
    );
}

/// Compares line by line, naming the first that differs.
fn same(page: &str, made: &str) -> bool {
    for (number, (left, right)) in page.lines().zip(made.lines()).enumerate() {
        assert_eq!(left, right, "line {} of docs/packages.md", number + 1);
    }
    page == made
}
