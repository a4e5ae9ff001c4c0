//! Guests at work: a run whose dataset, tokenizer, model, metrics, sanitizer and tracker are all in the sandbox, killed and resumed;
//! the same metric in several languages and beside the native one.

mod granted;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bench::{Bench, Ran};
use crate::guests::put;
use crate::resume::{timeless, wait_for_events};

/// A run without a native plugin. The tracker is the one of `tests/fixtures/hostile`, which keeps what it hears: the
/// only one in `wasm-plugins` is in Python, which not every machine can build.
const RUN: [&str; 13] = [
    "train",
    "run.name=r",
    "data.name=arithmetic",
    "data.rows=4000",
    "tokenizer.name=bytes",
    "model.name=ngram",
    "sanitizers=[contacts]",
    "metrics=[lm-wasm,surprise]",
    "trackers=[{name: hostile, deed: keep}]",
    "training.steps=300",
    "training.evaluate_every=60",
    "training.checkpoint_every=25",
    "training.keep_last=2",
];

const GUESTS: [&str; 7] = [
    "wasm-plugins/dataset-rust",
    "wasm-plugins/tokenizer-rust",
    "wasm-plugins/ngram-model-rust",
    "wasm-plugins/lm-metric-rust",
    "wasm-plugins/text-metric-rust",
    "wasm-plugins/sanitizer-rust",
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
        let path = Path::new(plugin["path"].as_str().unwrap());
        assert_eq!(path.extension().unwrap(), "wasm", "{plugin}");
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
