//! Adapters through the binary: trained on the model of another run, killed and resumed, used beside and on top of it, and
//! refused where they do not fit.

#[cfg(unix)]
mod page;
mod sandboxed;
mod tasks;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::bench::{Bench, Ran};
use crate::first_steps::events;
use crate::resume::{timeless, wait_for_events};

/// A run whose model adapters are trained for.
const BASE: [&str; 6] = [
    "run.name=base",
    "training.steps=60",
    "training.evaluate_every=60",
    "data.documents=400",
    "model.hidden_size=64",
    "training.warmup_steps=5",
];

/// An adapter for it, on the second style of the same grammar.
const TUNE: [&str; 13] = [
    "train",
    "run.name=r",
    "adapter=lora",
    "adapter.rank=4",
    "model.path=runs/base/model",
    "model.dropout=0.1",
    "data.style=formal",
    "data.documents=400",
    "training.steps=60",
    "training.learning_rate=1e-2",
    "training.warmup_steps=5",
    "training.evaluate_every=30",
    "training.checkpoint_every=10",
];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The exported model of a run with these settings, trained on the first call.
fn trained(once: &'static OnceLock<(Bench, PathBuf)>, settings: &[&str]) -> PathBuf {
    let (_, model) = once.get_or_init(|| {
        let bench = Bench::new();
        bench.run(&[&["train"], settings].concat()).ok();
        let model = bench.work().join("runs/base/model");
        (bench, model)
    });
    model.clone()
}

/// A bench with the model of the run `base`.
fn with_base() -> Bench {
    static BASE_RUN: OnceLock<(Bench, PathBuf)> = OnceLock::new();
    let bench = Bench::new();
    copy(
        &trained(&BASE_RUN, &BASE),
        &bench.work().join("runs/base/model"),
    );
    bench
}

/// The same with the adapter `r` beside it, trained once for all tests that only use it.
fn with_adapter() -> Bench {
    static RUN: OnceLock<Bench> = OnceLock::new();
    let made = RUN.get_or_init(|| {
        let bench = with_base();
        bench.run(&TUNE).ok();
        bench
    });
    let bench = Bench::new();
    copy(&made.work().join("runs"), &bench.work().join("runs"));
    bench
}

fn tensors(bench: &Bench, file: &str) -> Vec<u8> {
    fs::read(bench.work().join(file)).unwrap()
}

/// The loss that `evaluate` finds on the second style.
fn formal_loss(bench: &Bench, model: &[&str]) -> f64 {
    let line = [
        &[
            "evaluate",
            "--json",
            "--data",
            "grammar",
            "data.style=formal",
            "data.seed=9",
        ][..],
        &["--max-documents", "60"],
        model,
    ];
    let found = bench.run(&line.concat()).ok().json();
    found["metrics"]["loss"].as_f64().unwrap()
}

fn greedy(bench: &Bench, model: &[&str]) -> String {
    let line = [
        "generate",
        "--temperature",
        "0",
        "--max-new-tokens",
        "24",
        "--prompt",
        "The",
    ];
    bench.run(&[&line[..], model].concat()).ok().stdout
}

#[test]
fn an_adapter_learns_another_style_and_leaves_its_model_as_it_was() {
    let bench = with_base();
    let before = tensors(&bench, "runs/base/model/model.safetensors");
    let trained = bench.run(&TUNE).ok();
    let trained = trained.tells(&[
        "adapter lora for runs/base/model:",
        "parameters (",
        "%) train",
    ]);
    drop(trained);
    assert!(before == tensors(&bench, "runs/base/model/model.safetensors"));

    let model = bench.work().join("runs/r/model");
    for file in [
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "README.md",
    ] {
        assert!(model.join(file).is_file(), "{file}");
    }
    assert!(!model.join("model.safetensors").exists());
    let size = |name: &str| bench.work().join(name).metadata().unwrap().len();
    let adapter = size("runs/r/model/adapter_model.safetensors");
    assert!(
        adapter * 4 < size("runs/base/model/model.safetensors"),
        "{adapter} bytes"
    );
    let config: Value =
        serde_json::from_str(&bench.read("runs/r/model/adapter_config.json")).unwrap();
    assert_eq!(
        (&config["peft_type"], &config["r"]),
        (&"LORA".into(), &4.into())
    );
    assert_eq!(config["base_model_name_or_path"], "runs/base/model");
    assert_eq!(config["task_type"], "CAUSAL_LM");
    let card = bench.read("runs/r/model/README.md");
    assert!(card.contains("library_name: peft"), "{card}");
    assert!(card.contains("An adapter (`lora`) for `base`"), "{card}");

    let told: Value = serde_json::from_str(&bench.read("runs/r/environment.json")).unwrap();
    let adapter = &told["adapter"];
    let (trains, all) = (&adapter["trainable_parameters"], &adapter["parameters"]);
    let (trains, all) = (trains.as_u64().unwrap(), all.as_u64().unwrap());
    assert!(trains > 0 && trains * 4 < all, "{trains} of {all}");
    assert!(adapter["sites"].as_array().unwrap().len() > 1, "{adapter}");

    let alone = formal_loss(&bench, &["--model", "runs/base/model"]);
    let tuned = formal_loss(&bench, &["--model", "runs/r/model"]);
    assert!(
        tuned < 0.95 * alone,
        "the loss went from {alone} to {tuned}"
    );
    let beside = ["--model", "runs/base/model", "--adapter", "runs/r"];
    assert_eq!(tuned.to_bits(), formal_loss(&bench, &beside).to_bits());
}

#[test]
fn evaluate_finds_in_the_export_what_the_run_found() {
    let bench = with_adapter();
    let evaluated = ["evaluate", "--json", "--model", "runs/r/model"];
    let again = bench.run(&evaluated).ok().json();
    let all = events(&bench, "r");
    let last = all.iter().rfind(|event| event["event"] == "evaluation");
    for (name, reported) in last.unwrap()["metrics"].as_object().unwrap() {
        let (found, reported) = (again["metrics"][name].as_f64(), reported.as_f64().unwrap());
        let found = found.unwrap_or_else(|| panic!("{name} is not in {again}"));
        assert!(
            (found - reported).abs() <= 1e-6 * reported.abs(),
            "{name}: {found} {reported}"
        );
    }
}

#[test]
fn a_weight_leads_from_the_model_to_the_adapter() {
    let bench = with_adapter();
    let at = |weight: &str| {
        let model = ["--model", "runs/base/model", "--adapter", "runs/r/model"];
        formal_loss(
            &bench,
            &[&model[..], &["--adapter-weight", weight]].concat(),
        )
    };
    let alone = formal_loss(&bench, &["--model", "runs/base/model"]);
    let tuned = formal_loss(&bench, &["--model", "runs/r/model"]);
    assert_eq!(at("0").to_bits(), alone.to_bits());
    assert_eq!(at("1").to_bits(), tuned.to_bits());
    let half = at("0.5");
    assert!(tuned < half && half < alone, "{tuned} {half} {alone}");
    // Half of one and half of the other are the whole.
    copy(
        &bench.work().join("runs/r/model"),
        &bench.work().join("again"),
    );
    let two = [
        "--model",
        "runs/base/model",
        "--adapter",
        "runs/r",
        "--adapter",
        "again",
    ];
    let two = formal_loss(&bench, &[&two[..], &["--adapter-weight", "0.5"]].concat());
    assert!((two - tuned).abs() < 1e-5 * tuned, "{two} {tuned}");
}

#[test]
fn generate_continues_alike_however_the_adapter_is_named() {
    let bench = with_adapter();
    let expected = greedy(&bench, &["--model", "runs/r/model"]);
    assert_ne!(expected, greedy(&bench, &["--model", "runs/base/model"]));
    for model in [
        &["--model", "runs/r"][..],
        &["--model", "runs/base", "--adapter", "runs/r"],
        &[
            "--model",
            "runs/base/model",
            "--adapter",
            "runs/r/model",
            "--adapter-weight",
            "1",
        ],
    ] {
        assert_eq!(greedy(&bench, model), expected, "{model:?}");
    }
    // The model is found from wherever one stands, and where everything was moved to.
    let moved = bench.work().join("moved");
    copy(&bench.work().join("runs"), &moved.join("runs"));
    fs::remove_dir_all(bench.work().join("runs")).unwrap();
    assert_eq!(greedy(&bench, &["--model", "moved/runs/r/model"]), expected);
}

#[test]
fn an_adapter_that_was_killed_again_and_again_ends_as_if_it_had_not() {
    let whole = with_base();
    whole.run(&TUNE).ok();
    let killed = with_base();
    let mut child = killed.start(&TUNE);
    let mut kills = 0;
    for count in [1, 12, 19, 27, 41, 60, 66] {
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
    assert!(kills >= 3, "only {kills} kills");
    let file = "runs/r/model/adapter_model.safetensors";
    assert!(
        tensors(&whole, file) == tensors(&killed, file),
        "the adapters differ"
    );
    assert_eq!(timeless(&whole)[1..], timeless(&killed)[1..]);
}

#[test]
fn an_adapter_is_continued_on_its_own_model_only() {
    let bench = with_base();
    let mut child = bench.start(&TUNE);
    assert!(wait_for_events(&bench, &mut child, 15));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!bench.work().join("runs/r/model").exists());
    other_base(&bench, &["run.name=base", "seed=5"], "runs/base");
    bench
        .run(&["train", "--resume", "r"])
        .fails(4, &["the model that the adapter is for changed", "run r"]);
}

/// Trains a model that differs from `base` in these settings, in place of the folder `run`.
fn other_base(bench: &Bench, settings: &[&str], run: &str) {
    let _ = fs::remove_dir_all(bench.work().join(run));
    let short = ["training.steps=2", "training.evaluate_every=2"];
    bench
        .run(&[&["train"], &BASE[..], &short, settings].concat())
        .ok();
}

#[test]
fn what_does_not_fit_is_refused_with_the_difference() {
    let bench = with_adapter();
    // Another model of the same shape, one of another width, and an adapter that lacks a part.
    other_base(&bench, &["run.name=seeded", "seed=5"], "runs/seeded");
    other_base(
        &bench,
        &["run.name=wide", "model.hidden_size=128"],
        "runs/wide",
    );
    let generate = |model: &[&str]| {
        bench.run(
            &[
                &["generate", "--prompt", "The", "--max-new-tokens", "2"],
                model,
            ]
            .concat(),
        )
    };
    generate(&["--model", "runs/seeded/model", "--adapter", "runs/r"]).fails(4, &["runs/r/model"]);
    generate(&["--model", "runs/wide/model", "--adapter", "runs/r"]).fails(4, &["runs/r/model"]);
    fs::write(
        bench.work().join("runs/r/model/adapter_model.safetensors"),
        b"short",
    )
    .unwrap();
    generate(&["--model", "runs/r"]).fails(4, &["adapter_model.safetensors"]);
    fs::remove_dir_all(bench.work().join("runs/base")).unwrap();
    generate(&["--model", "runs/r"])
        .fails(
            4,
            &[
                "runs/r/model",
                "is for the model runs/base/model, which is not there",
            ],
        )
        .tells(&["--model DIR --adapter"]);
}

#[test]
fn wrong_use_is_refused_before_anything_is_written() {
    let bench = with_adapter();
    fs::rename(bench.work().join("runs/r"), bench.work().join("runs/tuned")).unwrap();
    let train = |more: &[&str]| bench.run(&[&TUNE[..], more].concat());
    train(&["adapter.targets=[q_prj]"])
        .fails(2, &["q_prj"])
        .tells(&["q_proj"]);
    train(&["adapter.rnk=8"])
        .fails(2, &["adapter.rnk"])
        .tells(&["rank"]);
    train(&["adapter=lorra"])
        .fails(2, &["lorra"])
        .tells(&["did you mean lora?"]);
    train(&["model.path=runs/tuned/model"])
        .fails(2, &["runs/tuned/model holds an adapter"])
        .tells(&["runs/base/model"]);
    bench
        .run(&["train", "run.name=r", "adapter=lora", "data.documents=100"])
        .fails(
            2,
            &["adapter lora is set (command line), but model.path names no model"],
        );
    bench
        .run(&[
            "train",
            "run.name=r",
            "adapter.rank=8",
            "data.documents=100",
        ])
        .fails(2, &["no adapter is chosen"])
        .tells(&["adapter=lora"]);
    assert!(!bench.work().join("runs/r").exists());
    for (model, code, words) in [
        (
            &["--model", "runs/base", "--adapter-weight", "2"][..],
            2,
            "there is no adapter",
        ),
        (
            &["--model", "runs/base", "--adapter", "runs/base"],
            4,
            "is no adapter's folder",
        ),
        (
            &["--model", "runs/base", "--adapter", "nowhere"],
            4,
            "there is no adapter folder nowhere",
        ),
    ] {
        let line = [&["generate", "--prompt", "The"], model].concat();
        bench.run(&line).fails(code, &[words]);
    }
}
