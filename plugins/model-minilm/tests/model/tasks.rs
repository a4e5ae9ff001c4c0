//! What each task learns, and what every task promises: slopes that are the loss's, no neighbours, freezing that costs
//! nothing, checkpointing, threads, resuming.

use codex_plugin_api::{
    ErrorKind, Ids, Loss, Model, OptimizerStep, ScoreRequest, TokenBatch, TrainingSettings,
};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm, Settings};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use crate::{at, batch, pass, text};

const STEP: OptimizerStep = OptimizerStep {
    learning_rate: 5e-3,
    max_grad_norm: 1.0,
};

/// A task of an architecture, with a batch to learn.
struct Job {
    architecture: ArchitectureName,
    task: &'static str,
    text: (Vec<u32>, Vec<u64>),
    labels: Option<Vec<i64>>,
    types: Option<Vec<u32>>,
    sequence_labels: Option<Vec<f32>>,
    parts: u32,
    targets: u64,
}

impl Job {
    fn new(architecture: ArchitectureName, task: &'static str) -> Self {
        let text = text(&[9, 30, 1, 17, 40, 5], 1);
        let bert = matches!(architecture, ArchitectureName::Bert);
        let mut job = Self {
            architecture,
            task,
            labels: None,
            types: bert.then(|| (0..text.0.len() as u32).map(|i| i / 7 % 2).collect()),
            sequence_labels: None,
            parts: 1,
            targets: 6,
            text,
        };
        match task {
            "masked-lm" => {
                let labels: Vec<i64> = job
                    .text
                    .0
                    .iter()
                    .enumerate()
                    .map(|(at, id)| if at % 7 == 3 { i64::from(*id) } else { -100 })
                    .collect();
                job.targets = labels.iter().filter(|label| **label >= 0).count() as u64;
                job.labels = Some(labels);
            }
            "embedding" => (job.parts, job.targets) = (2, 3),
            "triplets" => (job.task, job.parts, job.targets) = ("embedding", 3, 2),
            "classification" => job.sequence_labels = Some(vec![0.0, 2.0, 1.0, 1.0, 0.0, 2.0]),
            "regression" => job.sequence_labels = Some(vec![0.5, -1.0, 0.25, 2.0, 0.0, 1.5]),
            _ => job.targets = job.batch().causal_targets(),
        }
        job
    }

    /// Every task of every architecture.
    fn all() -> Vec<Self> {
        let mut jobs = Vec::new();
        for task in [
            "masked-lm",
            "embedding",
            "triplets",
            "classification",
            "regression",
        ] {
            jobs.push(Self::new(ArchitectureName::Bert, task));
        }
        for architecture in [ArchitectureName::Gpt2, ArchitectureName::Llama] {
            for task in ["causal-lm", "embedding", "classification", "regression"] {
                jobs.push(Self::new(architecture, task));
            }
        }
        jobs
    }

    fn settings(&self, dropout: f32) -> Settings {
        Settings {
            architecture: self.architecture,
            task: self.task.to_owned(),
            labels: (self.task == "classification").then_some(3),
            vocab_size: 300,
            hidden_size: 48,
            layers: 3,
            heads: 4,
            sequence_length: 40,
            initializer_range: 0.1,
            dropout,
            seed: 3,
            ..Settings::default()
        }
    }

    fn model(&self, dropout: f32) -> MiniLm {
        MiniLm::new(&self.settings(dropout), 2).unwrap()
    }

    fn training(&self) -> TrainingSettings {
        TrainingSettings {
            task: self.task.to_owned(),
            ..TrainingSettings::default()
        }
    }

    fn batch(&self) -> TokenBatch<'_> {
        TokenBatch {
            labels: self.labels.as_deref(),
            token_types: self.types.as_deref(),
            sequence_labels: self.sequence_labels.as_deref(),
            parts: self.parts,
            ..batch(&self.text)
        }
    }

    fn step(&self, model: &mut MiniLm, step: u64) -> Loss {
        let loss = self.pass(model, step);
        model.optimizer_step(&STEP).unwrap();
        loss
    }

    fn pass(&self, model: &mut MiniLm, step: u64) -> Loss {
        model
            .forward_backward(&self.batch(), &pass(step, 0, self.targets))
            .unwrap()
    }

    fn name(&self) -> String {
        format!(
            "{:?} {} in {} parts",
            self.architecture, self.task, self.parts
        )
    }
}

fn gradients(model: &MiniLm) -> Vec<(String, Vec<f32>)> {
    let parameters = model.parameters().unwrap().into_iter();
    parameters
        .map(|one| (one.name.clone(), model.gradient(&one.name).unwrap()))
        .collect()
}

fn values(model: &MiniLm) -> Vec<(String, Vec<u32>)> {
    let parameters = model.parameters().unwrap().into_iter();
    parameters
        .map(|one| {
            let values = model.value(&one.name).unwrap();
            (one.name, values.into_iter().map(f32::to_bits).collect())
        })
        .collect()
}

#[test]
fn every_task_is_learned_by_heart() {
    for job in Job::all() {
        let mut model = job.model(0.0);
        model.begin_training(&job.training()).unwrap();
        let first = job.step(&mut model, 1);
        assert_eq!(first.targets, job.targets, "{}", job.name());
        for step in 2..=80 {
            job.step(&mut model, step);
        }
        let last = job.step(&mut model, 81);
        assert!(
            last.sum < 0.15 * first.sum,
            "{}: from {} to {}",
            job.name(),
            first.sum,
            last.sum
        );
    }
}

#[test]
fn the_training_loss_is_the_scored_loss() {
    for job in Job::all() {
        let mut model = job.model(0.0);
        model.begin_training(&job.training()).unwrap();
        let scored = model.score(&job.batch(), ScoreRequest::default()).unwrap();
        let trained = job.pass(&mut model, 1);
        assert_eq!(scored.loss.targets, trained.targets, "{}", job.name());
        assert_eq!(
            scored.target_offsets.last(),
            Some(&job.targets),
            "{}",
            job.name()
        );
        assert!(
            (scored.loss.sum - trained.sum).abs() < 1e-5 * trained.sum.abs().max(1.0),
            "{}: {:?} and {trained:?}",
            job.name(),
            scored.loss
        );
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for job in Job::all() {
        let folder = tempfile::tempdir().unwrap();
        let mut model = job.model(0.0);
        model.begin_training(&job.training()).unwrap();
        model.save(folder.path().to_str().unwrap()).unwrap();
        job.pass(&mut model, 1);
        let file = folder.path().join("model.safetensors");
        let bytes = std::fs::read(&file).unwrap();
        let places: Vec<(String, usize)> = {
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let start = bytes.as_ptr() as usize;
            tensors
                .iter()
                .map(|(name, view)| {
                    assert_eq!(view.dtype(), Dtype::F32);
                    (name.to_owned(), view.data().as_ptr() as usize - start)
                })
                .collect()
        };
        let loss = |place: usize, change: f32| {
            let mut bytes = bytes.clone();
            let old = f32::from_le_bytes(bytes[place..place + 4].try_into().unwrap());
            bytes[place..place + 4].copy_from_slice(&(old + change).to_le_bytes());
            std::fs::write(&file, bytes).unwrap();
            let mut model = MiniLm::new(&at(folder.path(), job.task), 1).unwrap();
            let scored = model.score(&job.batch(), ScoreRequest::default()).unwrap();
            scored.loss.sum / job.targets as f64
        };
        let mut checked = 0;
        for (name, place) in places {
            // The parts that tasks differ in, and one in the middle of the trunk.
            let head = [
                "cls.",
                "pooler",
                "classifier",
                "score",
                "lm_head",
                "token_type",
            ];
            if !head.iter().any(|part| name.contains(part))
                && !name.contains("1.attention.output.dense")
            {
                continue;
            }
            let gradient = model.gradient(&name).unwrap();
            let (index, steepest) = gradient
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
                .unwrap();
            let change = 5e-3;
            let rise = loss(place + 4 * index, change) - loss(place + 4 * index, -change);
            let slope = rise / f64::from(2.0 * change);
            assert!(
                (slope - f64::from(*steepest)).abs() < 0.02 * slope.abs() + 1e-4,
                "{}: {name} has gradient {steepest}, but the loss has slope {slope}",
                job.name()
            );
            checked += 1;
        }
        assert!(
            checked > 0 || !matches!(job.architecture, ArchitectureName::Bert),
            "{}",
            job.name()
        );
    }
}

#[test]
fn sequences_have_no_neighbours() {
    for job in Job::all() {
        let mut model = job.model(0.3); // dropout is for training only
        let all = model.embed(job.batch().sequences).unwrap();
        for (index, ids) in job.batch().sequences.iter().enumerate() {
            let offsets = [0, ids.len() as u64];
            let alone = Ids::new(ids, &offsets).unwrap();
            let embedding = model.embed(alone).unwrap();
            let length: f32 = embedding.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!(
                (length - 1.0).abs() < 1e-5,
                "{}: length {length}",
                job.name()
            );
            for (a, b) in embedding.iter().zip(&all[index * 48..]) {
                assert!((a - b).abs() < 1e-5, "{}: {a} and {b}", job.name());
            }
        }
    }
}

#[test]
fn no_bit_depends_on_threads_or_checkpointing() {
    for job in Job::all() {
        let after = |threads: usize, gradient_checkpointing: bool| {
            let mut model = MiniLm::new(&job.settings(0.2), threads).unwrap();
            model
                .begin_training(&TrainingSettings {
                    gradient_checkpointing,
                    ..job.training()
                })
                .unwrap();
            let losses: Vec<f64> = (1..=3).map(|n| job.step(&mut model, n).sum).collect();
            (losses, values(&model))
        };
        let one = after(1, false);
        assert!(one == after(2, false), "{}: two threads", job.name());
        assert!(one == after(2, true), "{}: checkpointing", job.name());
    }
}

#[test]
fn resuming_gives_the_same_bits_in_every_task() {
    for job in Job::all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let mut model = job.model(0.2);
        model.begin_training(&job.training()).unwrap();
        job.step(&mut model, 1);
        model.export_state(path).unwrap();
        job.step(&mut model, 2);
        let mut resumed = job.model(0.2);
        resumed.begin_training(&job.training()).unwrap();
        resumed.import_state(path).unwrap();
        job.step(&mut resumed, 2);
        assert!(values(&model) == values(&resumed), "{}", job.name());
    }
}

#[test]
fn a_frozen_parameter_costs_no_gradient_and_changes_no_other() {
    for job in Job::all() {
        let mut whole = job.model(0.1);
        whole.begin_training(&job.training()).unwrap();
        job.pass(&mut whole, 1);
        let due = gradients(&whole);
        for freeze in [
            // The embeddings; the embeddings and the lower blocks; all but parts of one block; all but the last block;
            // all below the head.
            vec!["*embed*", "*wte*", "*wpe*"],
            vec!["*embed*", "*wte*", "*wpe*", "*.0.*", "*.1.*"],
            vec![
                "*embed*",
                "*wte*",
                "*wpe*",
                "*.0.*",
                "*.1.*",
                "*2.attention.*",
                "*2.*attn*",
            ],
            vec![
                "*embed*",
                "*wte*",
                "*wpe*",
                "*.0.*",
                "*.1.*",
                "*2.output.*",
                "*mlp*",
            ],
            vec!["*weight"],
            // Of maps that lie side by side, some.
            vec!["*self.key.*", "*k_proj*", "*v_proj*", "*gate_proj*"],
            vec![
                "*self.query.weight",
                "*q_proj*",
                "*up_proj*",
                "*self.value.bias",
            ],
        ] {
            let freeze: Vec<String> = freeze.into_iter().map(str::to_owned).collect();
            let mut model = job.model(0.1);
            // Patterns that fit nothing are refused, so only those that fit are given.
            let names: Vec<String> = due.iter().map(|one| one.0.clone()).collect();
            let freeze: Vec<String> = freeze
                .into_iter()
                .filter(|pattern| {
                    let settings = TrainingSettings {
                        freeze: vec![pattern.clone()],
                        ..job.training()
                    };
                    model.begin_training(&settings).is_ok()
                })
                .collect();
            if freeze.is_empty() {
                continue;
            }
            let settings = TrainingSettings {
                freeze: freeze.clone(),
                ..job.training()
            };
            if model.begin_training(&settings).is_err() {
                continue; // nothing is left to train
            }
            let before = values(&model);
            job.pass(&mut model, 1);
            let trainable: Vec<bool> = model
                .parameters()
                .unwrap()
                .iter()
                .map(|one| one.trainable)
                .collect();
            assert!(trainable.contains(&true) && trainable.contains(&false));
            for ((index, (name, found)), (_, due)) in
                gradients(&model).into_iter().enumerate().zip(&due)
            {
                assert_eq!(name, names[index]);
                if trainable[index] {
                    assert!(&found == due, "{} {freeze:?}: {name}", job.name());
                } else {
                    assert!(
                        found.iter().all(|gradient| *gradient == 0.0),
                        "{} {freeze:?}: the gradient of {name} was computed",
                        job.name()
                    );
                }
            }
            for summary in model.gradients().unwrap() {
                assert!(
                    summary.received,
                    "{} {freeze:?}: {}",
                    job.name(),
                    summary.name
                );
            }
            model.optimizer_step(&STEP).unwrap();
            for (index, ((name, now), (_, before))) in
                values(&model).iter().zip(&before).enumerate()
            {
                if !trainable[index] {
                    assert!(now == before, "{} {freeze:?}: {name} changed", job.name());
                }
            }
        }
    }
}

#[test]
fn outputs_need_no_labels_and_segments_count() {
    for (task, width) in [("classification", 3), ("regression", 1)] {
        let job = Job::new(ArchitectureName::Bert, task);
        let mut model = job.model(0.0);
        let request = ScoreRequest {
            sequence_outputs: true,
            log_probabilities: task == "classification",
            ranks: task == "classification",
        };
        let labelled = model.score(&job.batch(), request).unwrap();
        assert_eq!(labelled.sequence_outputs.len(), 6 * width);
        assert_eq!(
            labelled.log_probabilities.len(),
            if width == 3 { 6 } else { 0 }
        );
        assert_eq!(labelled.target_offsets, [0, 1, 2, 3, 4, 5, 6]);
        if width == 3 {
            for (row, (log_probability, rank)) in labelled
                .log_probabilities
                .iter()
                .zip(&labelled.ranks)
                .enumerate()
            {
                let logits = &labelled.sequence_outputs[row * 3..][..3];
                let own = logits[job.sequence_labels.as_ref().unwrap()[row] as usize];
                let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
                assert!((log_probability - (own - sum.ln())).abs() < 1e-5);
                assert_eq!(
                    *rank,
                    logits.iter().filter(|logit| **logit > own).count() as u32
                );
            }
        }
        let bare = TokenBatch {
            sequence_labels: None,
            ..job.batch()
        };
        let unknown = model.score(&bare, request).unwrap();
        assert_eq!(unknown.sequence_outputs, labelled.sequence_outputs);
        assert_eq!(
            (unknown.loss.targets, unknown.log_probabilities.len()),
            (0, 0)
        );
        let one_segment = TokenBatch {
            token_types: None,
            ..bare
        };
        let other = model.score(&one_segment, request).unwrap();
        assert_ne!(other.sequence_outputs, labelled.sequence_outputs);
    }
}

#[test]
fn options_of_the_embedding_loss() {
    let job = Job::new(ArchitectureName::Bert, "embedding");
    let loss = |extra: Value| {
        let mut model = job.model(0.0);
        model
            .begin_training(&TrainingSettings {
                extra,
                ..job.training()
            })
            .unwrap();
        job.pass(&mut model, 1).sum
    };
    let usual = loss(Value::Null);
    assert_eq!(usual, loss(json!({"scale": 20.0})));
    assert_eq!(usual, loss(json!({"temperature": 0.05})));
    assert_eq!(usual, loss(json!({"matryoshka_dimensions": [48]})));
    assert_ne!(usual, loss(json!({"scale": 10.0})));
    let narrow = loss(json!({"matryoshka_dimensions": [16]}));
    let both = loss(json!({"matryoshka_dimensions": [48, 16]}));
    assert!(
        (both - usual - narrow).abs() < 1e-5,
        "{both} is not {usual} + {narrow}"
    );
    let weighted =
        loss(json!({"matryoshka_dimensions": [48, 16], "matryoshka_weights": [2.0, 0.5]}));
    assert!((weighted - 2.0 * usual - 0.5 * narrow).abs() < 1e-5);

    let refused = |job: &Job, extra: Value, words: &str| {
        let error = job
            .model(0.0)
            .begin_training(&TrainingSettings {
                extra,
                ..job.training()
            })
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let all = format!("{error} {}", error.hint_text().unwrap());
        assert!(all.contains(words), "'{words}' is not in '{all}'");
    };
    let dimensions = |list: Value| json!({"matryoshka_dimensions": list});
    refused(
        &job,
        json!({"temprature": 0.1}),
        "embedding takes no option \"temprature\" its options are scale, temperature, matryoshka_dimensions, matryoshka_weights",
    );
    refused(
        &job,
        json!({"scale": 1, "temperature": 1}),
        "scale and temperature are both set",
    );
    refused(
        &job,
        json!({"scale": 0}),
        "scale is 0, expected a number above 0",
    );
    refused(
        &job,
        dimensions(json!([48, 49])),
        "is [48,49], expected a list of widths from 1 to 48",
    );
    refused(
        &job,
        dimensions(json!(16)),
        "is 16, expected a list of widths",
    );
    refused(
        &job,
        json!({"matryoshka_dimensions": [16], "matryoshka_weights": [1, 1]}),
        "expected 1 numbers above 0",
    );
    refused(
        &Job::new(ArchitectureName::Bert, "masked-lm"),
        json!({"scale": 20.0}),
        "masked-lm takes no option \"scale\"",
    );
}

#[test]
fn batches_that_a_task_cannot_use_are_refused() {
    let check = |job: &Job, batch: TokenBatch<'_>, kind: ErrorKind, words: &str| {
        let mut model = job.model(0.0);
        let scored = model.score(&batch, ScoreRequest::default());
        model.begin_training(&job.training()).unwrap();
        let trained = model.forward_backward(&batch, &pass(1, 0, 1));
        for error in [scored.err(), trained.err()].into_iter().flatten() {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(
                error.message().contains(words),
                "'{words}' is not in '{error}'"
            );
        }
    };
    let bert = |task| Job::new(ArchitectureName::Bert, task);
    let (masked, pairs) = (bert("masked-lm"), bert("embedding"));
    let (classes, value) = (bert("classification"), bert("regression"));
    check(
        &masked,
        TokenBatch {
            labels: None,
            ..masked.batch()
        },
        ErrorKind::Data,
        "has no labels",
    );
    check(
        &pairs,
        TokenBatch {
            parts: 1,
            ..pairs.batch()
        },
        ErrorKind::Data,
        "6 sequences in 1 parts, expected 2 or 3",
    );
    let wrong = vec![0.0, 1.0, 3.0, 0.0, 0.0, 0.0];
    check(
        &classes,
        TokenBatch {
            sequence_labels: Some(&wrong),
            ..classes.batch()
        },
        ErrorKind::Data,
        "the label of sequence 2 of the batch is 3, but the model knows the classes 0 to 2",
    );
    let endless = vec![0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0];
    check(
        &value,
        TokenBatch {
            sequence_labels: Some(&endless),
            ..value.batch()
        },
        ErrorKind::Data,
        "the value of sequence 1 of the batch is NaN",
    );
    check(
        &classes,
        TokenBatch {
            sequence_labels: None,
            ..classes.batch()
        },
        ErrorKind::Data,
        "no sequence labels",
    );
    let types = vec![2; masked.text.0.len()];
    check(
        &masked,
        TokenBatch {
            token_types: Some(&types),
            ..masked.batch()
        },
        ErrorKind::Data,
        "token type 2 at token 0 of the batch is beyond the 2",
    );
    let hole = (vec![1, 2], vec![0, 1, 1, 1, 1, 1, 2]);
    check(
        &classes,
        TokenBatch {
            token_types: None,
            ..TokenBatch {
                sequence_labels: classes.sequence_labels.as_deref(),
                ..batch(&hole)
            }
        },
        ErrorKind::Data,
        "sequence 1 of the batch has no token",
    );
    check(
        &masked,
        TokenBatch {
            sequence_labels: Some(&wrong),
            ..masked.batch()
        },
        ErrorKind::Unsupported,
        "a label for each sequence in masked-lm",
    );
    let mut model = classes.model(0.0);
    let error = model.open_session().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let mut masked = masked.model(0.0);
    let request = ScoreRequest {
        sequence_outputs: true,
        ..ScoreRequest::default()
    };
    let error = masked.score(&pairs.batch(), request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn tasks_that_an_architecture_does_not_have_are_refused() {
    for (architecture, task, words) in [
        (
            ArchitectureName::Bert,
            "causal-lm",
            "masked-lm, embedding, classification, regression",
        ),
        (
            ArchitectureName::Gpt2,
            "masked-lm",
            "causal-lm, embedding, classification, regression",
        ),
        (ArchitectureName::Llama, "translation", "causal-lm"),
    ] {
        let settings = Settings {
            architecture,
            task: task.to_owned(),
            ..Settings::default()
        };
        let error = MiniLm::new(&settings, 1).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(task), "{error}");
        assert!(error.hint_text().unwrap().contains(words), "{error}");
    }
    let settings = Settings {
        architecture: ArchitectureName::Bert,
        task: "classification".into(),
        ..Settings::default()
    };
    let error = MiniLm::new(&settings, 1).err().unwrap();
    assert!(error.message().contains("how many classes"), "{error}");
    let pooled = Settings {
        task: "embedding".into(),
        pooling: Some(codex_plugin_model_minilm::PoolingName::Cls),
        ..Settings::default()
    };
    let error = MiniLm::new(&pooled, 1).err().unwrap();
    assert!(error.message().contains("sees only itself"), "{error}");
}
