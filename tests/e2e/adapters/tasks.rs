//! Adapters on every task of an encoder.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::{copy, trained};
use crate::bench::Bench;
use crate::first_steps::events;

/// A bench with a masked language model.
fn with_encoder() -> Bench {
    static ENCODER: OnceLock<(Bench, PathBuf)> = OnceLock::new();
    let settings = [
        "--config",
        "masked",
        "run.name=base",
        "training.steps=20",
        "training.batch_size=16",
        "training.evaluate_every=20",
        "data.documents=400",
        "model.hidden_size=64",
    ];
    let bench = Bench::new();
    copy(
        &trained(&ENCODER, &settings),
        &bench.work().join("runs/base/model"),
    );
    bench
}

#[test]
fn every_task_of_an_encoder_is_learned_by_an_adapter_and_found_in_its_export() {
    for (config, share) in [
        ("masked", 0.99),
        ("embedding", 0.8),
        ("classification", 0.97),
        ("regression", 0.9),
    ] {
        let bench = with_encoder();
        let style = if config == "masked" {
            "data.style=formal"
        } else {
            "data.style=plain"
        };
        let train = [
            "train",
            "--json",
            "--config",
            config,
            "run.name=r",
            "adapter=lora",
            "adapter.rank=8",
            "model.path=runs/base/model",
            style,
            "data.documents=400",
            "data.validation_fraction=0.2",
            "training.steps=60",
            "training.batch_size=16",
            "training.learning_rate=1e-2",
            "training.warmup_steps=5",
            "training.evaluate_every=30",
        ];
        let reported = bench.run(&train).ok().json();
        let losses: Vec<f64> = events(&bench, "r")
            .iter()
            .filter(|event| event["event"] == "step")
            .map(|event| event["loss"].as_f64().unwrap())
            .collect();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..6]), mean(&losses[54..]));
        assert!(last < share * first, "{config}: {first} to {last}");

        let evaluate = ["evaluate", "--json", "--model", "runs/r/model"];
        let again = bench.run(&evaluate).ok().json();
        for (name, value) in reported["metrics"].as_object().unwrap() {
            let (found, value) = (
                again["metrics"][name].as_f64().unwrap(),
                value.as_f64().unwrap(),
            );
            assert!(
                (found - value).abs() <= 1e-6 * value.abs().max(1e-3),
                "{config}: {name} is {found} where the run reported {value}"
            );
        }
        if config == "embedding" {
            let embed = |model: &[&str]| {
                let line = [&["embed"], model].concat();
                bench
                    .run_with_input(&line, b"a short text\nanother\n")
                    .ok()
                    .stdout
            };
            let expected = embed(&["--model", "runs/r/model"]);
            assert_eq!(expected.lines().count(), 2);
            let beside = ["--model", "runs/base/model", "--adapter", "runs/r"];
            assert_eq!(embed(&beside), expected);
            let weak = [&beside[..], &["--adapter-weight", "0"]].concat();
            assert_ne!(embed(&weak), expected);
        }
    }
}
