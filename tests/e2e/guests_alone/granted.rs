//! Guests that need something of their user: a tracker and two commands, refused without a grant, at work with it.

use std::fs;

use serde_json::json;

use super::{RUN, with_guests};
use crate::bench::{Bench, Ran};
use crate::guests::put;
use crate::resume::wait_for_events;

/// The rows of a table of a page, as their first cells.
fn steps(page: &str, title: &str) -> Vec<u64> {
    let table = page.split(title).nth(1).unwrap().trim_start();
    table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('|').nth(1)?.trim().parse().ok())
        .collect()
}

/// Trains with the tracker, a row of losses every 50 steps.
fn tracked(bench: &Bench, name: &str) -> Ran {
    bench.run(&with_tracker(&format!("run.name={name}")))
}

fn with_tracker(name: &str) -> Vec<&str> {
    let tracker = "trackers=[{name: markdown, every: 50}]";
    [&RUN[..], &[name, tracker]].concat()
}

/// A bench with the guests and the tracker in Python; `None` where one of them cannot be built.
fn with_python() -> Option<Bench> {
    let bench = with_guests()?;
    put(&bench, "wasm-plugins/tracker-python").then_some(bench)
}

#[test]
fn the_tracker_in_python_does_nothing_that_was_not_granted() {
    let Some(bench) = with_python() else { return };
    // Undecided: nothing runs.
    tracked(&bench, "undecided")
        .fails(
            3,
            &[
                "plugin tracker-markdown asks for",
                "tracker-markdown 0.1.0",
                "tracker markdown, create",
            ],
        )
        .tells(&["hint: codex-ml plugin grant tracker-markdown --all --folder reports=PATH"]);
    assert!(!bench.work().join("runs/undecided").exists());
    // Refused: the run goes on without.
    bench
        .run(&["plugin", "grant", "tracker-markdown", "--none"])
        .ok();
    tracked(&bench, "refused").ok().tells(&[
        "warning: tracker markdown failed and hears no more of this run: plugin tracker-markdown was not granted to",
        "hint: codex-ml plugin grant tracker-markdown --folder reports=PATH",
    ]);
}

#[test]
fn the_tracker_in_python_writes_the_same_page_of_a_run_that_was_killed() {
    let Some(bench) = with_python() else { return };
    fs::create_dir(bench.work().join("pages")).unwrap();
    let grant = [
        "plugin",
        "grant",
        "tracker-markdown",
        "--folder",
        "reports=pages",
    ];
    bench.run(&grant).ok();
    let ran = tracked(&bench, "r").ok();
    assert!(!ran.stderr.contains("warning:"), "{}", ran.stderr);
    let page = bench.read("pages/r.md");
    assert!(
        page.starts_with("# r\n") && page.contains("- status: finished after 300 steps"),
        "{page}"
    );
    assert_eq!(steps(&page, "## Evaluations"), [60, 120, 180, 240, 300]);
    assert_eq!(steps(&page, "## Losses"), [50, 100, 150, 200, 250, 300]);

    fs::remove_dir_all(bench.work().join("runs")).unwrap();
    fs::remove_file(bench.work().join("pages/r.md")).unwrap();
    let mut child = bench.start(&with_tracker("run.name=r"));
    assert!(
        wait_for_events(&bench, &mut child, 150),
        "it was over before it could be killed"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = bench.run(&["train", "--resume", "r"]).ok();
    assert!(!ran.stderr.contains("warning:"), "{}", ran.stderr);
    assert_eq!(evaluations(&bench.read("pages/r.md")), evaluations(&page));
}

/// The table of evaluations.
fn evaluations(page: &str) -> &str {
    page.split("## Evaluations")
        .nth(1)
        .unwrap()
        .split("## ")
        .next()
        .unwrap()
}

const TEXT: &str = "the kůň and the dog\nthe end\n";

#[test]
fn the_command_in_rust_counts_what_it_may_read() {
    let bench = Bench::new();
    if !put(&bench, "wasm-plugins/command-rust") {
        return;
    }
    bench.write("corpus/train.txt", TEXT);
    bench.write("secret.txt", "secret");
    let count = |file: &str| bench.run(&["wordcount", file, "--top", "1"]);
    // Its help needs no grant: the manifest has it.
    bench.run(&["wordcount", "--help"]).ok().shows(&[
        "--top",
        "default: 10",
        "codex-ml wordcount corpus/train.txt",
    ]);
    count("train.txt")
        .fails(
            3,
            &[
                "plugin command-wordcount asks for read folder data",
                "command wordcount, create",
            ],
        )
        .tells(&["hint: codex-ml plugin grant command-wordcount --all --folder data=PATH"]);
    let grant = |what: &[&str]| {
        bench
            .run(&[&["plugin", "grant", "command-wordcount"], what].concat())
            .ok()
    };
    grant(&["--none"]);
    count("train.txt")
        .fails(3, &["plugin command-wordcount was not granted to"])
        .tells(&["hint: codex-ml plugin grant command-wordcount --folder data=PATH"]);
    grant(&["--folder", "data=corpus"]);
    count("train.txt")
        .fails(3, &["plugin command-wordcount was not granted to"])
        .tells(&["hint: codex-ml plugin grant command-wordcount --terminal"]);
    grant(&["--terminal"]);
    let ran = count("train.txt").ok();
    assert_eq!(
        ran.stdout,
        "lines                      2\nwords                      7\ndifferent words            5\n\
         characters                28\nbytes                     30\n           3  the\n"
    );
    count("../secret.txt").code(3).tells(&["secret.txt"]);
    bench.write("corpus/bad.txt", b"\xff\xfe");
    count("bad.txt").fails(4, &["data/bad.txt is not UTF-8", "command wordcount, run"]);
    bench
        .run(&["plugin", "revoke", "command-wordcount", "--folder", "data"])
        .ok();
    count("train.txt").fails(3, &["was not granted to"]);
}

#[test]
fn the_command_in_python_reads_with_pythons_own_open() {
    let bench = Bench::new();
    if !put(&bench, "wasm-plugins/command-python") {
        return;
    }
    bench.write(
        "corpus/train.jsonl",
        "{\"text\": \"ab\", \"label\": 1}\n{\"text\": \"abcd\"}\n",
    );
    bench.write("secret.jsonl", "{\"text\": \"secret\"}\n");
    let summarise = |file: &str| bench.run(&["jsonl-summary", file]);
    summarise("train.jsonl")
        .fails(
            3,
            &["plugin command-jsonl-summary asks for read folder data"],
        )
        .tells(&["hint: codex-ml plugin grant command-jsonl-summary --all --folder data=PATH"]);
    let grant = |what: &[&str]| {
        bench
            .run(&[&["plugin", "grant", "command-jsonl-summary"], what].concat())
            .ok()
    };
    grant(&["--none"]);
    summarise("train.jsonl")
        .fails(3, &["cannot read data/train.jsonl"])
        .tells(&["codex-ml plugin grant command-jsonl-summary --folder data=PATH"]);
    grant(&["--folder", "data=corpus", "--terminal"]);
    summarise("train.jsonl")
        .ok()
        .shows(&["2 records", "text", "label"]);
    let ran = summarise("../secret.jsonl");
    assert!(
        ran.code == Some(4) && !ran.stdout.contains("text"),
        "{ran:?}"
    );
    bench
        .run(&["plugin", "limit", "command-jsonl-summary", "memory=2MiB"])
        .ok();
    summarise("train.jsonl")
        .fails(
            3,
            &[
                "needs more memory than its limit of 2MiB",
                "command-jsonl-summary 0.1.0",
            ],
        )
        .tells(&["codex-ml plugin limit command-jsonl-summary memory=4MiB"]);
    let info = bench
        .run(&["plugin", "limit", "command-jsonl-summary", "--json"])
        .ok()
        .json();
    assert_eq!(info["limits"][0]["value"], json!("2MiB"), "{info}");
}
