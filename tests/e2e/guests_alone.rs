//! Guests at work: a run whose dataset, tokenizer, model, metrics and tracker are all in the sandbox, killed and resumed;
//! the same metric in several languages and beside the native one; trackers and commands that need grants.

use std::fs;

use serde_json::{Value, json};

use crate::bench::{Bench, Ran};
use crate::first_steps::events;
use crate::guests::put;
use crate::resume::{timeless, wait_for_events};

/// A run without a native plugin. The tracker is the one of `tests/fixtures/hostile`, which keeps what it hears: the
/// only one in `wasm-plugins` is in Python, which not every machine can build.
const RUN: [&str; 12] = [
    "train",
    "run.name=r",
    "data.name=arithmetic",
    "data.rows=4000",
    "tokenizer.name=bytes",
    "model.name=ngram",
    "metrics=[lm-wasm,surprise]",
    "trackers=[{name: hostile, deed: keep}]",
    "training.steps=300",
    "training.evaluate_every=60",
    "training.checkpoint_every=25",
    "training.keep_last=2",
];

const GUESTS: [&str; 6] = [
    "wasm-plugins/dataset-rust",
    "wasm-plugins/tokenizer-rust",
    "wasm-plugins/ngram-model-rust",
    "wasm-plugins/lm-metric-rust",
    "wasm-plugins/text-metric-rust",
    "tests/fixtures/hostile",
];

/// A bench with the guests of the run, granted what they ask for; `None` where they cannot be built.
fn with_guests() -> Option<Bench> {
    let bench = Bench::new();
    if !GUESTS.iter().all(|guest| put(&bench, guest)) {
        return None;
    }
    fs::create_dir(bench.work().join("heard")).unwrap();
    let grant = ["plugin", "grant", "hostile", "--folder", "out=heard"];
    bench.run(&grant).ok();
    // Its manifest asks for less than a machine with much else to do may need.
    bench.run(&["plugin", "limit", "hostile", "time=30s"]).ok();
    Some(bench)
}

/// Every file of the exported model.
fn exported(bench: &Bench) -> Vec<(String, Vec<u8>)> {
    let folder = bench.work().join("runs/r/model");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The events that measure nothing of the machine, without those of starting.
fn told(bench: &Bench) -> Vec<Value> {
    let mut events = timeless(bench);
    events.retain(|event| event["event"] != "run_started");
    events
}

#[test]
fn a_run_with_nothing_but_guests_trains_evaluates_and_generates() {
    let Some(bench) = with_guests() else { return };
    let trained = bench.run(&[&RUN[..], &["--json"]].concat()).ok().json();
    assert_eq!(trained["status"], "finished", "{trained}");
    let metrics = &trained["metrics"];
    let (reached, floor) = (&metrics["bits_per_byte"], &metrics["bits_per_byte_floor"]);
    let (reached, floor) = (reached.as_f64().unwrap(), floor.as_f64().unwrap());
    assert!(floor > 0.1 && floor < reached && reached < 2.0, "{metrics}");
    assert!(metrics["surprise_mean"].is_f64(), "{metrics}");

    // Nothing in this process was native.
    let environment: Value = serde_json::from_str(&bench.read("runs/r/environment.json")).unwrap();
    let plugins = environment["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), GUESTS.len(), "{plugins:?}");
    for plugin in plugins {
        assert!(
            plugin["path"].as_str().unwrap().ends_with(".wasm"),
            "{plugin}"
        );
    }
    // The tracker heard every event, each once.
    let heard = fs::read_to_string(bench.work().join("heard/heard.ndjson")).unwrap();
    assert_eq!(heard, bench.read("runs/r/events.ndjson"));

    let evaluated = ["evaluate", "--model", "runs/r/model", "--json"];
    let evaluated = bench.run(&evaluated).ok().json();
    assert_eq!(&evaluated["metrics"], metrics, "the run's last evaluation");
    let generate = [
        "generate",
        "--model",
        "runs/r/model",
        "--prompt",
        "12 plus 7 is",
        "--max-new-tokens",
        "24",
        "--temperature",
        "0",
        "--json",
    ];
    let generated = bench.run(&generate).ok().json();
    let text = generated["text"].as_str().unwrap();
    assert!(
        text.starts_with(' ') && text.contains(" is "),
        "{generated}"
    );
    assert_eq!(bench.run(&generate).ok().json(), generated);
}

#[test]
fn a_run_of_guests_that_was_killed_again_and_again_ends_as_if_it_had_not() {
    let (Some(alone), Some(killed)) = (with_guests(), with_guests()) else {
        return;
    };
    alone.run(&RUN).ok();

    let mut child = killed.start(&RUN);
    let mut kills = 0;
    for count in [1, 20, 40, 90, 150, 210, 260, 300] {
        if !wait_for_events(&killed, &mut child, count) {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        child = killed.start(&["train", "--resume", "r"]);
    }
    Ran::new(
        &["train", "--resume", "r"],
        child.wait_with_output().unwrap(),
    )
    .ok();
    assert!(kills >= 4, "only {kills} kills");
    assert_eq!(told(&alone), told(&killed), "the losses differ");
    assert_eq!(exported(&alone), exported(&killed), "the models differ");
}

#[test]
fn a_metric_in_the_sandbox_gives_the_numbers_of_the_native_one() {
    let Some(bench) = with_guests() else { return };
    bench.run(&RUN).ok();
    let evaluate = |metric: &str| {
        let line = [
            "evaluate",
            "--model",
            "runs/r/model",
            "--json",
            "--metric",
            metric,
        ];
        bench.run(&line).ok().json()
    };
    let (native, sandboxed) = (evaluate("lm"), evaluate("lm-wasm"));
    assert!(native["metrics"]["top_5_accuracy"].is_f64(), "{native}");
    assert_eq!(native, sandboxed);
}

#[test]
fn one_metric_in_three_languages_gives_the_same_bits() {
    let Some(bench) = with_guests() else { return };
    bench.run(&RUN).ok();
    let evaluate = |metric: &str| {
        let line = [
            "evaluate",
            "--model",
            "runs/r/model",
            "--json",
            "--metric",
            metric,
        ];
        bench.run(&line).ok().json()["metrics"].clone()
    };
    let expected = evaluate("surprise");
    assert!(
        expected["surprise_mean"].as_f64().unwrap() > 0.0,
        "{expected}"
    );
    for (folder, metric) in [
        ("wasm-plugins/text-metric-c", "surprise-c"),
        ("wasm-plugins/text-metric-python", "surprise-python"),
    ] {
        if put(&bench, folder) {
            assert_eq!(evaluate(metric), expected, "{metric}");
        }
    }
}

/// The rows of a table of a page, as their first cells.
fn steps(page: &str, title: &str) -> Vec<u64> {
    let table = page.split(title).nth(1).unwrap().trim_start();
    table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('|').nth(1)?.trim().parse().ok())
        .collect()
}

#[test]
fn the_tracker_in_python_writes_its_page_where_it_may() {
    let Some(bench) = with_guests() else { return };
    if !put(&bench, "wasm-plugins/tracker-python") {
        return;
    }
    let run = |name: &str| {
        let name = format!("run.name={name}");
        let tracker = "trackers=[{name: markdown, every: 50}]";
        bench.run(&[&RUN[..], &[&name, tracker]].concat())
    };
    // Undecided: nothing runs.
    run("undecided")
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
    run("refused").ok().tells(&[
        "warning: tracker markdown failed and hears no more of this run: plugin tracker-markdown was not granted to",
        "hint: codex-ml plugin grant tracker-markdown --folder reports=PATH",
    ]);
    // Granted: a page, and the same page for a run that was killed in between.
    fs::create_dir(bench.work().join("pages")).unwrap();
    bench
        .run(&[
            "plugin",
            "grant",
            "tracker-markdown",
            "--folder",
            "reports=pages",
        ])
        .ok();
    let ran = run("r").ok();
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
    let tracker = "trackers=[{name: markdown, every: 50}]";
    let mut child = bench.start(&[&RUN[..], &[tracker]].concat());
    assert!(
        wait_for_events(&bench, &mut child, 150),
        "it was over before it could be killed"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    bench.run(&["train", "--resume", "r"]).ok();
    let resumed = bench.read("pages/r.md");
    assert_eq!(
        steps(&resumed, "## Evaluations"),
        [60, 120, 180, 240, 300],
        "{resumed}"
    );
    assert_eq!(
        evaluations(&resumed),
        evaluations(&page),
        "the page of a run that was killed says the same of its evaluations"
    );
    let run = events(&bench, "r");
    assert!(
        run.iter().all(|event| event["event"] != "warning"),
        "{run:?}"
    );
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
