//! Every task through the binary, on data that is built in: it learns, its metrics are in the report, it survives a kill,
//! and `evaluate` finds in the export what the run found; then the same on files of one's own.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::Bench;
use crate::first_steps::events;

/// Small enough for a test.
const SMALL: [&str; 13] = [
    "train",
    "--json",
    "run.name=r",
    "training.steps=60",
    "training.learning_rate=3e-3",
    "training.warmup_steps=5",
    "training.evaluate_every=30",
    "training.checkpoint_every=10",
    "training.batch_size=16",
    "data.documents=400",
    "data.validation_fraction=0.2",
    "model.hidden_size=64",
    "model.dropout=0.1",
];

/// Ready-made runs, the scores that their reports must have, and the share of its first value below which the mean loss
/// of the last steps must fall.
const RUNS: [(&str, &[&str], f64); 4] = [
    ("masked", &["loss", "perplexity", "token_accuracy"], 0.85),
    (
        "embedding",
        &["loss", "accuracy_at_1", "accuracy_at_5", "mrr"],
        0.3,
    ),
    (
        "classification",
        &[
            "loss",
            "accuracy",
            "f1_macro",
            "f1_micro",
            "f1_weighted",
            "mcc",
        ],
        0.7,
    ),
    (
        "regression",
        &["loss", "mse", "mae", "pearson", "spearman"],
        0.6,
    ),
];

fn train<'a>(config: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&SMALL[..], &["--config", config], more].concat()
}

fn losses(bench: &Bench) -> Vec<f64> {
    let events = events(bench, "r");
    let steps = events.iter().filter(|event| event["event"] == "step");
    steps.map(|event| event["loss"].as_f64().unwrap()).collect()
}

fn weights(bench: &Bench) -> Vec<u8> {
    fs::read(bench.work().join("runs/r/model/model.safetensors")).unwrap()
}

fn score(metrics: &Value, name: &str) -> f64 {
    let value = &metrics["metrics"][name];
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{name} is {value} in {metrics}"))
}

#[test]
fn every_task_learns_and_its_export_gives_the_same_scores() {
    for (config, names, share) in RUNS {
        let bench = Bench::new();
        let trained = bench.run(&train(config, &[])).ok().json();
        let losses = losses(&bench);
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..4]), mean(&losses[56..]));
        assert!(last < share * first, "{config}: {first} to {last}");
        let evaluate = ["evaluate", "--json", "--model", "runs/r/model"];
        let again = bench.run(&evaluate).ok().json();
        for name in names {
            let (found, reported) = (score(&again, name), score(&trained, name));
            assert!(
                (found - reported).abs() <= 1e-6 * reported.abs(),
                "{config}: {name} is {found} where the run reported {reported}"
            );
        }
        assert!(again["bytes"].as_u64().unwrap() > 0);
        for file in ["tokenizer.json", "config.json", "codex_ml.json"] {
            let path = bench.work().join("runs/r/model").join(file);
            assert!(path.is_file(), "{config} exports no {file}");
        }
    }
}

#[test]
fn every_task_survives_a_kill() {
    for (config, ..) in RUNS {
        let whole = Bench::new();
        whole.run(&train(config, &[])).ok();
        let killed = Bench::new();
        let mut child = killed.start(&train(config, &[]));
        let start = Instant::now();
        let log = killed.work().join("runs/r/events.ndjson");
        let lines = || fs::read_to_string(&log).map_or(0, |text| text.lines().count());
        while lines() < 25 && child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_mins(2), "no events");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if lines() < 25 || killed.work().join("runs/r/model").exists() {
            println!("{config}: the run was over before it could be killed");
            continue;
        }
        killed.run(&["train", "--resume", "r"]).ok();
        assert!(weights(&whole) == weights(&killed), "{config}");
        assert_eq!(losses(&whole), losses(&killed), "{config}");
    }
}

/// Questions whose answers share a word with them.
fn questions() -> String {
    let mut text = String::from("question,answer\n");
    for (thing, place) in [
        ("bread", "bakery"),
        ("milk", "dairy"),
        ("shoes", "cobbler"),
        ("books", "library"),
        ("stamps", "post office"),
        ("nails", "smith"),
        ("fish", "harbour"),
        ("wool", "spinner"),
    ] {
        for verb in ["buy", "find", "get", "order", "fetch", "sell"] {
            writeln!(
                text,
                "where can one {verb} {thing},they {verb} {thing} at the {place}"
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn files_of_ones_own_need_the_names_of_columns_only_where_they_are_unusual() {
    let bench = Bench::new();
    bench.write("pairs.csv", questions());
    let mut reviews = String::from("body\tstars\n");
    for n in 0..60 {
        let (word, stars) = [("good", 5), ("poor", 1), ("fair", 3)][n % 3];
        writeln!(reviews, "a {word} thing number {n}\t{stars}").unwrap();
    }
    bench.write("reviews.tsv", reviews);
    let quick = [
        "training.steps=6",
        "training.batch_size=8",
        "tokenizer.vocab_size=200",
    ];
    let train = |config: &str, more: &[&str]| {
        let words = [
            &["train", "run.name=own", "--config", config],
            &quick[..],
            more,
        ];
        let ran = bench.run(&words.concat());
        let run = bench.work().join("runs/own");
        let _ = fs::remove_dir_all(bench.work().join("last"));
        let _ = fs::rename(run, bench.work().join("last"));
        ran
    };
    train("embedding", &["data.path=pairs.csv"]).ok();
    let scores = bench
        .run(&[
            "evaluate",
            "--json",
            "--model",
            "last/model",
            "--data",
            "pairs.csv",
            "data.anchor_column=answer",
            "data.positive_column=question",
        ])
        .ok()
        .json();
    assert_eq!(scores["samples"], 48);

    let columns = [
        "data.path=reviews.tsv",
        "data.text_column=body",
        "data.label_column=stars",
    ];
    train("classification", &columns).ok();
    let config: Value = serde_json::from_str(&bench.read("last/model/config.json")).unwrap();
    let names = ["1", "3", "5"].iter().enumerate();
    for (number, name) in names {
        assert_eq!(config["id2label"][number.to_string()], *name);
    }
    // A trained classifier goes on with the classes that it has.
    let more = [
        &columns[..],
        &["model.path=last/model", "tokenizer.path=last/model"],
    ]
    .concat();
    train("classification", &more).ok();
    train("regression", &columns).ok();

    for (config, more, words) in [
        (
            "embedding",
            &["data.path=reviews.tsv"][..],
            &["two columns of text"][..],
        ),
        (
            "embedding",
            &["data.path=pairs.csv", "data.anchor_column=q"],
            &["no column \"q\""],
        ),
        (
            "embedding",
            &["data.path=pairs.csv", "training.batch_size=64"],
            &["fewer than one batch"],
        ),
        (
            "classification",
            &["data.path=reviews.tsv"],
            &["needs a column of labels"],
        ),
        (
            "regression",
            &["data.path=pairs.csv", "data.label_column=answer"],
            &["is no number"],
        ),
        (
            "masked",
            &[
                "data.path=pairs.csv",
                "data.text_column=answer",
                "tokenizer=bpe-512",
                "tokenizer.vocab_size=300",
            ],
            &["no mask token"],
        ),
    ] {
        let ran = train(config, more);
        let code = ran.code.unwrap();
        assert!(code == 2 || code == 4, "{}", ran.stderr);
        ran.fails(code, words);
        assert!(!bench.work().join("runs/own").exists());
    }
}

#[test]
fn a_model_that_cannot_do_a_task_says_what_it_can() {
    let bench = Bench::new();
    for (config, task, words) in [
        ("default", "masked-lm", ["llama", "\"masked-lm\""]),
        ("masked", "causal-lm", ["bert", "\"causal-lm\""]),
    ] {
        let task = format!("training.task={task}");
        let arguments = ["train", "--config", config, &task, "data.documents=100"];
        let tokenizer = "tokenizer=wordpiece-512";
        bench
            .run(&[&arguments[..], &[tokenizer]].concat())
            .fails(2, &words)
            .tells(&["classification"]);
        assert!(!bench.work().join("runs").exists());
    }
}
