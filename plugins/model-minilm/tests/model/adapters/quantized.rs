//! A base in fewer bits: it is the base whose weights are those given back, in every number; only the linear maps of the
//! blocks are kept so; and what such a base cannot do is refused by name.

use std::path::Path;

use codex_nn::quantized::{Format, Quantized};
use codex_plugin_api::{AdapterPlan, ErrorKind, Init, Model, Operation, TrainingSettings};
use codex_plugin_model_minilm::{ArchitectureName, BaseDtype, MiniLm, Settings};

use super::operations::{ARCHITECTURES, KINDS, gradients, plan, run};
use super::promises::{lora, train, values};
use super::{based, begin, inner_sites, logits, low_rank};
use crate::{at as settings_at, open, small};

const DTYPES: [(BaseDtype, &str, Format); 3] = [
    (BaseDtype::Bf16, "bf16", Format::Bf16),
    (BaseDtype::Int8, "int8", Format::Int8),
    (BaseDtype::Nf4, "nf4", Format::Nf4),
];

fn settings(folder: &Path, task: &str, base_dtype: BaseDtype) -> Settings {
    Settings {
        base_dtype,
        ..settings_at(folder, task)
    }
}

fn opened(folder: &Path, base_dtype: BaseDtype) -> MiniLm {
    MiniLm::new(&settings(folder, "auto", base_dtype), 2).unwrap()
}

#[test]
fn the_maps_of_the_blocks_are_kept_by_the_formula_and_nothing_else_is() {
    for (architecture, task) in ARCHITECTURES {
        let (folder, plain) = based(architecture, task);
        for (base_dtype, word, format) in DTYPES {
            let model = opened(folder.path(), base_dtype);
            let maps = inner_sites(&model);
            let mut found = 0;
            for parameter in model.parameters().unwrap() {
                let (name, values) = (&parameter.name, model.value(&parameter.name).unwrap());
                let original = plain.value(name).unwrap();
                let module = name.strip_suffix(".weight");
                if module.is_some_and(|module| maps.iter().any(|map| map == module)) {
                    found += 1;
                    assert_eq!(parameter.dtype, word, "{name}");
                    // Each by itself, as bitsandbytes has it: a scale knows nothing of the maps beside its own.
                    let expected = Quantized::new(&original, format).unwrap().to_vec();
                    assert_eq!(values, expected, "{name}");
                    assert!(values != original, "{name}");
                } else {
                    assert_eq!(parameter.dtype, "f32", "{name}");
                    assert_eq!(values, original, "{name}");
                }
            }
            assert_eq!(found, maps.len());
            assert_eq!(
                model.info().unwrap().parameters,
                plain.info().unwrap().parameters
            );
        }
    }
}

#[test]
fn losses_and_gradients_are_those_of_the_weights_given_back() {
    for (architecture, task) in ARCHITECTURES {
        let (folder, _) = based(architecture, task);
        for (base_dtype, word, _) in DTYPES {
            let given_back = tempfile::tempdir().unwrap();
            let path = given_back.path().to_str().unwrap();
            opened(folder.path(), base_dtype).save(path).unwrap();
            for kind in KINDS {
                let on = |folder: &Path, base_dtype, composed: bool| {
                    let settings = settings(folder, task, base_dtype);
                    let make = if composed {
                        MiniLm::composed
                    } else {
                        MiniLm::new
                    };
                    let mut model = make(&settings, 2).unwrap();
                    let plan = plan(kind, &model);
                    model.add_adapter("default", &plan).unwrap();
                    begin(&mut model);
                    let loss = run(&mut model, task);
                    (loss.to_bits(), gradients(&model, &plan))
                };
                for composed in [false, true] {
                    let found = on(folder.path(), base_dtype, composed);
                    let expected = on(given_back.path(), BaseDtype::F32, composed);
                    let what = format!("{architecture:?} {task} {word} {kind:?} {composed}");
                    assert_eq!(found.0, expected.0, "{what}: the loss");
                    assert!(found.1 == expected.1, "{what}: gradients");
                    assert!(found.1.iter().any(|gradient| *gradient != 0.0), "{what}");
                }
            }
        }
    }
}

#[test]
fn scores_and_generation_are_those_of_the_weights_given_back() {
    let (folder, plain) = based(ArchitectureName::Llama, "causal-lm");
    for (base_dtype, word, _) in DTYPES {
        let mut model = opened(folder.path(), base_dtype);
        let given_back = tempfile::tempdir().unwrap();
        model.save(given_back.path().to_str().unwrap()).unwrap();
        let mut expected = open(given_back.path(), 2).unwrap();
        assert_eq!(logits(&model), logits(&expected), "{word}");
        assert!(logits(&model) != logits(&plain), "{word}");
        let next = |model: &mut MiniLm| {
            let session = model.open_session().unwrap();
            let (ids, offsets) = crate::text(&[9], 2);
            let ids = codex_plugin_api::Ids::new(&ids, &offsets).unwrap();
            model.extend_sessions(&[session], ids).unwrap()
        };
        assert_eq!(next(&mut model), next(&mut expected), "{word}");
    }
}

#[test]
fn an_adapter_learns_beside_it_while_it_stays_as_it_is() {
    let (folder, mut plain) = based(ArchitectureName::Llama, "causal-lm");
    let plan = lora(&plain, 0.0);
    let learned = |model: &mut MiniLm| {
        model.add_adapter("default", &plan).unwrap();
        begin(model);
        let before = values(model, false);
        let loss = train(model, 1..=40);
        assert_eq!(values(model, false), before);
        loss
    };
    let due = learned(&mut plain);
    for (base_dtype, word, _) in DTYPES {
        let loss = learned(&mut opened(folder.path(), base_dtype));
        assert!(
            (loss - due).abs() < 0.02 * due,
            "{word}: {loss}, and {due} on f32"
        );
    }
}

#[test]
fn an_adapter_goes_from_one_base_to_the_other_and_a_run_goes_on_bit_for_bit() {
    let (folder, plain) = based(ArchitectureName::Gpt2, "causal-lm");
    let mut plan = lora(&plain, 0.1);
    plan.modules_to_save = vec!["ln_f".into()];
    for (base_dtype, word, _) in DTYPES {
        let with_adapter = || {
            let mut model = opened(folder.path(), base_dtype);
            model.add_adapter("default", &plan).unwrap();
            begin(&mut model);
            model
        };
        let mut model = with_adapter();
        train(&mut model, 1..=3);
        let state = tempfile::tempdir().unwrap();
        let path = state.path().to_str().unwrap();
        model.export_state(path).unwrap();
        train(&mut model, 4..=6);
        let mut resumed = with_adapter();
        resumed.import_state(path).unwrap();
        train(&mut resumed, 4..=6);
        assert_eq!(values(&resumed, true), values(&model, true), "{word}");
        assert_eq!(values(&resumed, false), values(&model, false), "{word}");

        // The digest that the adapter keeps is of the folder's values, whatever is made of them.
        let saved = tempfile::tempdir().unwrap();
        let path = saved.path().to_str().unwrap();
        model.save_adapter("default", path).unwrap();
        let mut again = opened(folder.path(), base_dtype);
        again.load_adapter("mine", path).unwrap();
        again.activate_adapters(&["mine".into()], &[1.0]).unwrap();
        assert_eq!(logits(&again), logits(&model), "{word}");
        let mut exact = open(folder.path(), 2).unwrap();
        exact.load_adapter("mine", path).unwrap();
        exact.merge_adapter("mine", true).unwrap();
        // And back: what an f32 base saved.
        exact.merge_adapter("mine", false).unwrap();
        exact.save_adapter("mine", path).unwrap();
        again.load_adapter("theirs", path).unwrap();
    }
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let refused = |result: codex_plugin_api::Result<()>, kind: ErrorKind, words: &[&str]| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let text = format!("{} {}", error.message(), error.hint_text().unwrap());
        for word in words {
            assert!(text.contains(word), "{text}");
        }
    };
    let (folder, _) = based(ArchitectureName::Llama, "causal-lm");
    let mut model = opened(folder.path(), BaseDtype::Nf4);
    let whole = model.begin_training(&TrainingSettings::default());
    let words = [
        "base_dtype is nf4",
        "there is no adapter",
        "adapter=lora",
        "leave model.base_dtype out",
    ];
    refused(whole, ErrorKind::Config, &words);

    let new = Settings {
        base_dtype: BaseDtype::Int8,
        ..small(ArchitectureName::Llama, 0.0)
    };
    let words = ["base_dtype is int8", "a new one", "model.path"];
    refused(MiniLm::new(&new, 1).map(drop), ErrorKind::Config, &words);

    let q = "model.layers.0.self_attn.q_proj";
    let mut principal = super::plan(vec![low_rank(q, 2)]);
    if let Operation::LowRank { a, b, .. } = &mut principal.operations[0].operation {
        (*a, *b) = (Init::PrincipalSingular, Init::PrincipalSingular);
    }
    let words = [q, "nf4", "another init", "base_dtype to f32"];
    refused(
        model.add_adapter("a", &principal),
        ErrorKind::Unsupported,
        &words,
    );
    let whole = AdapterPlan {
        modules_to_save: vec!["down_proj".into()],
        ..super::plan(vec![low_rank(q, 2)])
    };
    let words = [
        "model.layers.0.mlp.down_proj.weight",
        "nf4",
        "modules_to_save",
    ];
    refused(model.add_adapter("a", &whole), ErrorKind::Config, &words);

    // Nothing of that was half-added.
    let plain = logits(&model);
    model
        .add_adapter("a", &super::plan(vec![low_rank(q, 2)]))
        .unwrap();
    let applied = logits(&model);
    assert!(applied != plain);
    let words = ["merging adapter \"a\"", q, "nf4", "base_dtype f32"];
    let merged = model.merge_adapter("a", true).map(drop);
    refused(merged, ErrorKind::Unsupported, &words);
    assert_eq!(logits(&model), applied);
}

#[test]
fn a_misspelt_dtype_is_refused_with_those_that_there_are() {
    let wrong = serde_json::json!({ "base_dtype": "nf5" });
    let error = serde_json::from_value::<Settings>(wrong).unwrap_err();
    let text = error.to_string();
    for word in ["nf5", "f32", "bf16", "int8", "nf4"] {
        assert!(text.contains(word), "{text}");
    }
    let right = serde_json::json!({ "base_dtype": "nf4" });
    let settings: Settings = serde_json::from_value(right).unwrap();
    assert_eq!(settings.base_dtype, BaseDtype::Nf4);
}
