//! What training promises: accumulation, freezing, dropout, checkpointing, and resuming bit for bit.

use codex_plugin_api::{ErrorKind, Model, OptimizerStep, TokenBatch, TrainingSettings};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm};

use crate::{batch, begin, fresh, pass, text};

const STEP: OptimizerStep = OptimizerStep {
    learning_rate: 1e-2,
    max_grad_norm: 1.0,
};
const BOTH: [ArchitectureName; 2] = [ArchitectureName::Gpt2, ArchitectureName::Llama];

fn everything(model: &MiniLm) -> Vec<u32> {
    let names = model
        .parameters()
        .unwrap()
        .into_iter()
        .map(|parameter| parameter.name);
    names
        .flat_map(|name| model.value(&name).unwrap())
        .map(f32::to_bits)
        .collect()
}

fn all_gradients(model: &MiniLm) -> Vec<f32> {
    let names = model
        .parameters()
        .unwrap()
        .into_iter()
        .map(|parameter| parameter.name);
    names
        .flat_map(|name| model.gradient(&name).unwrap())
        .collect()
}

#[test]
fn a_text_is_learned_by_heart() {
    for architecture in BOTH {
        let mut model = fresh(architecture, 0.0);
        begin(&mut model);
        let text = text(&[40, 7, 60], 1);
        let mut last = f64::INFINITY;
        for step in 1..=60 {
            let loss = model
                .forward_backward(&batch(&text), &pass(step, 0, 104))
                .unwrap();
            assert_eq!(loss.targets, 104);
            last = loss.sum / 104.0;
            if step == 1 {
                assert!(
                    (last - 300f64.ln()).abs() < 0.1,
                    "a fresh model should know nothing, loss {last}"
                );
            }
            model.optimizer_step(&STEP).unwrap();
        }
        assert!(last < 0.5, "loss {last} after 60 steps");
    }
}

#[test]
fn two_batches_equal_one_of_both() {
    for architecture in BOTH {
        let (a, b) = (text(&[30, 20], 1), text(&[64], 2));
        let whole = text(&[30, 20, 64], 1);
        let whole = ([a.0.clone(), b.0.clone()].concat(), whole.1);
        let mut one = fresh(architecture, 0.0);
        let mut two = fresh(architecture, 0.0);
        begin(&mut one);
        begin(&mut two);
        one.forward_backward(&batch(&whole), &pass(1, 0, 111))
            .unwrap();
        two.forward_backward(&batch(&a), &pass(1, 0, 111)).unwrap();
        two.forward_backward(&batch(&b), &pass(1, 1, 111)).unwrap();
        let largest = all_gradients(&one)
            .iter()
            .fold(0.0f32, |a, b| a.max(b.abs()));
        for (a, b) in all_gradients(&one).iter().zip(all_gradients(&two)) {
            assert!((a - b).abs() < 1e-5 * largest, "{a} and {b}");
        }
    }
}

#[test]
fn one_thread_trains_as_two() {
    for architecture in BOTH {
        let text = text(&[64, 10, 33, 64], 1);
        let after = |threads| {
            let settings = codex_plugin_model_minilm::Settings {
                architecture,
                hidden_size: 96,
                sequence_length: 64,
                dropout: 0.1,
                ..Default::default()
            };
            let mut model = MiniLm::new(&settings, threads).unwrap();
            begin(&mut model);
            for step in 1..=3 {
                model
                    .forward_backward(&batch(&text), &pass(step, 0, 167))
                    .unwrap();
                model.optimizer_step(&STEP).unwrap();
            }
            everything(&model)
        };
        let one = after(1);
        assert!(one == after(2), "two threads");
        assert!(one == after(5), "five threads");
    }
}

#[test]
fn resuming_gives_the_same_bits() {
    for architecture in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let text = text(&[50, 31], 4);
        let mut model = fresh(architecture, 0.2);
        begin(&mut model);
        let run = |model: &mut MiniLm, steps: std::ops::RangeInclusive<u64>| {
            for step in steps {
                model
                    .forward_backward(&batch(&text), &pass(step, 0, 79))
                    .unwrap();
                model.optimizer_step(&STEP).unwrap();
            }
        };
        run(&mut model, 1..=3);
        model.export_state(path).unwrap();
        run(&mut model, 4..=6);
        let mut resumed = fresh(architecture, 0.2);
        begin(&mut resumed);
        resumed.import_state(path).unwrap();
        run(&mut resumed, 4..=6);
        assert!(everything(&model) == everything(&resumed));
        // The same state gives the same file.
        let again = tempfile::tempdir().unwrap();
        let mut copy = fresh(architecture, 0.2);
        begin(&mut copy);
        copy.import_state(path).unwrap();
        copy.export_state(again.path().to_str().unwrap()).unwrap();
        for file in ["model.safetensors", "optimizer.safetensors", "config.json"] {
            let read =
                |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file)).unwrap();
            assert!(read(&folder) == read(&again), "{file}");
        }
    }
}

#[test]
fn dropout_is_a_function_of_seed_step_and_accumulation() {
    for architecture in BOTH {
        let text = text(&[64, 64], 1);
        let loss = |seed: u64, step: u64, accumulation: u32| {
            let mut model = fresh(architecture, 0.3);
            model
                .begin_training(&TrainingSettings {
                    seed,
                    ..TrainingSettings::default()
                })
                .unwrap();
            model
                .forward_backward(&batch(&text), &pass(step, accumulation, 126))
                .unwrap()
                .sum
        };
        let first = loss(1, 1, 0);
        assert_eq!(first, loss(1, 1, 0));
        for other in [loss(2, 1, 0), loss(1, 2, 0), loss(1, 1, 1)] {
            assert_ne!(first, other);
        }
    }
}

#[test]
fn checkpointing_changes_no_bit() {
    for architecture in BOTH {
        let text = text(&[64, 21, 64], 1);
        let gradients = |gradient_checkpointing| {
            let mut model = fresh(architecture, 0.2);
            model
                .begin_training(&TrainingSettings {
                    gradient_checkpointing,
                    ..Default::default()
                })
                .unwrap();
            model
                .forward_backward(&batch(&text), &pass(1, 0, 146))
                .unwrap();
            all_gradients(&model)
        };
        assert!(gradients(false) == gradients(true));
    }
}

#[test]
fn frozen_parameters_stay() {
    for (architecture, freeze) in [
        (
            ArchitectureName::Gpt2,
            vec!["transformer.h.0.*", "*.wte.weight", "*ln_f.bias"],
        ),
        (
            ArchitectureName::Llama,
            vec!["*.k_proj.*", "lm_head.*", "*layers.1.*norm*"],
        ),
    ] {
        let mut model = fresh(architecture, 0.0);
        let settings = TrainingSettings {
            freeze: freeze.iter().map(|&pattern| pattern.to_owned()).collect(),
            ..TrainingSettings::default()
        };
        model.begin_training(&settings).unwrap();
        let parameters = model.parameters().unwrap();
        let before: Vec<_> = parameters
            .iter()
            .map(|p| model.value(&p.name).unwrap())
            .collect();
        let text = text(&[64, 64], 1);
        for step in 1..=2 {
            model
                .forward_backward(&batch(&text), &pass(step, 0, 126))
                .unwrap();
            let summaries = model.gradients().unwrap();
            assert_eq!(
                summaries.len(),
                parameters.iter().filter(|p| p.trainable).count()
            );
            let known = summaries
                .iter()
                .map(|s| s.norm * s.norm)
                .sum::<f64>()
                .sqrt();
            let norm = model.optimizer_step(&STEP).unwrap();
            assert!(
                (norm - known).abs() < 1e-6 * known,
                "frozen gradients count: {norm}, not {known}"
            );
        }
        assert!(parameters.iter().any(|p| !p.trainable) && parameters.iter().any(|p| p.trainable));
        for (parameter, before) in parameters.iter().zip(before) {
            assert_eq!(
                model.value(&parameter.name).unwrap() != before,
                parameter.trainable,
                "{}",
                parameter.name
            );
        }
    }
}

#[test]
fn decay_can_leave_out_biases_and_norms() {
    let mut model = fresh(ArchitectureName::Gpt2, 0.0);
    let settings = TrainingSettings {
        decay_matrices_only: true,
        weight_decay: 0.5,
        ..Default::default()
    };
    model.begin_training(&settings).unwrap();
    // Without gradients, only decay moves anything.
    let before = model.value("transformer.h.0.attn.c_attn.weight").unwrap();
    model.optimizer_step(&STEP).unwrap();
    assert!(
        model
            .value("transformer.ln_f.weight")
            .unwrap()
            .iter()
            .all(|w| *w == 1.0)
    );
    for (a, b) in model
        .value("transformer.h.0.attn.c_attn.weight")
        .unwrap()
        .iter()
        .zip(before)
    {
        assert!((a - b * 0.995).abs() < 1e-7);
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let mut model = fresh(ArchitectureName::Gpt2, 0.0);
    begin(&mut model);
    let before = everything(&model);
    let text = text(&[20], 1);
    model
        .forward_backward(&batch(&text), &pass(1, 0, 0))
        .unwrap(); // scaled by 1/0
    assert!(
        model
            .gradients()
            .unwrap()
            .iter()
            .any(|summary| !summary.norm.is_finite())
    );
    assert!(!model.optimizer_step(&STEP).unwrap().is_finite());
    assert!(everything(&model) == before);
    model
        .forward_backward(&batch(&text), &pass(1, 0, 19))
        .unwrap();
    assert!(model.optimizer_step(&STEP).unwrap().is_finite());
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut model = fresh(ArchitectureName::Gpt2, 0.0);
    let (short, long) = (text(&[3], 1), text(&[3, 65], 1));
    let error = model
        .forward_backward(&batch(&short), &pass(1, 0, 2))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let settings = TrainingSettings {
        task: "masked-lm".into(),
        ..TrainingSettings::default()
    };
    assert_eq!(
        model.begin_training(&settings).unwrap_err().kind(),
        ErrorKind::Config
    );
    let settings = TrainingSettings {
        freeze: vec!["nothing.*".into()],
        ..TrainingSettings::default()
    };
    assert!(
        model
            .begin_training(&settings)
            .unwrap_err()
            .message()
            .contains("nothing.*")
    );
    begin(&mut model);
    let data = |model: &mut MiniLm, batch: &TokenBatch<'_>, words: &str| {
        let error = model.forward_backward(batch, &pass(1, 0, 2)).unwrap_err();
        assert_eq!(
            (error.kind(), error.hint_text().is_some()),
            (ErrorKind::Data, true)
        );
        assert!(error.message().contains(words), "{error}");
    };
    data(
        &mut model,
        &batch(&long),
        "sequence 1 of the batch has 65 tokens, but the model reads at most 64",
    );
    let wrong = (vec![1, 2, 300], vec![0, 3]);
    data(
        &mut model,
        &batch(&wrong),
        "id 300 at position 2 of sequence 0 is beyond the vocabulary of 300",
    );
    let labels = [1, -1, 2];
    let labelled = TokenBatch {
        labels: Some(&labels),
        ..batch(&short)
    };
    data(&mut model, &labelled, "label -1 at token 1");
    let empty = (vec![], vec![0, 0, 0]);
    assert_eq!(
        model
            .forward_backward(&batch(&empty), &pass(1, 0, 1))
            .unwrap()
            .targets,
        0
    );
}
