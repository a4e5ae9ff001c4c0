//! `docs/authoring.md`, followed to the letter: an author's machine, another machine, and a folder that both can read. The
//! commands that it takes are counted, since that is what the page is about.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::lend_lock_file;
use crate::bench::{Bench, Ran, built, root};
use crate::guests::{MISSING, left_out};

/// A block of commands, and on which machine it is run.
struct Block {
    other_machine: bool,
    lines: Vec<String>,
}

/// The blocks of a section; every fenced block must be one of commands.
fn blocks(section: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in section.lines() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(info), None) => {
                let other_machine = match info {
                    "sh" => false,
                    "sh machine=other" => true,
                    other => panic!("docs/authoring.md has a block {other:?} that nothing tries"),
                };
                open = Some(Block {
                    other_machine,
                    lines: Vec::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    blocks
}

/// Runs a block as its reader would; what a bench gives differs only in where codex-ml keeps its files.
fn run(bench: &Bench, block: &Block, share: &Path) -> Ran {
    let text = block.lines.join("\n");
    let mut command = Command::new("sh");
    command.args(["-e", "-c", &text]);
    bench.prepare(&mut command);
    let path = format!("{}:{}", built().display(), std::env::var("PATH").unwrap());
    command
        .env("HOME", std::env::var_os("HOME").unwrap_or_default())
        .env("CARGO_TARGET_DIR", built().parent().unwrap().join("guests"))
        .env("PATH", path)
        .env("SHARE", share);
    Ran::new(&[&text], command.output().unwrap())
}

/// Follows one section; how many commands it took, without those that change the folder.
fn followed(section: &str, form: &str) -> Option<usize> {
    let (author, reader, shared) = (Bench::new(), Bench::new(), Bench::new());
    let mut commands = 0;
    for block in blocks(section) {
        let bench = if block.other_machine {
            &reader
        } else {
            &author
        };
        let ran = run(bench, &block, &shared.work());
        for (lacks, install) in MISSING {
            if ran.code == Some(1) && ran.stderr.contains(lacks) {
                assert!(ran.stderr.contains(install), "{}", ran.stderr);
                left_out(&format!("docs/authoring.md ({form}): {lacks}"));
                return None;
            }
        }
        ran.ok();
        let counts = |line: &&String| !line.starts_with("cd ") && !line.starts_with('#');
        commands += block.lines.iter().filter(counts).count();
        let project = author.work().join("my-rate");
        if project.join("Cargo.toml").is_file() && !project.join("Cargo.lock").exists() {
            lend_lock_file(&project, form);
        }
    }
    Some(commands)
}

#[test]
fn the_authors_guide_works_to_the_letter() {
    let page = fs::read_to_string(root().join("docs/authoring.md")).unwrap();
    for (heading, form) in [("## In Python", "python"), ("## In Rust", "--wasm")] {
        let section = page.split(heading).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        if let Some(commands) = followed(section, form) {
            // The page says the number, so it has to be right.
            let said = format!("{commands} commands");
            assert!(section.contains(&said), "{heading} takes {said}");
        }
    }
}
