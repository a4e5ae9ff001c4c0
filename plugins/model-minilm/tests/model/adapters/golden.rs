//! PEFT's own adapters: logits, loss, the gradient of every tensor, and the weights after merging.

use codex_peft::Folder;
use codex_plugin_api::{Model, TrainingSettings};
use safetensors::SafeTensors;

use crate::adapters::largest_difference;
use crate::golden::{Case, floats, json, relative};
use crate::{golden, open, pass};

fn path(case: &str) -> String {
    let folder = golden(&format!("adapters/{case}")).join("adapter");
    folder.to_str().unwrap().to_owned()
}

fn check(case: &str) {
    let folder = golden(&format!("adapters/{case}"));
    let expect = json(&folder.join("expect.json"));
    let base = golden(expect["base"].as_str().unwrap());
    let data = Case::read(&format!("adapters/{case}"));
    let targets = data.batch().causal_targets();
    for threads in [1, 2] {
        let mut model = open(&base, threads).unwrap();
        model.load_adapter("peft", &path(case)).unwrap();
        let plain = model.logits(data.batch().sequences).unwrap();
        model.activate_adapters(&["peft".into()], &[1.0]).unwrap();
        let logits = model.logits(data.batch().sequences).unwrap();
        let error = relative(&logits, &data.logits);
        assert!(error <= 1e-5, "{case}: logits differ by {error}");
        assert!(
            relative(&plain, &data.logits) > 1e-3,
            "{case}: the adapter does nothing"
        );
        check_gradients(case, &base, &data, expect["loss"].as_f64().unwrap());
        check_merged(case, &mut model, &data.logits, &data);
        model.activate_adapters(&[], &[]).unwrap();
        assert_eq!(model.logits(data.batch().sequences).unwrap(), plain);
    }
    assert!(targets > 0);
}

/// The same adapter as one that trains.
fn check_gradients(case: &str, base: &std::path::Path, data: &Case, loss: f64) {
    let mut model = open(base, 2).unwrap();
    let folder = Folder::read(std::path::Path::new(&path(case))).unwrap();
    let plan = codex_peft::load(&folder, &model.sites().unwrap())
        .unwrap()
        .plan;
    model.add_adapter("default", &plan).unwrap();
    let task = model.info().unwrap().tasks[0].clone();
    let settings = TrainingSettings {
        task,
        ..TrainingSettings::default()
    };
    model.begin_training(&settings).unwrap();
    let targets = model
        .forward_backward(&data.batch(), &pass(1, 0, 1))
        .unwrap()
        .targets;
    model.begin_training(&settings).unwrap();
    let found = model
        .forward_backward(&data.batch(), &pass(1, 0, targets))
        .unwrap();
    let mean = found.sum / targets as f64;
    assert!(
        (mean - loss).abs() <= 1e-5,
        "{case}: loss {mean}, not {loss}"
    );
    let bytes = std::fs::read(golden(&format!("adapters/{case}")).join("grads.safetensors"));
    let bytes = bytes.unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let trained: Vec<_> = model
        .parameters()
        .unwrap()
        .into_iter()
        .filter(|parameter| parameter.trainable)
        .collect();
    assert_eq!(trained.len(), expected.names().len());
    for parameter in trained {
        let name = if parameter.name.ends_with("lora_magnitude_vector") {
            format!("{}.default.weight", parameter.name)
        } else if let Some(module) = parameter.name.strip_suffix(".weight") {
            format!("{module}.default.weight")
        } else {
            format!("{}.default", parameter.name)
        };
        let due = floats(&expected, &name);
        let error = relative(&model.gradient(&parameter.name).unwrap(), &due);
        assert!(
            error <= 1e-4,
            "{case}: gradient of {name} differs by {error}"
        );
    }
    let summaries = model.gradients().unwrap();
    assert!(summaries.iter().all(|one| one.received && one.norm > 0.0));
}

fn check_merged(
    case: &str,
    model: &mut codex_plugin_model_minilm::MiniLm,
    logits: &[f32],
    data: &Case,
) {
    let before: Vec<_> = values(model);
    let change = model.merge_adapter("peft", true).unwrap();
    let bytes = std::fs::read(golden(&format!("adapters/{case}")).join("merged.safetensors"));
    let bytes = bytes.unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let mut moved = 0.0f64;
    for (name, before) in &before {
        let found = model.value(name).unwrap();
        if expected.tensor(name).is_ok() {
            let error = largest_difference(&found, &floats(&expected, name));
            assert!(error <= 1e-6, "{case}: merged {name} differs by {error}");
        }
        moved = moved.max(largest_difference(&found, before));
    }
    assert!(
        moved > 0.0 && (change - moved).abs() <= 1e-12,
        "{change} is not {moved}"
    );
    let found = model.logits(data.batch().sequences).unwrap();
    let error = relative(&found, logits);
    assert!(error <= 1e-5, "{case}: merged logits differ by {error}");
    assert!(model.merge_adapter("peft", false).unwrap() > 0.0);
    for (name, before) in before {
        assert_eq!(
            model.value(&name).unwrap(),
            before,
            "{case}: {name} after unmerging"
        );
    }
}

fn values(model: &codex_plugin_model_minilm::MiniLm) -> Vec<(String, Vec<f32>)> {
    let parameters = model.parameters().unwrap().into_iter();
    parameters
        .map(|parameter| {
            (
                parameter.name.clone(),
                model.value(&parameter.name).unwrap(),
            )
        })
        .collect()
}

#[test]
fn lora_on_llama() {
    check("lora-llama");
}

#[test]
fn rslora_on_llama() {
    check("rslora-llama");
}

#[test]
fn dora_on_llama() {
    check("dora-llama");
}

#[test]
fn ia3_on_llama() {
    check("ia3-llama");
}

#[test]
fn lora_on_conv1d_of_gpt2() {
    check("lora-gpt2");
}

#[test]
fn lora_on_bert() {
    check("lora-bert");
}
