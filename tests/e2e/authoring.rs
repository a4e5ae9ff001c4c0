//! From `plugin new` to a plugin that keeps its contract, for every kind in every language that is offered; and `plugin dev`,
//! which swaps each new version into a loop that runs. Where a language's tools cannot be had, its test says so.

mod dev;
#[cfg(target_os = "linux")]
mod page;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::bench::{Bench, Ran, built, root};
use crate::guests::{MISSING, left_out};

const KINDS: [&str; 8] = [
    "metric",
    "dataset",
    "tokenizer",
    "model",
    "tracker",
    "sanitizer",
    "adapter",
    "command",
];

/// Where crates of a language are built, so that what they share is compiled once; and the lock file that names what the
/// repository's own plugins are built with, so that nothing newer is fetched.
fn prepare_cargo(command: &mut Command, form: &str) {
    let target = if form == "--native" {
        "fixtures"
    } else {
        "guests"
    };
    command.env("CARGO_TARGET_DIR", built().parent().unwrap().join(target));
    // A bench's home has no tools; cargo keeps its registry in the real one.
    if let Some(home) = std::env::var_os("HOME") {
        command.env("HOME", home);
    }
}

fn lend_lock_file(folder: &Path, form: &str) {
    let lock = match form {
        "--native" => "tests/fixtures/third-party/Cargo.lock",
        "--wasm" => "wasm-plugins/Cargo.lock",
        _ => return,
    };
    fs::copy(root().join(lock), folder.join("Cargo.lock")).unwrap();
}

/// The words of `plugin new` for a form.
fn form_words(form: &'static str) -> Vec<&'static str> {
    match form {
        "--native" => vec!["--native", "--api"],
        "--wasm" => vec!["--wasm"],
        language => vec!["--lang", language],
    }
}

/// Makes a project in the bench; gives what was said.
fn new_project(bench: &Bench, name: &str, kind: &str, form: &'static str) -> Ran {
    let clone = root();
    let mut words = vec!["plugin", "new", name, "--kind", kind, "--json"];
    words.extend(form_words(form));
    if form == "--native" {
        words.push(clone.to_str().unwrap());
    }
    let ran = bench.run(&words);
    if ran.code == Some(0) {
        lend_lock_file(&bench.work().join(name), form);
    }
    ran
}

/// Runs codex-ml in a project of the bench, with the tools of the user who runs the tests.
fn in_project(bench: &Bench, name: &str, form: &str, words: &[&str]) -> Ran {
    let mut command = bench.command(words);
    prepare_cargo(&mut command, form);
    command.current_dir(bench.work().join(name));
    Ran::new(words, command.output().unwrap())
}

/// Builds a project; false, and a line that says so, where this machine lacks the tools of its language.
fn build(bench: &Bench, name: &str, form: &str) -> bool {
    let ran = in_project(bench, name, form, &["plugin", "build", "--json"]);
    for (lacks, install) in MISSING {
        if ran.code == Some(1) && ran.stderr.contains(lacks) {
            assert!(ran.stderr.contains(install), "{}", ran.stderr);
            left_out(&format!("{name} ({form}): {lacks}"));
            return false;
        }
    }
    ran.ok();
    true
}

/// New, build, test: as the README of the project says.
fn keeps_its_contract(bench: &Bench, kind: &str, form: &'static str) -> bool {
    let name = format!("my-{kind}-{}", form.trim_start_matches('-'));
    let made = new_project(bench, &name, kind, form).ok().json();
    assert_eq!((&made["id"], &made["kind"]), (&json!(name), &json!(kind)));
    if !build(bench, &name, form) {
        return false;
    }
    let readme = bench.read(format!("{name}/README.md"));
    let test = readme
        .lines()
        .find(|line| line.starts_with("codex-ml plugin test"));
    let words: Vec<&str> = test.unwrap().split(' ').skip(1).chain(["--json"]).collect();
    let tested = in_project(bench, &name, form, &words).ok().json();
    assert_eq!(tested["passed"], true, "{tested}");
    let checks = tested["components"][0]["checks"].as_array().unwrap();
    let passed = checks.iter().filter(|check| check["outcome"] == "passed");
    let due = if kind == "command" { 2 } else { 4 };
    assert!(passed.count() >= due, "{kind} {form}: {tested}");
    true
}

/// Every kind in one language.
fn every_kind(form: &'static str) -> Option<Bench> {
    let bench = Bench::new();
    for kind in KINDS {
        if !keeps_its_contract(&bench, kind, form) {
            return None;
        }
    }
    Some(bench)
}

/// Runs the line of a README that runs the unit test.
fn unit_test(bench: &Bench, name: &str, form: &str) {
    let readme = bench.read(format!("{name}/README.md"));
    let line = readme
        .lines()
        .find_map(|line| line.strip_prefix("- `")?.split_once("` runs its unit test"))
        .unwrap()
        .0;
    let mut command = Command::new("sh");
    command.args(["-e", "-c", line]);
    bench.prepare(&mut command);
    prepare_cargo(&mut command, form);
    command.current_dir(bench.work().join(name));
    if form == "--wasm" {
        // For this machine, beside what is built for the sandbox.
        command.env(
            "CARGO_TARGET_DIR",
            built().parent().unwrap().join("guests-native"),
        );
    }
    let ran = Ran::new(&[line], command.output().unwrap());
    if ran.code != Some(0) && ran.stderr.contains("not found") {
        left_out(&format!("the unit test of {name}: {}", ran.stderr.trim()));
        return;
    }
    ran.ok();
}

#[test]
fn every_kind_in_rust_for_the_sandbox() {
    if let Some(bench) = every_kind("--wasm") {
        for kind in ["metric", "model"] {
            unit_test(&bench, &format!("my-{kind}-wasm"), "--wasm");
        }
        used(&bench, "wasm");
    }
}

#[test]
fn every_kind_in_rust_as_native_code() {
    let bench = every_kind("--native").unwrap();
    for kind in ["metric", "dataset"] {
        unit_test(&bench, &format!("my-{kind}-native"), "--native");
    }
}

#[test]
fn every_kind_in_python() {
    let bench = Bench::new();
    for kind in KINDS {
        if !keeps_its_contract(&bench, kind, "python") {
            return;
        }
        unit_test(&bench, &format!("my-{kind}-python"), "python");
    }
}

#[test]
fn every_kind_in_c() {
    let Some(bench) = every_kind("c") else {
        return;
    };
    for kind in KINDS {
        unit_test(&bench, &format!("my-{kind}-c"), "c");
    }
    used(&bench, "c");
}

/// What was scaffolded does something real: all of it in one run, the command on a file.
fn used(bench: &Bench, form: &str) {
    for kind in KINDS {
        bench
            .run(&["plugin", "install", &format!("my-{kind}-{form}")])
            .ok();
    }
    let of = |kind: &str| format!("my-{kind}-{form}");
    let trained = bench
        .run(&[
            "train",
            "run.name=mine",
            &format!("data.name={}", of("dataset")),
            "data.rows=400",
            &format!("tokenizer.name={}", of("tokenizer")),
            &format!("model.name={}", of("model")),
            &format!("metrics=[lm,{}]", of("metric")),
            &format!("trackers=[{}]", of("tracker")),
            "training.epochs=1",
            "--json",
        ])
        .ok()
        .json();
    let metrics = &trained["metrics"];
    let (loss, rate) = (
        metrics["loss"].as_f64().unwrap(),
        metrics[format!("my_metric_{form}")].as_f64().unwrap(),
    );
    assert!(loss > 0.5 && loss < 5.0, "{trained}");
    assert!((0.0..1.0).contains(&rate), "{trained}");
    let generate = [
        "generate",
        "--model",
        "runs/mine/model",
        "--prompt",
        "3 + ",
        "--max-new-tokens",
        "8",
    ];
    bench.run(&generate).ok().shows(&["3 + "]);
    bench.write("words.txt", "the cat and the dog\n");
    let command = of("command");
    let line = [command.as_str(), "words.txt", "--top", "1"];
    bench
        .run(&line)
        .fails(3, &[&command])
        .tells(&["plugin grant"]);
    bench.run(&["plugin", "grant", &command, "--all"]).ok();
    bench.run(&line).ok().shows(&["     2  the\n"]);
}

#[test]
fn what_cannot_be_made_is_refused_and_nothing_is_left() {
    let bench = Bench::new();
    let new = |words: &[&str]| bench.run(&[&["plugin", "new"], words].concat());
    new(&["Word Rate", "--kind", "metric"])
        .fails(2, &["\"Word Rate\" is no name"])
        .tells(&["word-rate"]);
    new(&["train", "--kind", "command"]).fails(2, &["codex-ml's own"]);
    new(&["lm", "--kind", "metric"]).fails(2, &["a metric \"lm\" already", "metric-lm"]);
    new(&["mine", "--kind", "metric", "--lang", "python", "--native"])
        .fails(2, &["native templates in Rust only"]);
    new(&["mine", "--kind", "metrc"]).code(2).tells(&["metrc"]);
    new(&["mine", "--kind", "metric", "--native", "--api", "nowhere"])
        .fails(2, &["nowhere holds no crate codex-plugin-api"]);
    assert_eq!(fs::read_dir(bench.work()).unwrap().count(), 0);

    new(&["mine", "--kind", "metric"])
        .ok()
        .shows(&["codex-ml plugin build", "codex-ml plugin test ."]);
    let before = bench.read("mine/src/lib.rs");
    new(&["mine", "--kind", "dataset"]).fails(2, &["mine is there already"]);
    new(&["mine", "--kind", "dataset", "--output", "mine/wit"]).fails(2, &["is there already"]);
    assert_eq!(bench.read("mine/src/lib.rs"), before);
    new(&["other", "--kind", "dataset", "--output", "none/other"])
        .fails(1, &["cannot make the folder none/other"]);
    let names: Vec<_> = fs::read_dir(bench.work()).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}
