//! Runs with a model in the process: what they write, how they fail, and that a kill at any moment does no harm.

mod adapter;
mod failures;
mod fakes;
mod kill;
mod resume;
mod sanitized;
mod tasks;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use self::fakes::{Fakes, numbers};
use super::*;
use crate::folders::Folders;
use crate::testing;

/// A folder for runs, an app whose caches are in it, and fake plugins.
struct Bench {
    root: TempDir,
    app: App,
    fakes: Fakes,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut app = testing::app();
        app.folders = Folders {
            cache: Some(root.path().join("cache")),
            ..Folders::default()
        };
        let fakes = Fakes {
            interrupt: app.interrupt.clone(),
            ..Fakes::default()
        };
        Self { root, app, fakes }
    }

    fn config(&self, more: &[&str]) -> Resolved {
        let mut settings = vec![
            format!("run.dir={}", self.root.path().join("runs").display()),
            "run.name=r".to_owned(),
        ];
        let usual = [
            "data.name=memory",
            "data.validation_fraction=0.2",
            "tokenizer.name=bytes",
            "tokenizer.path=bytes",
            "model.name=table",
            "model.sequence_length=16",
            "trackers=[]",
            "training.steps=10",
            "training.batch_size=2",
            "training.gradient_accumulation=2",
            "training.learning_rate=0.5",
            "training.warmup_steps=2",
            "training.evaluate_every=4",
            "training.checkpoint_every=3",
        ];
        settings.extend(usual.iter().chain(more).map(|&setting| setting.to_owned()));
        config::resolve(None, &settings).unwrap()
    }

    fn start(&self, more: &[&str]) -> Result<Outcome> {
        start(self.config(more), &self.fakes, &self.app)
    }

    fn resume(&self) -> Result<Outcome> {
        resume(&self.run(), None, &[], &self.fakes, &self.app)
    }

    /// Another process on the same disk, in which nothing goes wrong.
    fn calm(self) -> Self {
        let mut app = testing::app();
        app.folders = self.app.folders.clone();
        let fakes = Fakes {
            interrupt: app.interrupt.clone(),
            calm: true,
            ..Fakes::default()
        };
        Self {
            root: self.root,
            app,
            fakes,
        }
    }

    fn run(&self) -> PathBuf {
        self.root.path().join("runs/r")
    }
}

/// Events without what differs from one run to the next.
fn events(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("events.ndjson")).unwrap();
    text.lines()
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            let object = event.as_object_mut().unwrap();
            assert!(
                object
                    .remove("time")
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .ends_with('Z')
            );
            object.shift_remove("tokens_per_second");
            event
        })
        .collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

fn checkpoints(run: &Path) -> Vec<String> {
    runs::read(run, &testing::app()).unwrap().checkpoints
}

/// Events and weights are those of a run that was left alone; only the configuration's hash may differ.
fn same(expected: &Path, found: &Path) {
    let without_hash = |run: &Path| {
        let mut all = events(run);
        all[0].as_object_mut().unwrap().shift_remove("config_hash");
        all
    };
    assert_eq!(without_hash(expected), without_hash(found));
    assert_eq!(
        numbers(&expected.join("model/weights")),
        numbers(&found.join("model/weights"))
    );
}

#[test]
fn a_run_leaves_what_the_plan_says() {
    let bench = Bench::new();
    let outcome = bench.start(&[]).unwrap();
    assert_eq!(
        (outcome.status, outcome.steps, outcome.run.as_str()),
        (Status::Finished, 10, "r")
    );
    let run = bench.run();
    for file in [
        "config.yaml",
        "environment.json",
        "tokenizer/tokenizer.json",
        "model/config.json",
        "model/README.md",
        "model/tokenizer.json",
    ] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let config = fs::read_to_string(run.join("config.yaml")).unwrap();
    assert!(
        config.contains("# command line") && config.contains("# default"),
        "{config}"
    );
    let note: Value =
        serde_json::from_slice(&fs::read(run.join("model/codex_ml.json")).unwrap()).unwrap();
    assert_eq!(note["model"]["name"], "table");
    assert_eq!(note["data"]["name"], "memory");

    let events = events(&run);
    assert_eq!(events[0]["event"], "run_started");
    let steps = of_kind(&events, "step");
    assert_eq!(steps.len(), 10);
    let keys: Vec<&String> = steps[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "event",
            "step",
            "loss",
            "learning_rate",
            "grad_norm",
            "tokens"
        ]
    );
    assert_eq!(
        (&steps[0]["learning_rate"], &steps[2]["learning_rate"]),
        (&json!(0.0), &json!(0.5))
    );
    assert!(steps[9]["loss"].as_f64() < steps[0]["loss"].as_f64());
    let evaluated: Vec<&Value> = of_kind(&events, "evaluation")
        .iter()
        .map(|event| &event["step"])
        .collect();
    assert_eq!(evaluated, [4, 8, 10]);
    // The best one is also written when it is not due.
    let written: Vec<&Value> = of_kind(&events, "checkpoint")
        .iter()
        .map(|event| &event["step"])
        .collect();
    assert_eq!(written, [3, 4, 6, 8, 9, 10]);
    assert_eq!(
        events.last().unwrap(),
        &json!({"event": "run_finished", "status": "finished", "steps": 10, "model": "model"})
    );

    assert_eq!(checkpoints(&run), ["step-00000009", "step-00000010"]);
    assert_eq!(
        fs::read_to_string(run.join("checkpoints/last")).unwrap(),
        "step-00000010\n"
    );
    assert_eq!(
        fs::read_to_string(run.join("checkpoints/best")).unwrap(),
        "step-00000010\n"
    );
    let manifest: Value = serde_json::from_slice(
        &fs::read(run.join("checkpoints/step-00000010/manifest.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(manifest["files"]["model.bin"]["bytes"], 8 * 8 * 257);
    assert_eq!(
        outcome.scores[0].1,
        events[events.len() - 3]["metrics"]["loss"].as_f64()
    );
}

#[test]
fn accumulating_n_batches_equals_one_n_times_as_large() {
    let weights = |settings: &[&str]| {
        let bench = Bench::new();
        bench.start(settings).unwrap();
        let losses: Vec<f64> = of_kind(&events(&bench.run()), "step")
            .iter()
            .map(|step| step["loss"].as_f64().unwrap())
            .collect();
        (numbers(&bench.run().join("model/weights")), losses)
    };
    // Three steps of four windows stay within the first epoch.
    let (one, one_losses) = weights(&[
        "training.steps=3",
        "training.batch_size=4",
        "training.gradient_accumulation=1",
    ]);
    let (four, four_losses) = weights(&[
        "training.steps=3",
        "training.batch_size=1",
        "training.gradient_accumulation=4",
    ]);
    let apart = |a: &[f64], b: &[f64]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max)
    };
    assert!(apart(&one, &four) < 1e-12, "{}", apart(&one, &four));
    assert!(
        apart(&one_losses, &four_losses) < 1e-12,
        "{one_losses:?} {four_losses:?}"
    );
    assert!(one.iter().any(|weight| weight.abs() > 1e-3));
}

#[test]
fn kept_are_the_newest_and_the_best() {
    let bench = Bench::new();
    bench
        .start(&[
            "training.checkpoint_every=1",
            "training.keep_last=3",
            "training.keep_best=2",
            "training.evaluate_every=2",
            "training.learning_rate=2000",
        ])
        .unwrap();
    let run = bench.run();
    let mut best: Vec<(f64, u64)> = of_kind(&events(&run), "evaluation")
        .iter()
        .map(|event| {
            (
                event["metrics"]["loss"].as_f64().unwrap(),
                event["step"].as_u64().unwrap(),
            )
        })
        .collect();
    best.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut expected: Vec<u64> = best[..2]
        .iter()
        .map(|(_, step)| *step)
        .chain([8, 9, 10])
        .collect();
    expected.sort_unstable();
    expected.dedup();
    let names: Vec<String> = expected
        .iter()
        .map(|step| format!("step-{step:08}"))
        .collect();
    assert_eq!(checkpoints(&run), names);
    assert_eq!(
        fs::read_to_string(run.join("checkpoints/best")).unwrap(),
        format!("step-{:08}\n", best[0].1)
    );
}

#[test]
fn early_stopping_exports_the_best() {
    let bench = Bench::new();
    let outcome = bench
        .start(&[
            "training.steps=40",
            "training.evaluate_every=2",
            "training.keep_best=0",
            "training.learning_rate=2000",
            "training.early_stopping.patience=3",
        ])
        .unwrap();
    assert_eq!(outcome.status, Status::StoppedEarly);
    assert!(outcome.steps < 40);
    let events = events(&bench.run());
    let losses: Vec<(u64, f64)> = of_kind(&events, "evaluation")
        .iter()
        .map(|event| {
            (
                event["step"].as_u64().unwrap(),
                event["metrics"]["loss"].as_f64().unwrap(),
            )
        })
        .collect();
    let best = losses.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(losses.last().unwrap().0, outcome.steps);
    assert_eq!(best.0 + 6, outcome.steps, "{losses:?}");
    assert_eq!(outcome.scores[0].1, Some(best.1));
    let kept = bench
        .run()
        .join("checkpoints")
        .join(checkpoint::name(best.0))
        .join("model.bin");
    assert_eq!(numbers(&kept), numbers(&bench.run().join("model/weights")));
    let error = bench.resume().unwrap_err();
    assert!(error.message().contains("is finished"), "{error}");
}

#[test]
fn a_run_without_a_name_gets_a_free_one() {
    let bench = Bench::new();
    let first = bench.start(&["run.name=null"]).unwrap();
    let second = bench.start(&["run.name=null"]).unwrap();
    assert_ne!(first.run, second.run);
    assert!(first.run.contains("-memory"), "{}", first.run);
}

#[test]
fn without_held_out_documents_there_is_nothing_to_evaluate() {
    let bench = Bench::new();
    let outcome = bench
        .start(&[
            "data.validation_fraction=0",
            "training.steps=null",
            "training.epochs=1",
        ])
        .unwrap();
    assert!(outcome.scores.is_empty());
    assert!(of_kind(&events(&bench.run()), "evaluation").is_empty());
}

#[test]
fn runs_are_listed_from_their_folders() {
    let bench = Bench::new();
    bench.start(&[]).unwrap();
    bench
        .start(&["run.name=s", "model.fault=error", "model.at=5"])
        .unwrap_err();
    let dir = bench.root.path().join("runs");
    let all = runs::list(&dir, &bench.app).unwrap();
    let lines: Vec<String> = all
        .iter()
        .map(|run| format!("{} {} {}", run.name, run.status, run.steps))
        .collect();
    assert_eq!(lines, ["r finished 10", "s failed 4"]);
    assert_eq!(find(&dir, None, &bench.app).unwrap(), dir.join("s"));
    assert_eq!(
        runs::list(&bench.root.path().join("nothing"), &bench.app)
            .unwrap()
            .len(),
        0
    );
}
