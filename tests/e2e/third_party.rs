//! Somebody else's plugin: built in a workspace of its own, installed, used through every part of the host, removed.

mod install;
mod search;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_ml::app::App;
use codex_ml::folders::Folders;
use codex_ml::interrupt::Interrupt;
use codex_ml::output::{Color, Output};
use codex_ml::plugins::Registry;
use codex_plugin_api::{Kind, Operation, Site, Stage, TextBuffer};
use serde_json::{Value, json};

use crate::bench::{Bench, Ran, fixtures, library};
use crate::first_steps::quick;

/// The library of the plugin that these tests are about.
fn third_party() -> PathBuf {
    fixtures("third-party").join(library("third-party"))
}

/// A bench with the plugin installed.
pub(crate) fn with_plugin() -> Bench {
    let bench = Bench::new();
    bench
        .run(&["plugin", "install", third_party().to_str().unwrap()])
        .ok();
    bench
}

/// The library's bytes with `from`, which must be there, replaced by `to`, which must be as long.
pub(crate) fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "a patch keeps the length");
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, part)| *part == from)
        .map(|(at, _)| at)
        .collect();
    assert!(
        !places.is_empty(),
        "{:?} is not in the library",
        String::from_utf8_lossy(from)
    );
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        found.push(entry.path());
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found
}

/// The rows of `plugin list` with this id.
fn rows(ran: &Ran, id: &str) -> Vec<Value> {
    let all = ran.json();
    all.as_array()
        .unwrap()
        .iter()
        .filter(|row| row["id"] == id)
        .cloned()
        .collect()
}

/// The registry as the host makes it, looking only at this bench.
pub(crate) fn registry(bench: &Bench, plugin_dirs: &[PathBuf]) -> Arc<Registry> {
    let output = Output::new(false, true, 0, Color::Never);
    let mut app = App::new(output, Interrupt::default(), plugin_dirs.to_vec(), 1);
    app.folders = Folders {
        data: Some(bench.data()),
        ..Folders::default()
    };
    Registry::discover(&app).unwrap()
}

#[test]
fn its_metric_and_its_dataset_are_used_in_training_and_evaluation() {
    let bench = with_plugin();
    let trained = bench
        .run(&quick(&["metrics=[lm,shout-rate]", "--json"]))
        .ok()
        .json();
    let rate = trained["metrics"]["shout_rate"].as_f64().unwrap();
    assert!(rate > 0.0 && rate < 0.5, "{rate}");
    assert!(trained["metrics"]["loss"].is_f64(), "{trained}");
    let again = bench
        .run(&["evaluate", "--model", "runs/quick/model", "--json"])
        .ok()
        .json();
    assert_eq!(
        again["metrics"]["shout_rate"].as_f64(),
        Some(rate),
        "the run's metrics are its model's default"
    );

    let evaluate = [
        "evaluate",
        "--model",
        "runs/quick/model",
        "--data",
        "squares",
    ];
    let report = bench
        .run(
            &[
                &evaluate[..],
                &[
                    "--metric",
                    "shout-rate",
                    "--metric",
                    "lm",
                    "data.rows=50",
                    "--json",
                ],
            ]
            .concat(),
        )
        .ok()
        .json();
    // "The square of 7 is 49." has one capital among 13 letters.
    let rate = report["metrics"]["shout_rate"].as_f64().unwrap();
    assert!((rate - 1.0 / 13.0).abs() < 1e-12, "{rate}");
    assert_eq!(report["samples"].as_u64(), Some(50), "{report}");
    bench
        .run(&[&evaluate[..], &["--metric", "shout-rate", "data.rows=5"]].concat())
        .ok()
        .shows(&["shout_rate", "0.0769"]);

    for (setting, words) in [
        ("data.rows=many", &["data.rows", "integer", "many"][..]),
        ("data.rows=0", &["data.rows", "0"]),
        ("data.first=-1", &["data.first", "-1"]),
        ("data.row=5", &["data.row"]),
    ] {
        bench
            .run(&[&evaluate[..], &[setting]].concat())
            .fails(2, words);
    }
    bench
        .run(&[&evaluate[..], &["data.row=5"]].concat())
        .fails(2, &[])
        .tells(&["data.rows"]);
    bench
        .run(&[&evaluate[..], &["--metric", "shout-rat"]].concat())
        .fails(2, &["shout-rat"])
        .tells(&["shout-rate"]);
    bench
        .run(
            &[
                &evaluate[..],
                &["--metric", "shout-rate", "metrics.shout-rate.loud=1"],
            ]
            .concat(),
        )
        .fails(2, &["loud"]);

    bench
        .run(&[
            "train",
            "data.name=squares",
            "data.rows=many",
            "training.steps=1",
            "run.name=never",
        ])
        .fails(2, &["data.rows", "many"]);
    assert!(!bench.work().join("runs/never").exists());
    bench
        .run(&[
            "train",
            "data.name=squares",
            "data.rows=400",
            "training.steps=2",
            "run.name=squares",
        ])
        .ok();
    let environment: Value =
        serde_json::from_str(&bench.read("runs/squares/environment.json")).unwrap();
    assert!(
        environment.to_string().contains("third-party"),
        "{environment}"
    );
    bench
        .run(&["config", "schema"])
        .ok()
        .shows(&["squares", "shout-rate"]);
}

#[test]
fn its_command_is_part_of_the_command_line() {
    let bench = with_plugin();
    let help = bench.run(&["--help"]).ok().stdout;
    let (own, plugins) = help
        .split_once("Commands from plugins:")
        .expect("the heading is missing");
    assert!(own.contains("train") && !own.contains("greet"), "{help}");
    assert!(
        plugins.contains("greet") && plugins.contains("Greets someone, as often as asked"),
        "{help}"
    );
    bench.run(&["greet", "--help"]).ok().shows(&[
        "Greets someone, as often as asked",
        "third-party 0.3.1",
        "<NAME>",
        "Who to greet",
        "-n, --times",
        "How often",
        "default: 1",
        "--loud",
        "en, cs, de",
        "codex-ml greet Ada --times 2 --loud",
    ]);
    bench.run(&["help", "greet"]).ok().shows(&["Who to greet"]);
    bench.run(&["greet", "--version"]).ok().shows(&["0.3.1"]);

    for (line, expected) in [
        (&["greet", "Ada"][..], "hello, Ada\n"),
        (
            &["greet", "Ada", "--times", "3", "--loud"],
            "HELLO, ADA\nHELLO, ADA\nHELLO, ADA\n",
        ),
        (
            &["greet", "-n", "2", "--language=cs", "Eva"],
            "ahoj, Eva\nahoj, Eva\n",
        ),
        (&["greet", "--", "--loud"], "hello, --loud\n"),
        (&["greet", "Ada", "--times", "0"], ""),
        (
            &["greet", "x", "--rows", "2"],
            "hello, x\nThe square of 0 is 0.\nThe square of 1 is 1.\n",
        ),
    ] {
        assert_eq!(bench.run(line).ok().stdout, expected, "{line:?}");
    }
    for (line, word) in [
        (&["greet"][..], "NAME"),
        (&["greet", "Ada", "--times", "often"], "often"),
        (&["greet", "Ada", "--times", "1.5"], "1.5"),
        (&["greet", "Ada", "--language", "fr"], "fr"),
        (&["greet", "Ada", "--laud"], "--loud"),
        (&["greet", "Ada", "Eva"], "Eva"),
        (&["greet", "Ada", "--rows", "-1"], "-1"),
    ] {
        bench.run(line).code(2).tells(&[word]);
    }
    let error = bench
        .run(&["greet", "Ada", "--times", "often", "--json"])
        .code(2);
    let error: Value = serde_json::from_str(&error.stderr).unwrap();
    assert!(
        error["error"].as_str().unwrap().contains("often"),
        "{error}"
    );
}

#[test]
fn the_exit_code_of_a_command_is_the_hosts() {
    let bench = Bench::new();
    let quits = fixtures("broken").join(library("quits"));
    bench
        .run(&["plugin", "install", quits.to_str().unwrap()])
        .ok();
    for (code, expected) in [("0", 0), ("7", 7), ("255", 255), ("256", 1), ("-1", 1)] {
        let ran = bench.run(&["quit", code]).code(expected);
        assert_eq!(ran.stdout, format!("ending with {code}\n"));
    }
    bench.run(&["quit", "9999999999"]).fails(2, &["exit code"]);
}

#[test]
fn scripts_that_cannot_ask_name_its_command_and_its_options() {
    let bench = with_plugin();
    for shell in ["elvish", "powershell"] {
        let script = bench.run(&["completions", shell]).ok().stdout;
        for word in ["greet", "times", "loud", "language"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
}

#[test]
fn its_sanitizer_and_its_adapter_are_created_and_work() {
    let bench = with_plugin();
    let registry = registry(&bench, &[]);
    assert!(registry.names(Kind::Sanitizer).contains(&"digits"));
    assert!(registry.names(Kind::Adapter).contains(&"scale-output"));

    let sanitizer = registry.create_sanitizer("digits", &Value::Null).unwrap();
    let rules = sanitizer.rules().unwrap();
    assert_eq!(
        (rules.len(), rules[0].id.as_str(), sanitizer.max_span()),
        (1, "long-number", 64)
    );
    let texts: TextBuffer = ["čaj 1234567", "účet 12345678 a 987654321"]
        .iter()
        .collect();
    let found = sanitizer.scan(texts.as_texts(), Stage::Output).unwrap();
    let found: Vec<&str> = found
        .iter()
        .map(|finding| {
            let text = texts.as_texts().get(finding.text as usize).unwrap();
            &text[finding.start as usize..finding.end as usize]
        })
        .collect();
    assert_eq!(found, ["12345678", "987654321"]);

    let site = |name: &str| Site {
        name: name.into(),
        inputs: 4,
        outputs: 12,
        role: "attention".into(),
        layer: Some(0),
        transposed: false,
    };
    let sites = [site("h.0.attn.c_attn"), site("h.0.mlp.c_fc")];
    let adapter = registry
        .create_adapter("scale-output", &json!({"target_modules": ["c_attn"]}))
        .unwrap();
    let plan = adapter.plan(&sites).unwrap();
    assert_eq!(plan.operations.len(), 1);
    assert_eq!(plan.operations[0].site, "h.0.attn.c_attn");
    assert!(matches!(
        plan.operations[0].operation,
        Operation::ScaleOutput { train: true, .. }
    ));
    assert_eq!(plan.saved_config["peft_type"], "IA3");

    let adapter = registry
        .create_adapter("scale-output", &json!({"target_modules": ["nowhere"]}))
        .unwrap();
    let error = adapter.plan(&sites).unwrap_err();
    assert!(
        error.message().contains("nowhere") && error.message().contains("third-party 0.3.1"),
        "{error}"
    );
    assert!(error.hint_text().unwrap().contains("h.0.mlp.c_fc"));
    let error = registry
        .create_adapter("scale-output", &json!({"target_modules": "c_attn"}))
        .err()
        .unwrap();
    assert!(
        error
            .message()
            .contains("adapter.target_modules must be a list"),
        "{error}"
    );
}
