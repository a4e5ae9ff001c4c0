//! Runs that train an adapter on the model of another run.

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::ErrorKind;
use serde_json::Value;

use super::fakes::adapted::SITE;
use super::fakes::numbers;
use super::{Bench, events, of_kind};
use crate::model_folder::ModelFolder;
use crate::train::{Status, resume};

impl Bench {
    /// The exported model of a run of a whole table.
    fn with_base(&self) -> PathBuf {
        self.start(&["run.name=base", "training.steps=3"]).unwrap();
        self.root.path().join("runs/base/model")
    }
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The settings of a run that trains an adapter for a model.
fn adapted(base: &Path) -> Vec<String> {
    vec![
        "model.name=adapted".into(),
        format!("model.path={}", base.display()),
        "adapter=bias".into(),
    ]
}

fn words(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
}

#[test]
fn the_export_of_an_adapter_is_the_adapter_alone() {
    let bench = Bench::new();
    let base = bench.with_base();
    let before = numbers(&base.join("weights"));
    let outcome = bench.start(&words(&adapted(&base))).unwrap();
    assert_eq!(outcome.status, Status::Finished);
    let run = bench.run();
    for file in [
        "adapter_config.json",
        "bias",
        "tokenizer.json",
        "README.md",
        "codex_ml.json",
    ] {
        assert!(run.join("model").join(file).is_file(), "{file}");
    }
    for file in ["config.json", "weights"] {
        assert!(!run.join("model").join(file).exists(), "{file}");
    }
    assert_eq!(numbers(&base.join("weights")), before);
    assert!(
        numbers(&run.join("model/bias"))
            .iter()
            .any(|value| value.abs() > 1e-3)
    );
    let events = events(&run);
    let losses: Vec<f64> = of_kind(&events, "step")
        .iter()
        .map(|step| step["loss"].as_f64().unwrap())
        .collect();
    assert!(losses[9] < losses[0], "{losses:?}");

    let note = json(run.join("model/codex_ml.json"));
    assert_eq!(note["adapter"]["name"], "bias");
    assert_eq!(note["base"], base.to_str().unwrap());
    let told = json(run.join("environment.json"));
    let told = &told["adapter"];
    assert_eq!(told["sites"], serde_json::json!([SITE]));
    assert_eq!(told["trainable_parameters"], 257);
    assert_eq!(told["parameters"], 257 * 9);
    let card = fs::read_to_string(run.join("model/README.md")).unwrap();
    assert!(card.contains("An adapter (`bias`) for `base`"), "{card}");
    assert!(card.contains("257 of 2,313 parameters (11.11 %)"), "{card}");

    // Its folder, and its run's, are opened with the model that they are for.
    for path in [run.join("model"), run] {
        let opened = ModelFolder::open(&path).unwrap();
        assert_eq!(opened.model_name(), "adapted");
        assert_eq!(opened.adapters().count(), 1);
        assert_eq!(opened.data().unwrap()["name"], "memory");
    }
}

#[test]
fn an_interrupted_adapter_goes_on_as_if_nothing_had_happened() {
    let whole = Bench::new();
    let base = whole.with_base();
    let settings = [adapted(&base), vec!["model.noise=0.1".into()]].concat();
    whole.start(&words(&settings)).unwrap();
    let bench = Bench::new();
    let stopped = ["model.fault=interrupt".into(), "model.at=5".into()];
    let outcome = bench
        .start(&words(&[settings, stopped.to_vec()].concat()))
        .unwrap();
    assert_eq!((outcome.status, outcome.steps), (Status::Interrupted, 5));
    let again = bench.calm();
    assert_eq!(again.resume().unwrap().status, Status::Finished);
    let bias = |bench: &Bench| numbers(&bench.run().join("model/bias"));
    assert_eq!(bias(&whole), bias(&again));
    let losses = |bench: &Bench| -> Vec<Value> {
        let events = events(&bench.run());
        let steps = of_kind(&events, "step");
        steps.iter().map(|step| step["loss"].clone()).collect()
    };
    assert_eq!(losses(&whole), losses(&again));
}

#[test]
fn an_adapter_is_not_continued_on_another_model() {
    let bench = Bench::new();
    let base = bench.with_base();
    let stopped = ["model.fault=interrupt".into(), "model.at=5".into()];
    let settings = [adapted(&base), stopped.to_vec()].concat();
    bench.start(&words(&settings)).unwrap();
    let weights = fs::read(base.join("weights")).unwrap();
    fs::write(base.join("weights"), [&[1][..], &weights[1..]].concat()).unwrap();
    let again = bench.calm();
    let error = again.resume().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        error
            .message()
            .contains("the model that the adapter is for changed"),
        "{error}"
    );
    fs::write(base.join("weights"), weights).unwrap();
    resume(&again.run(), None, &[], &again.fakes, &again.app).unwrap();
}

#[test]
fn what_cannot_be_adapted_is_refused_before_a_run_begins() {
    let bench = Bench::new();
    let base = bench.with_base();
    bench
        .start(&words(
            &[adapted(&base), vec!["run.name=tuned".into()]].concat(),
        ))
        .unwrap();
    let tuned = format!(
        "model.path={}",
        bench.root.path().join("runs/tuned/model").display()
    );
    let path = format!("model.path={}", base.display());
    let words = [
        (
            &["model.name=adapted", "adapter=bias"][..],
            "adapter bias is set (command line), but model.path names no model",
            "model.path=",
        ),
        (
            &[&path, "model.name=table", "adapter=bias"],
            "model table does not take adapter bias",
            "leave `adapter` out",
        ),
        (
            &[
                &path,
                "model.name=adapted",
                "adapter=bias",
                "adapter.targets=[q_prj]",
            ],
            "there is no site \"q_prj\"",
            SITE,
        ),
        (
            &[
                &path,
                "model.name=adapted",
                "adapter=bias",
                "adapter.targets=[]",
            ],
            "adapter bias adds nothing to model adapted, which has 1 sites",
            "which sites",
        ),
        (
            &[&path, "model.name=adapted", "adapter=bias", "adapter.rnk=8"],
            "adapter.rnk",
            "targets",
        ),
        (
            &[&tuned, "model.name=adapted"],
            "holds an adapter, not a model",
            "runs/base/model",
        ),
    ];
    for (settings, message, hint) in words {
        let error = bench.start(settings).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{settings:?}: {error}");
        assert!(error.message().contains(message), "{settings:?}: {error}");
        assert!(
            error.hint_text().unwrap().contains(hint),
            "{settings:?}: {:?}",
            error.hint_text()
        );
        assert!(!bench.run().exists());
    }
}
