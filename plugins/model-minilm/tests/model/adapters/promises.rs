//! What trains and what does not, what it takes, what is saved, and what is refused.

use codex_plugin_api::{
    AdapterPlan, ErrorKind, Init, Model, Operation, OptimizerStep, TrainingSettings,
};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm};

use super::{at, based, begin, inner_sites, logits, low_rank, plan};
use crate::golden::relative;
use crate::{at as settings_at, batch, fresh, open, pass, text};

const STEP: OptimizerStep = OptimizerStep {
    learning_rate: 1e-2,
    max_grad_norm: 1.0,
};
const BOTH: [ArchitectureName; 2] = [ArchitectureName::Gpt2, ArchitectureName::Llama];

pub(super) fn lora(model: &MiniLm, dropout: f32) -> AdapterPlan {
    let mut plan = plan(
        inner_sites(model)
            .iter()
            .map(|site| low_rank(site, 4))
            .collect(),
    );
    for at in &mut plan.operations {
        if let Operation::LowRank {
            dropout: own, a, b, ..
        } = &mut at.operation
        {
            (*own, *a, *b) = (dropout, Init::KaimingUniform, Init::Constant { value: 0.0 });
        }
    }
    plan
}

pub(super) fn train(model: &mut MiniLm, steps: std::ops::RangeInclusive<u64>) -> f64 {
    let text = text(&[50, 31], 4);
    let mut last = 0.0;
    for step in steps {
        last = model
            .forward_backward(&batch(&text), &pass(step, 0, 79))
            .unwrap()
            .sum
            / 79.0;
        model.optimizer_step(&STEP).unwrap();
    }
    last
}

pub(super) fn values(model: &MiniLm, trainable: bool) -> Vec<(String, Vec<f32>)> {
    let parameters = model.parameters().unwrap().into_iter();
    parameters
        .filter(|parameter| parameter.trainable == trainable)
        .map(|parameter| {
            (
                parameter.name.clone(),
                model.value(&parameter.name).unwrap(),
            )
        })
        .collect()
}

#[test]
fn only_the_adapter_trains_and_only_it_takes_memory() {
    for architecture in BOTH {
        let (_folder, mut model) = based(architecture, "causal-lm");
        let plan = lora(&model, 0.0);
        let plain = logits(&model);
        let base = model.info().unwrap().parameters;
        model.add_adapter("default", &plan).unwrap();
        assert_eq!(logits(&model), plain, "B starts as zeros");
        begin(&mut model);
        let trained: u64 = model
            .parameters()
            .unwrap()
            .iter()
            .filter(|parameter| parameter.trainable)
            .map(|parameter| parameter.shape.iter().product::<u64>())
            .sum();
        assert_eq!(model.info().unwrap().parameters, base + trained);
        let before = values(&model, false);
        assert_eq!(
            before.len() + plan.operations.len() * 2,
            model.parameters().unwrap().len()
        );
        let first = train(&mut model, 1..=1);
        let last = train(&mut model, 2..=30);
        assert!(last < first - 0.5, "{last} after {first}");
        assert_eq!(values(&model, false), before);
        assert!(logits(&model) != plain);
        // Gradients, and in the same way both moments, are those of what trains.
        let lent = model.lend_gradients().unwrap();
        assert_eq!(
            lent.iter().map(|buffer| buffer.length).sum::<u64>(),
            trained
        );
        let folder = tempfile::tempdir().unwrap();
        model.export_state(folder.path().to_str().unwrap()).unwrap();
        let size = |file: &str| std::fs::metadata(folder.path().join(file)).unwrap().len();
        assert!(size("optimizer.safetensors") < 2 * 4 * trained + 20_000);
        assert!(size("model.safetensors") < 4 * trained + 20_000);
    }
}

#[test]
fn freezing_leaves_room_for_nothing_else() {
    let mut model = fresh(ArchitectureName::Llama, 0.0);
    let settings = TrainingSettings {
        freeze: vec!["model.*".into()],
        ..TrainingSettings::default()
    };
    model.begin_training(&settings).unwrap();
    let head = model.value("lm_head.weight").unwrap().len() as u64;
    let lent = model.lend_gradients().unwrap();
    assert_eq!(
        lent.iter().map(|buffer| buffer.length).collect::<Vec<_>>(),
        [head]
    );
    assert!(model.gradient("model.norm.weight").unwrap().is_empty());
}

#[test]
fn patterns_freeze_parts_of_an_adapter() {
    let (_folder, mut model) = based(ArchitectureName::Llama, "causal-lm");
    model.add_adapter("default", &lora(&model, 0.0)).unwrap();
    let settings = TrainingSettings {
        freeze: vec!["*q_proj.lora_A*".into(), "*.lora_B.*".into()],
        ..TrainingSettings::default()
    };
    model.begin_training(&settings).unwrap();
    for parameter in model.parameters().unwrap() {
        let expected = parameter.name.contains("lora_A") && !parameter.name.contains("q_proj");
        assert_eq!(parameter.trainable, expected, "{}", parameter.name);
    }
    let before = values(&model, false);
    train(&mut model, 1..=2);
    assert_eq!(values(&model, false), before);
}

#[test]
fn resuming_gives_the_same_bits() {
    for (architecture, principal) in [
        (ArchitectureName::Gpt2, false),
        (ArchitectureName::Llama, false),
        (ArchitectureName::Llama, true),
    ] {
        let (folder, mut model) = based(architecture, "causal-lm");
        let mut plan = lora(&model, 0.1);
        plan.modules_to_save = vec!["norm".into(), "ln_f".into()];
        plan.modules_to_save
            .remove(usize::from(matches!(architecture, ArchitectureName::Llama)));
        for at in plan.operations.iter_mut().filter(|_| principal) {
            if let Operation::LowRank { a, b, .. } = &mut at.operation {
                (*a, *b) = (Init::PrincipalSingular, Init::PrincipalSingular);
            }
        }
        model.add_adapter("default", &plan).unwrap();
        begin(&mut model);
        train(&mut model, 1..=3);
        let state = tempfile::tempdir().unwrap();
        let path = state.path().to_str().unwrap();
        model.export_state(path).unwrap();
        train(&mut model, 4..=6);
        let mut resumed = open(folder.path(), 2).unwrap();
        resumed.add_adapter("default", &plan).unwrap();
        begin(&mut resumed);
        resumed.import_state(path).unwrap();
        train(&mut resumed, 4..=6);
        assert_eq!(values(&resumed, true), values(&model, true));
        assert_eq!(values(&resumed, false), values(&model, false));
        // The state of another adapter is refused.
        let mut other = open(folder.path(), 2).unwrap();
        let first = inner_sites(&other).remove(0);
        other
            .add_adapter("default", &super::plan(vec![low_rank(&first, 4)]))
            .unwrap();
        begin(&mut other);
        let error = other.import_state(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    }
}

#[test]
fn checkpointing_changes_no_bit() {
    let (folder, model) = based(ArchitectureName::Gpt2, "causal-lm");
    let plan = lora(&model, 0.2);
    let trained = |gradient_checkpointing| {
        let mut model = open(folder.path(), 2).unwrap();
        model.add_adapter("default", &plan).unwrap();
        let settings = TrainingSettings {
            gradient_checkpointing,
            ..TrainingSettings::default()
        };
        model.begin_training(&settings).unwrap();
        train(&mut model, 1..=3);
        values(&model, true)
    };
    assert_eq!(trained(false), trained(true));
}

#[test]
fn what_is_saved_is_loaded_again_on_its_base_alone() {
    for architecture in BOTH {
        let (folder, mut model) = based(architecture, "causal-lm");
        let mut plan = lora(&model, 0.0);
        plan.modules_to_save = vec!["*norm*".into(), "*ln_*".into()];
        model.add_adapter("default", &plan).unwrap();
        begin(&mut model);
        train(&mut model, 1..=5);
        let saved = tempfile::tempdir().unwrap();
        let path = saved.path().to_str().unwrap();
        model.save_adapter("default", path).unwrap();
        let trained = logits(&model);
        let mut other = open(folder.path(), 2).unwrap();
        let plain = logits(&other);
        other.load_adapter("mine", path).unwrap();
        assert_eq!(
            logits(&other),
            plain,
            "it does not apply before it is activated"
        );
        other.activate_adapters(&["mine".into()], &[1.0]).unwrap();
        assert_eq!(logits(&other), trained);
        // Saving the base leaves out what only applies.
        let again = tempfile::tempdir().unwrap();
        other.save(again.path().to_str().unwrap()).unwrap();
        assert_eq!(logits(&open(again.path(), 2).unwrap()), plain);
        other.activate_adapters(&[], &[]).unwrap();
        assert_eq!(logits(&other), plain);

        // The same sizes with other weights.
        let settings = codex_plugin_model_minilm::Settings {
            seed: 99,
            ..crate::small(architecture, 0.0)
        };
        let elsewhere = tempfile::tempdir().unwrap();
        let stranger = MiniLm::new(&settings, 2).unwrap();
        stranger.save(elsewhere.path().to_str().unwrap()).unwrap();
        let mut stranger = open(elsewhere.path(), 2).unwrap();
        let error = stranger.load_adapter("mine", path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains("sha256:"), "{error}");
        let error = stranger
            .activate_adapters(&["mine".into()], &[1.0])
            .unwrap_err();
        assert!(
            error.message().contains("there is no adapter \"mine\""),
            "{error}"
        );
    }
}

#[test]
fn a_head_trains_whole_beside_operations() {
    let (folder, mut model) = based(ArchitectureName::Bert, "classification");
    let mut plan = lora(&model, 0.0);
    plan.modules_to_save = vec!["classifier".into(), "score".into()];
    let outputs = |model: &mut MiniLm| {
        let text = text(&[9, 20], 2);
        let request = codex_plugin_api::ScoreRequest {
            sequence_outputs: true,
            ..Default::default()
        };
        model
            .score(&batch(&text), request)
            .unwrap()
            .sequence_outputs
    };
    let plain = outputs(&mut model);
    let before = model.value("classifier.weight").unwrap();
    model.add_adapter("default", &plan).unwrap();
    begin(&mut model);
    let text = text(&[50, 31], 4);
    let batch = codex_plugin_api::TokenBatch {
        sequence_labels: Some(&[2.0, 0.0]),
        ..batch(&text)
    };
    for step in 1..=4 {
        model.forward_backward(&batch, &pass(step, 0, 2)).unwrap();
        assert!(
            model
                .gradients()
                .unwrap()
                .iter()
                .any(|one| one.name == "classifier.weight")
        );
        model.optimizer_step(&STEP).unwrap();
    }
    let trained = outputs(&mut model);
    let learned = model.value("classifier.weight").unwrap();
    assert_ne!(learned, before);
    let saved = tempfile::tempdir().unwrap();
    let path = saved.path().to_str().unwrap();
    model.save_adapter("default", path).unwrap();
    // Switched off and on again, in the middle of training.
    model.activate_adapters(&[], &[]).unwrap();
    assert_eq!(outputs(&mut model), plain);
    assert_eq!(model.value("classifier.weight").unwrap(), before);
    model
        .activate_adapters(&["default".into()], &[1.0])
        .unwrap();
    assert_eq!(outputs(&mut model), trained);
    model.forward_backward(&batch, &pass(5, 0, 2)).unwrap();
    model.optimizer_step(&STEP).unwrap();
    assert_ne!(model.value("classifier.weight").unwrap(), learned);

    let settings = settings_at(folder.path(), "classification");
    let mut other = MiniLm::new(&settings, 2).unwrap();
    other.load_adapter("mine", path).unwrap();
    other.activate_adapters(&["mine".into()], &[0.5]).unwrap();
    let half = other.value("classifier.weight").unwrap();
    for ((half, before), learned) in half.iter().zip(&before).zip(&learned) {
        assert!((half - f32::midpoint(*before, *learned)).abs() < 1e-6);
    }
    other.activate_adapters(&["mine".into()], &[1.0]).unwrap();
    assert_eq!(outputs(&mut other), trained);
}

#[test]
fn a_principal_start_takes_from_the_base_and_is_saved_for_the_base() {
    for architecture in BOTH {
        let (folder, mut model) = based(architecture, "causal-lm");
        let mut plan = lora(&model, 0.0);
        for at in &mut plan.operations {
            if let Operation::LowRank { a, b, .. } = &mut at.operation {
                (*a, *b) = (Init::PrincipalSingular, Init::PrincipalSingular);
            }
        }
        let plain = logits(&model);
        let name = &model.parameters().unwrap().into_iter().map(|one| one.name);
        let site = plan.operations[0].site.clone();
        let weight = format!("{site}.weight");
        assert!(name.clone().any(|name| name == weight));
        let before = model.value(&weight).unwrap();
        model.add_adapter("default", &plan).unwrap();
        assert_ne!(model.value(&weight).unwrap(), before);
        assert!(relative(&logits(&model), &plain) < 1e-4);
        begin(&mut model);
        train(&mut model, 1..=4);
        let trained = logits(&model);
        let saved = tempfile::tempdir().unwrap();
        let path = saved.path().to_str().unwrap();
        model.save_adapter("default", path).unwrap();
        model.activate_adapters(&[], &[]).unwrap();
        assert_eq!(logits(&model), plain);
        let mut other = open(folder.path(), 2).unwrap();
        other.load_adapter("mine", path).unwrap();
        other.activate_adapters(&["mine".into()], &[1.0]).unwrap();
        assert!(relative(&logits(&other), &trained) < 1e-4);
    }
}

#[test]
fn a_second_adapter_starts_from_the_base() {
    let (_folder, mut model) = based(ArchitectureName::Llama, "causal-lm");
    let mut plan = lora(&model, 0.0);
    plan.modules_to_save = vec!["model.norm".into()];
    let before = model.value("model.norm.weight").unwrap();
    model.add_adapter("first", &plan).unwrap();
    begin(&mut model);
    train(&mut model, 1..=3);
    let learned = model.value("model.norm.weight").unwrap();
    assert_ne!(learned, before);
    // One that is refused leaves the first as it was.
    let wrong = super::plan(vec![low_rank("nowhere", 2)]);
    model.add_adapter("wrong", &wrong).unwrap_err();
    assert_eq!(model.value("model.norm.weight").unwrap(), learned);
    train(&mut model, 4..=4);
    let learned = model.value("model.norm.weight").unwrap();
    model.add_adapter("second", &plan).unwrap();
    assert_eq!(model.value("model.norm.weight").unwrap(), before);
    model.activate_adapters(&["first".into()], &[1.0]).unwrap();
    assert_eq!(model.value("model.norm.weight").unwrap(), learned);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let refused = |result: codex_plugin_api::Result<()>, kind: ErrorKind, words: &str| {
        let error = result.unwrap_err();
        assert!(
            error.kind() == kind && error.message().contains(words),
            "{error}"
        );
    };
    let mut homeless = fresh(ArchitectureName::Llama, 0.0);
    let one = plan(vec![low_rank("model.layers.0.self_attn.q_proj", 2)]);
    refused(
        homeless.add_adapter("a", &one),
        ErrorKind::Config,
        "a model that was not loaded from a folder",
    );
    let (_folder, mut model) = based(ArchitectureName::Llama, "causal-lm");
    for site in ["lm_head", "model.embed_tokens"] {
        let plan = plan(vec![low_rank(site, 2)]);
        refused(model.add_adapter("a", &plan), ErrorKind::Unsupported, site);
    }
    let plan_of = |operations| super::plan(operations);
    let q = "model.layers.0.self_attn.q_proj";
    let magnitude = || {
        at(
            q,
            Operation::Magnitude {
                start: Init::WeightNorm,
                train: true,
            },
        )
    };
    for (plan, kind, words) in [
        (
            plan_of(vec![low_rank("nowhere", 2)]),
            ErrorKind::Config,
            "nowhere",
        ),
        (
            plan_of(vec![low_rank(q, 0)]),
            ErrorKind::Config,
            "rank is 0",
        ),
        (plan_of(vec![]), ErrorKind::Config, "adds nothing"),
        (
            plan_of(vec![low_rank(q, 1), low_rank(q, 1), magnitude()]),
            ErrorKind::Unsupported,
            "one low-rank operation",
        ),
        (
            AdapterPlan {
                modules_to_save: vec!["q_proj".into()],
                ..plan_of(vec![low_rank(q, 1)])
            },
            ErrorKind::Config,
            "is to be saved whole",
        ),
        (
            AdapterPlan {
                modules_to_save: vec!["clasifier".into()],
                ..plan_of(vec![low_rank(q, 1)])
            },
            ErrorKind::Config,
            "clasifier",
        ),
    ] {
        refused(model.add_adapter("a", &plan), kind, words);
    }
    // None of that was half-added.
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    refused(
        model.activate_adapters(&names(&["a"]), &[1.0]),
        ErrorKind::Config,
        "there is no adapter \"a\"",
    );
    model.add_adapter("a", &one).unwrap();
    refused(model.add_adapter("a", &one), ErrorKind::Config, "already");
    refused(
        model.activate_adapters(&names(&["a"]), &[]),
        ErrorKind::Config,
        "1 adapters are given 0 weights",
    );
    refused(
        model.activate_adapters(&names(&["a", "a"]), &[1.0, 1.0]),
        ErrorKind::Config,
        "named twice",
    );
    model.activate_adapters(&[], &[]).unwrap();
    let begun = model.begin_training(&TrainingSettings::default());
    refused(begun, ErrorKind::Config, "does not apply");
    model.merge_adapter("a", true).unwrap();
    refused(
        model.activate_adapters(&names(&["a"]), &[1.0]),
        ErrorKind::Config,
        "merged",
    );
}
