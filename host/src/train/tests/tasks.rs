//! Every task through the loop: it learns, is judged by its own metric, is taken up again bit for bit, and what does not
//! fit is refused.

use std::fs;

use codex_plugin_api::ErrorKind;
use serde_json::{Value, json};

use super::{Bench, events, of_kind, same};
use crate::model_folder::ModelFolder;
use crate::task::Task;
use crate::train::Status;

/// Settings of a task on the fakes.
fn settings(task: Task) -> Vec<String> {
    let data = match task {
        Task::CausalLm | Task::MaskedLm => "memory",
        _ => "table",
    };
    let mut settings = vec![
        format!("training.task={task}"),
        format!("data.name={data}"),
        "training.batch_size=4".to_owned(),
        "model.noise=0.1".to_owned(),
        "training.early_stopping.patience=9".to_owned(),
    ];
    if task == Task::Classification || task == Task::Regression {
        settings.push("data.text_column=anchor".into());
    }
    if task != Task::CausalLm {
        settings.push("tokenizer.name=encoder".into());
    }
    settings
}

fn with<'a>(settings: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let settings = settings.iter().map(String::as_str);
    settings.chain(more.iter().copied()).collect()
}

#[test]
fn every_task_learns_and_reports_a_loss() {
    for task in Task::ALL {
        let bench = Bench::new();
        let settings = settings(task);
        let outcome = bench
            .start(&with(&settings, &["training.steps=20"]))
            .unwrap();
        assert_eq!(outcome.status, Status::Finished, "{task}");
        assert_eq!(outcome.scores[0].0, "loss");
        let events = events(&bench.run());
        let losses: Vec<f64> = of_kind(&events, "step")
            .iter()
            .map(|event| event["loss"].as_f64().unwrap())
            .collect();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        assert!(
            mean(&losses[15..]) < mean(&losses[..5]),
            "{task}: {losses:?}"
        );
        // The loss is a mean over targets, whatever their number: at the start every id is as likely as any other.
        assert!(
            (losses[0] - 257f64.ln()).abs() < 1e-9,
            "{task}: {}",
            losses[0]
        );
        let folder = ModelFolder::open(&bench.run().join("model")).unwrap();
        assert_eq!(folder.task().unwrap(), task);
        let kept = folder.task_settings(task).unwrap();
        assert_eq!((kept.sequence_length, kept.batch_size), (Some(16), 4));
        let classes: &[&str] = match task {
            Task::Classification => &["no", "yes"],
            _ => &[],
        };
        assert_eq!(kept.classes.names(), classes);
    }
}

#[test]
fn every_task_goes_on_as_if_nothing_had_happened() {
    for task in Task::ALL {
        let settings = settings(task);
        let whole = Bench::new();
        whole.start(&with(&settings, &[])).unwrap();
        for (fault, at) in [("interrupt", "model.at=5"), ("error", "model.at=8")] {
            let bench = Bench::new();
            let fault = format!("model.fault={fault}");
            let _ = bench.start(&with(&settings, &[&fault, at]));
            let again = bench.calm();
            assert_eq!(again.resume().unwrap().status, Status::Finished, "{task}");
            let failed =
                |event: &Value| event["status"] == "failed" || event["status"] == "interrupted";
            assert!(!events(&again.run()).iter().any(failed));
            same(&whole.run(), &again.run());
        }
    }
}

#[test]
fn batches_and_their_accumulation_give_the_same_gradient() {
    for task in Task::ALL.into_iter().filter(|task| *task != Task::MaskedLm) {
        let settings = settings(task);
        let first_norm = |more: &[&str]| {
            let bench = Bench::new();
            let more = [&["training.steps=1", "model.noise=0"], more].concat();
            bench.start(&with(&settings, &more)).unwrap();
            let events = events(&bench.run());
            of_kind(&events, "step")[0]["grad_norm"].as_f64().unwrap()
        };
        let several = first_norm(&["training.batch_size=2", "training.gradient_accumulation=4"]);
        let one = first_norm(&["training.batch_size=8", "training.gradient_accumulation=1"]);
        assert!((several - one).abs() < 1e-12, "{task}: {several} and {one}");
    }
}

#[test]
fn a_trained_classifier_keeps_the_numbers_of_its_classes() {
    let bench = Bench::new();
    let settings = settings(Task::Classification);
    bench.start(&with(&settings, &[])).unwrap();
    let model = bench.run().join("model");
    let config = model.join("config.json");
    let names = |names: Value| {
        let text = json!({"architectures": ["TableForSequenceClassification"], "id2label": names});
        fs::write(&config, text.to_string()).unwrap();
    };
    let path = format!("model.path={}", model.display());
    let go_on = |name: &str| {
        let name = format!("run.name={name}");
        let more = [
            name.as_str(),
            &path,
            "model.name=table",
            "tokenizer.name=encoder",
            "tokenizer.path=x",
        ];
        bench.start(&with(&settings, &more))
    };
    names(json!({"0": "yes", "1": "maybe", "2": "no"}));
    let outcome = go_on("second").unwrap();
    let note = fs::read(outcome.model.unwrap().join("codex_ml.json")).unwrap();
    let note: Value = serde_json::from_slice(&note).unwrap();
    assert_eq!(note["classes"], json!(["yes", "maybe", "no"]));
    names(json!({"0": "yes", "1": "maybe"}));
    let error = go_on("third").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        error
            .message()
            .contains("the class \"no\", which the model does not know")
    );
    assert!(error.hint_text().unwrap().contains("yes, maybe"));
}

#[test]
fn what_a_task_cannot_work_with_is_refused() {
    for (task, more, words) in [
        (
            Task::MaskedLm,
            &["tokenizer.name=bytes", "tokenizer.path=x"][..],
            "the tokenizer has no mask token",
        ),
        (
            Task::Embedding,
            &["model.causal_only=true"],
            "model table cannot do embedding, only causal-lm",
        ),
        (
            Task::Embedding,
            &["data.anchor_column=ankor"],
            "the dataset has no column \"ankor\"",
        ),
        (
            Task::Embedding,
            &["training.batch_size=64"],
            "fewer than one batch",
        ),
        (
            Task::Regression,
            &["data.label_column=label"],
            "is no number",
        ),
        (
            Task::Classification,
            &["data.label_column=anker"],
            "the dataset has no column \"anker\"",
        ),
        (
            Task::Classification,
            &["data.rows=2", "data.validation_fraction=0.5"],
            "fewer",
        ),
        (
            Task::Classification,
            &["model.sequence_length=2"],
            "too short",
        ),
    ] {
        let bench = Bench::new();
        let settings = settings(task);
        match bench.start(&with(&settings, more)) {
            Err(error) => {
                assert!(error.message().contains(words), "{error} lacks {words}");
                assert!(error.hint_text().is_some(), "{error}");
                assert!(!bench.root.path().join("runs").exists(), "{error}");
            }
            // Two rows are enough for a batch of texts: it holds each of them twice.
            Ok(_) => assert_eq!(words, "fewer"),
        }
    }
}

#[test]
fn a_tokenizer_that_takes_no_path_is_made_anew() {
    let bench = Bench::new();
    bench
        .start(&[
            "tokenizer.name=ready",
            "tokenizer.path=null",
            "model.fault=interrupt",
            "model.at=5",
        ])
        .unwrap();
    bench.calm().resume().unwrap();
}
