//! The reference cases by way of the functions that GPUs are given: on the CPU always, on a GPU where there is one.

use codex_plugin_api::{Model, TrainingSettings};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm, Settings};

use crate::golden::{bert, check_model};
use crate::{batch, golden, pass, small, text};

/// A case, and everything about it.
type Case = (&'static str, fn(&mut MiniLm));

const CASES: [Case; 4] = [
    ("gpt2-tiny", |model| check_model("gpt2-tiny", model)),
    ("llama-tiny", |model| check_model("llama-tiny", model)),
    (bert::MASKED, bert::check_masked),
    (bert::SENTENCES, bert::check_sentences),
];

fn settings(case: &str, device: &str) -> Settings {
    Settings {
        path: Some(golden(case).join("model").to_str().unwrap().to_owned()),
        device: device.to_owned(),
        ..Settings::default()
    }
}

#[test]
fn composed_functions_give_the_reference_values() {
    for (case, check) in CASES {
        check(&mut MiniLm::composed(&settings(case, "cpu"), 2).unwrap());
    }
}

/// Loss and all gradients of one training pass with dropout over sequences of several lengths.
fn one_pass(mut model: MiniLm, checkpointing: bool) -> (f64, Vec<f32>) {
    let settings = TrainingSettings {
        gradient_checkpointing: checkpointing,
        ..TrainingSettings::default()
    };
    model.begin_training(&settings).unwrap();
    let text = text(&[40, 3, 3, 17, 1], 5);
    let loss = model
        .forward_backward(&batch(&text), &pass(3, 1, 59))
        .unwrap();
    let parameters = model.parameters().unwrap();
    let gradients = parameters
        .iter()
        .flat_map(|parameter| model.gradient(&parameter.name).unwrap());
    (loss.sum, gradients.collect())
}

#[test]
fn composed_training_drops_what_the_cpu_drops() {
    for architecture in [ArchitectureName::Gpt2, ArchitectureName::Llama] {
        for checkpointing in [false, true] {
            let settings = small(architecture, 0.2);
            let (expected, gradients) = one_pass(MiniLm::new(&settings, 2).unwrap(), checkpointing);
            let (loss, found) = one_pass(MiniLm::composed(&settings, 2).unwrap(), checkpointing);
            assert!((loss - expected).abs() < 1e-3, "{loss}, not {expected}");
            let largest = gradients.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            for (at, (a, b)) in found.iter().zip(&gradients).enumerate() {
                assert!(
                    (a - b).abs() <= 1e-4 * largest,
                    "gradient {at}: {a}, not {b}"
                );
            }
        }
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "says why it is skipped")]
fn cuda_gives_the_reference_values() {
    if !cfg!(feature = "cuda") {
        eprintln!("skipped: this build has no CUDA; `--features cuda` has (docs/gpu.md)");
        return;
    }
    for (case, check) in CASES {
        match MiniLm::new(&settings(case, "cuda:0"), 2) {
            Ok(mut model) => {
                assert_eq!(model.info().unwrap().device, "cuda:0");
                check(&mut model);
                eprintln!("ok: {case} on cuda:0");
            }
            Err(error) => {
                eprintln!("skipped: no GPU to run {case} on: {error}");
                return;
            }
        }
    }
}
