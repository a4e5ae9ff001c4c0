//! The first commands of a newcomer: train without arguments, then what the run said to type next.

use std::fs;

use serde_json::Value;

use crate::bench::Bench;

/// Short enough for a test, long enough to learn something.
const QUICK: [&str; 5] = [
    "training.steps=40",
    "training.evaluate_every=20",
    "training.checkpoint_every=20",
    "data.documents=400",
    "run.name=quick",
];

/// Every event of a run.
pub(crate) fn events(bench: &Bench, run: &str) -> Vec<Value> {
    bench
        .read(format!("runs/{run}/events.ndjson"))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

pub(crate) fn quick(extra: &[&'static str]) -> Vec<&'static str> {
    [&["train"], &QUICK[..], extra].concat()
}

#[test]
fn the_default_run_learns_and_everything_it_suggests_works() {
    let bench = Bench::new();
    let trained = bench.run(&quick(&["--json"])).ok();
    let result = trained.json();
    assert_eq!(result["status"], "finished");
    let metrics = &result["metrics"];
    let (reached, floor) = (
        metrics["bits_per_byte"].as_f64().unwrap(),
        metrics["bits_per_byte_floor"].as_f64().unwrap(),
    );
    assert!(
        floor > 0.1 && floor < reached,
        "floor {floor}, reached {reached}"
    );

    let losses: Vec<f64> = events(&bench, "quick")
        .iter()
        .filter(|e| e["event"] == "step")
        .map(|e| e["loss"].as_f64().unwrap())
        .collect();
    assert_eq!(losses.len(), 40);
    assert!(
        losses[39] < 0.8 * losses[0],
        "the loss went from {} to {}",
        losses[0],
        losses[39]
    );

    for file in [
        "config.yaml",
        "environment.json",
        "events.ndjson",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
    ] {
        assert!(
            bench.work().join("runs/quick").join(file).is_file(),
            "{file} is missing"
        );
    }

    let evaluated = bench
        .run(&["evaluate", "--model", "runs/quick/model", "--json"])
        .ok()
        .json();
    for name in [
        "loss",
        "bits_per_byte",
        "bits_per_byte_floor",
        "perplexity",
        "token_accuracy",
    ] {
        let (again, reported) = (
            evaluated["metrics"][name].as_f64().unwrap(),
            metrics[name].as_f64().unwrap(),
        );
        assert!(
            (again - reported).abs() <= 1e-6 * reported.abs(),
            "{name}: {again} where the run reported {reported}"
        );
    }
    assert!(
        evaluated["tokens"].as_u64().unwrap() > 0 && evaluated["samples"].as_u64().unwrap() > 0
    );

    let generate = [
        "generate",
        "--model",
        "runs/quick/model",
        "--prompt",
        "The",
        "--max-new-tokens",
        "12",
        "--json",
    ];
    let first = bench
        .run(&[&generate[..], &["--temperature", "0"]].concat())
        .ok();
    let again = bench
        .run(&[&generate[..], &["--temperature", "0"]].concat())
        .ok();
    assert_eq!(
        first.stdout, again.stdout,
        "greedy generation is not reproducible"
    );
    let text = first.json();
    assert!(
        text["tokens"].as_u64().is_some_and(|tokens| tokens <= 12) && text["text"].is_string(),
        "{text}"
    );
    let (seed_1, seed_2) = (
        bench.run(&[&generate[..], &["--seed", "1"]].concat()).ok(),
        bench.run(&[&generate[..], &["--seed", "2"]].concat()).ok(),
    );
    assert_ne!(seed_1.stdout, seed_2.stdout);
}

#[test]
fn the_report_shows_the_floor_beside_the_result_and_what_to_type_next() {
    let bench = Bench::new();
    let ran = bench.run(&quick(&[])).ok();
    let shown = format!("{}{}", ran.stdout, ran.stderr);
    for word in [
        "bits_per_byte",
        "floor",
        "codex-ml generate",
        "codex-ml evaluate",
        "data.path=",
        "runs/quick/model",
    ] {
        assert!(shown.contains(word), "{word:?} is missing:\n{shown}");
    }
}

#[test]
fn evaluation_is_written_as_json_ndjson_and_csv() {
    let bench = Bench::new();
    bench.run(&quick(&[])).ok();
    bench
        .run(&[
            "evaluate",
            "--model",
            "runs/quick/model",
            "--output",
            "report",
        ])
        .ok()
        .shows(&["bits_per_byte", "perplexity"]);
    let report: Value = serde_json::from_str(&bench.read("report/report.json")).unwrap();
    assert!(report["metrics"]["loss"].is_f64());
    assert!(
        bench
            .read("report/report.ndjson")
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    assert!(bench.read("report/report.csv").starts_with("name,"));
}

#[test]
fn accumulating_equals_one_larger_batch() {
    let bench = Bench::new();
    let last_loss = |name: &str, batch: &str, accumulation: &str| {
        let name = format!("run.name={name}");
        let arguments = [
            "train",
            "training.steps=6",
            "data.documents=400",
            &name,
            batch,
            accumulation,
        ];
        bench.run(&arguments).ok();
        let run = name.trim_start_matches("run.name=");
        let steps: Vec<f64> = events(&bench, run)
            .iter()
            .filter(|e| e["event"] == "step")
            .map(|e| e["loss"].as_f64().unwrap())
            .collect();
        steps
    };
    let large = last_loss(
        "large",
        "training.batch_size=8",
        "training.gradient_accumulation=1",
    );
    let small = last_loss(
        "small",
        "training.batch_size=2",
        "training.gradient_accumulation=4",
    );
    assert_eq!(large.len(), 6);
    for (large, small) in large.iter().zip(&small) {
        assert!((large - small).abs() < 2e-5 * large, "{large} and {small}");
    }
}

#[test]
fn the_token_store_is_built_once() {
    let bench = Bench::new();
    bench.run(&quick(&["-v"])).ok();
    let stores = |bench: &Bench| {
        let mut found: Vec<_> = walk(&bench.work().parent().unwrap().join("cache"));
        found.sort();
        found
    };
    let before = stores(&bench);
    bench.run(&quick(&["run.name=again"])).ok();
    assert_eq!(before, stores(&bench), "the second run wrote another store");
}

/// Every file below a folder with its time of change.
fn walk(folder: &std::path::Path) -> Vec<(String, std::time::SystemTime)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else if path.to_string_lossy().contains("tokens") {
            files.push((
                path.to_string_lossy().into_owned(),
                entry.metadata().unwrap().modified().unwrap(),
            ));
        }
    }
    files
}

#[test]
fn the_default_run_comes_within_ten_percent_of_the_entropy_floor() {
    let bench = Bench::new();
    let result = bench.run(&["train", "--json"]).ok().json();
    let metrics = &result["metrics"];
    let (reached, floor) = (
        metrics["bits_per_byte"].as_f64().unwrap(),
        metrics["bits_per_byte_floor"].as_f64().unwrap(),
    );
    assert!(
        floor < reached && reached < 1.1 * floor,
        "{reached} bits per byte where the floor is {floor}"
    );
}
