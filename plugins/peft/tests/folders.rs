//! Folders: those that PEFT wrote (`tests/golden/adapters`), read and written again; and what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codex_peft::{
    Base, Dtype, Folder, Loaded, PlanParameter, SHARED_A, SHARED_B, Tensor, folder, load,
    parameters, weights, whole_key,
};
use codex_plugin_api::{AdapterPlan, Init, Operation, Site, SiteOperation};
use serde_json::{Value, json};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/adapters")
        .join(name)
        .join("adapter")
}

fn site(name: &str, inputs: u64, outputs: u64, role: &str) -> Site {
    Site {
        name: name.into(),
        inputs,
        outputs,
        role: role.into(),
        layer: name.split('.').find_map(|part| part.parse().ok()),
        transposed: name.starts_with("transformer."),
    }
}

/// The linear maps of the model that a golden adapter belongs to.
fn sites(name: &str) -> Vec<Site> {
    let block: (&str, &[(&str, u64, u64, &str)]) = if name.ends_with("llama") {
        (
            "model.layers",
            &[
                ("self_attn.q_proj", 32, 32, "query"),
                ("self_attn.k_proj", 32, 16, "key"),
                ("self_attn.v_proj", 32, 16, "value"),
                ("self_attn.o_proj", 32, 32, "output"),
                ("mlp.gate_proj", 32, 88, "gate"),
                ("mlp.up_proj", 32, 88, "up"),
                ("mlp.down_proj", 88, 32, "down"),
            ],
        )
    } else if name.ends_with("gpt2") {
        (
            "transformer.h",
            &[
                ("attn.c_attn", 32, 96, "query-key-value"),
                ("attn.c_proj", 32, 32, "output"),
                ("mlp.c_fc", 32, 128, "up"),
                ("mlp.c_proj", 128, 32, "down"),
            ],
        )
    } else {
        (
            "bert.encoder.layer",
            &[
                ("attention.self.query", 32, 32, "query"),
                ("attention.self.key", 32, 32, "key"),
                ("attention.self.value", 32, 32, "value"),
                ("attention.output.dense", 32, 32, "output"),
                ("intermediate.dense", 32, 64, "up"),
                ("output.dense", 64, 32, "down"),
            ],
        )
    };
    let mut all = Vec::new();
    for layer in 0..2 {
        let named = |&(module, inputs, outputs, role): &(&str, u64, u64, &str)| {
            site(
                &format!("{}.{layer}.{module}", block.0),
                inputs,
                outputs,
                role,
            )
        };
        all.extend(block.1.iter().map(named));
    }
    all.push(site("score", 32, 3, "head"));
    all
}

const NAMES: [&str; 6] = [
    "lora-gpt2",
    "lora-llama",
    "lora-bert",
    "rslora-llama",
    "dora-llama",
    "ia3-llama",
];

fn values<'a>(plan: &'a AdapterPlan, parameter: &PlanParameter) -> &'a [f32] {
    let Init::Values { offset, length } = parameter.start else {
        panic!("{parameter:?} has no values");
    };
    &plan.values[offset as usize..][..length as usize]
}

/// The tensors that a loaded folder holds, as a model would give them back.
fn tensors(loaded: &Loaded, sites: &[Site]) -> BTreeMap<String, Tensor> {
    let mut all: BTreeMap<_, _> = parameters(&loaded.plan, sites)
        .unwrap()
        .iter()
        .map(|parameter| {
            let tensor = Tensor::new(
                parameter.shape.clone(),
                values(&loaded.plan, parameter).to_vec(),
            );
            (parameter.key.clone(), tensor)
        })
        .collect();
    for (name, tensor) in &loaded.whole {
        all.insert(whole_key(name, &loaded.plan.operations), tensor.clone());
    }
    all
}

fn message(folder: &Folder, sites: &[Site]) -> String {
    let error = load(folder, sites).unwrap_err();
    format!("{error}")
}

#[test]
fn what_peft_wrote_is_read_and_written_alike() {
    for name in NAMES {
        let sites = sites(name);
        let read = Folder::read(&golden(name)).unwrap();
        let loaded = load(&read, &sites).unwrap();
        assert_eq!(
            parameters(&loaded.plan, &sites).unwrap().len(),
            read.tensors.len(),
            "{name}"
        );
        assert!(loaded.whole.is_empty() && loaded.base.hash.is_none());
        let tensors = tensors(&loaded, &sites);
        assert_eq!(tensors, read.tensors, "{name}");

        let again = folder(&loaded.plan, &sites, tensors, &loaded.base).unwrap();
        assert_eq!(again, read, "{name}");
        let place = tempfile::tempdir().unwrap();
        again.write(place.path(), Dtype::F32).unwrap();
        assert_eq!(Folder::read(place.path()).unwrap(), read, "{name}");
        let mut names: Vec<_> = std::fs::read_dir(place.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["adapter_config.json", "adapter_model.safetensors"]);
        let text = |path: &Path| std::fs::read_to_string(path.join("adapter_config.json")).unwrap();
        assert_eq!(
            text(place.path()).trim(),
            text(&golden(name)).trim(),
            "{name}"
        );
    }
}

#[test]
fn operations_are_those_of_the_configuration() {
    let of = |name: &str| {
        load(&Folder::read(&golden(name)).unwrap(), &sites(name))
            .unwrap()
            .plan
    };
    let scales = |name: &str| -> Vec<f32> {
        of(name)
            .operations
            .iter()
            .filter_map(|at| match at.operation {
                Operation::LowRank { scale, rank: 4, .. } => Some(scale),
                _ => None,
            })
            .collect()
    };
    assert_eq!(scales("lora-gpt2"), [2.0; 6]);
    assert_eq!(scales("lora-llama"), [4.0; 6]);
    assert_eq!(scales("rslora-llama"), [8.0; 4]);
    assert_eq!(scales("dora-llama"), [4.0; 4]);
    let magnitudes = |at: &&SiteOperation| matches!(at.operation, Operation::Magnitude { .. });
    assert_eq!(
        of("dora-llama")
            .operations
            .iter()
            .filter(magnitudes)
            .count(),
        4
    );
    for at in of("ia3-llama").operations {
        let input = matches!(at.operation, Operation::ScaleInput { .. });
        assert_eq!(input, at.site.ends_with("down_proj"), "{}", at.site);
    }
}

#[test]
fn other_number_types_are_rounded_and_read_back() {
    let read = Folder::read(&golden("lora-bert")).unwrap();
    let place = tempfile::tempdir().unwrap();
    for (dtype, error) in [(Dtype::F16, 1e-3), (Dtype::Bf16, 8e-3)] {
        read.write(place.path(), dtype).unwrap();
        let rounded = Folder::read(place.path()).unwrap();
        for (key, tensor) in &read.tensors {
            let pairs = tensor.values.iter().zip(&rounded.tensors[key].values);
            assert!(
                pairs
                    .clone()
                    .all(|(x, y)| (x - y).abs() <= error * x.abs() + 1e-6),
                "{key}"
            );
            assert!(
                pairs.clone().any(|(x, y)| x != y),
                "{key} was not written as {dtype}"
            );
        }
    }
    let error = read
        .write(&place.path().join("nowhere"), Dtype::F32)
        .unwrap_err();
    assert!(error.message().contains("nowhere"), "{error}");
}

#[test]
fn the_same_adapter_is_the_same_file() {
    let mut read = Folder::read(&golden("lora-bert")).unwrap();
    for key in ["b", "a", "codex_ml.base", "c", "d"] {
        read.metadata.insert(key.into(), format!("value of {key}"));
    }
    let place = tempfile::tempdir().unwrap();
    let bytes = || {
        read.write(place.path(), Dtype::F32).unwrap();
        std::fs::read(place.path().join("adapter_model.safetensors")).unwrap()
    };
    let first = bytes();
    assert!((0..8).all(|_| bytes() == first));
    assert_eq!(Folder::read(place.path()).unwrap(), read);
}

#[test]
fn a_difference_is_shown_and_nothing_is_loaded() {
    let sites = sites("lora-llama");
    let whole = Folder::read(&golden("lora-llama")).unwrap();
    let check = |change: &dyn Fn(&mut Folder), words: &[&str]| {
        let mut folder = whole.clone();
        change(&mut folder);
        let message = message(&folder, &sites);
        for word in words {
            assert!(message.contains(word), "{message:?} lacks {word:?}");
        }
    };
    let q = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    check(
        &|folder| drop(folder.tensors.remove(q)),
        &["1 tensors missing", q],
    );
    check(
        &|folder| folder.tensors.get_mut(q).unwrap().shape = vec![2, 64],
        &["1 tensors of another shape", q, "[2, 64]", "[4, 32]"],
    );
    check(
        &|folder| {
            let stray = Tensor::new([1], vec![0.0]);
            folder
                .tensors
                .insert("base_model.model.model.norm.weight".into(), stray.clone());
            folder.tensors.insert("elsewhere".into(), stray);
        },
        &["2 tensors too many", "model.norm.weight", "elsewhere"],
    );
    check(
        &|folder| {
            let moved = folder.tensors.remove(q).unwrap();
            folder
                .tensors
                .insert(q.replace("layers.0", "layers.7"), moved);
        },
        &[
            "1 modules that the model lacks (model.layers.7.self_attn.q_proj)",
            "1 tensors missing",
        ],
    );
    check(
        &|folder| folder.config["r"] = json!(5),
        &["12 tensors of another shape", ", …)"],
    );
    check(
        &|folder| folder.config["target_modules"] = json!(["q_proj"]),
        &["8 tensors too many", "down_proj"],
    );
    check(
        &|folder| folder.config["modules_to_save"] = json!(["score"]),
        &["1 tensors missing", "score"],
    );
    let error = load(&whole, &self::sites("lora-gpt2")).unwrap_err();
    assert!(
        error.message().contains("6 modules that the model lacks"),
        "{error}"
    );
    assert!(
        format!("{error:?}").contains("llama-tiny/model"),
        "{error:?}"
    );
}

#[test]
fn a_model_without_its_head_is_the_same_model() {
    let folder = Folder::read(&golden("lora-bert")).unwrap();
    let with = sites("lora-bert");
    let rename = |site: &Site| Site {
        name: site.name.replace("bert.", ""),
        ..site.clone()
    };
    let without: Vec<Site> = with.iter().map(rename).collect();
    let bare = load(&folder, &without).unwrap();
    assert_eq!(
        bare.plan.operations[0].site,
        "encoder.layer.0.attention.self.query"
    );
    let there = load(&folder, &with).unwrap();
    assert_eq!(bare.plan.values, there.plan.values);

    let headless = Folder {
        tensors: folder
            .tensors
            .iter()
            .map(|(key, tensor)| (key.replace("model.bert.", "model."), tensor.clone()))
            .collect(),
        ..folder
    };
    assert_eq!(load(&headless, &with).unwrap().plan, there.plan);
}

#[test]
fn modules_and_biases_that_train_are_held_whole() {
    let sites = sites("lora-bert");
    let mut folder = Folder::read(&golden("lora-bert")).unwrap();
    // As PEFT does for a classifier, whichever of the two the model has.
    folder.config["modules_to_save"] = json!(["classifier", "score"]);
    folder.config["bias"] = json!("lora_only");
    let tensor = |values: &[f32]| Tensor::new([values.len()], values.to_vec());
    for (key, values) in [
        ("score.weight", [1.0, 2.0]),
        ("score.bias", [3.0, 4.0]),
        (
            "bert.encoder.layer.0.attention.self.query.base_layer.bias",
            [5.0, 6.0],
        ),
        ("bert.encoder.layer.1.output.LayerNorm.bias", [7.0, 8.0]),
    ] {
        folder
            .tensors
            .insert(format!("base_model.model.{key}"), tensor(&values));
    }
    let loaded = load(&folder, &sites).unwrap();
    let names: Vec<_> = loaded.whole.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "bert.encoder.layer.0.attention.self.query.bias",
            "bert.encoder.layer.1.output.LayerNorm.bias",
            "score.bias",
            "score.weight",
        ]
    );
    assert_eq!(loaded.plan.modules_to_save[0], "score");
    assert_eq!(loaded.plan.modules_to_save.len(), 3);
    assert_eq!(tensors(&loaded, &sites), folder.tensors);
}

#[test]
fn a_shared_parameter_is_held_once() {
    let sites = sites("lora-bert");
    let mut folder = Folder::read(&golden("lora-bert")).unwrap();
    folder.config["bias"] = json!("all");
    for name in ["cls.predictions.bias", "cls.predictions.decoder.bias"] {
        let key = format!("base_model.model.{name}");
        folder.tensors.insert(key, Tensor::new([2], vec![1.0, 2.0]));
    }
    let loaded = load(&folder, &sites).unwrap();
    assert_eq!(
        loaded.whole.keys().collect::<Vec<_>>(),
        ["cls.predictions.bias"]
    );
    assert_eq!(loaded.plan.modules_to_save, ["cls.predictions.bias"]);
}

#[test]
fn single_parameters_are_no_modules() {
    let sites = sites("lora-bert");
    let read = Folder::read(&golden("lora-bert")).unwrap();
    let mut plan = load(&read, &sites).unwrap().plan;
    plan.modules_to_save = vec!["*.bias".into(), "score".into()];
    plan.saved_config["modules_to_save"] = json!(plan.modules_to_save);
    let mut tensors = read.tensors;
    for name in ["score.weight", "x.bias"] {
        let key = format!("base_model.model.{name}");
        tensors.insert(key, Tensor::new([1], vec![1.0]));
    }
    // With a word for biases PEFT's configuration says it all, without one the folder has to.
    for (bias, kept) in [("all", false), ("none", true)] {
        plan.saved_config["bias"] = json!(bias);
        let saved = folder(&plan, &sites, tensors.clone(), &Base::default()).unwrap();
        assert_eq!(saved.config["modules_to_save"], json!(["score"]));
        assert_eq!(saved.metadata.contains_key("codex_ml.operations"), kept);
        let names: Vec<_> = load(&saved, &sites).unwrap().whole.into_keys().collect();
        assert_eq!(names, ["score.weight", "x.bias"]);
    }
    plan.modules_to_save.clear();
    plan.saved_config["modules_to_save"] = json!(["a.b.bias"]);
    let saved = folder(&plan, &sites, tensors, &Base::default()).unwrap();
    assert_eq!(saved.config["modules_to_save"], Value::Null);
}

#[test]
fn shared_matrices_are_cut_to_each_site() {
    let sites = sites("lora-gpt2");
    let chosen: Vec<&Site> = sites
        .iter()
        .filter(|site| site.name.ends_with("c_proj"))
        .collect();
    let mut folder = Folder {
        config: json!({"peft_type": "VERA", "r": 2, "target_modules": ["c_proj"], "vera_dropout": 0.25}),
        ..Folder::default()
    };
    let tensor = |shape: [usize; 2]| {
        Tensor::new(shape, (0..shape[0] * shape[1]).map(|x| x as f32).collect())
    };
    // As wide as the widest of the sites, and wider, as PEFT writes for a model that has wider ones.
    for (a, b, fits) in [
        ([2, 128], [32, 2], true),
        ([2, 200], [96, 2], true),
        ([2, 127], [32, 2], false),
        ([1, 128], [32, 2], false),
    ] {
        folder.tensors.insert(SHARED_A.into(), tensor(a));
        folder.tensors.insert(SHARED_B.into(), tensor(b));
        for site in &chosen {
            for (word, length) in [
                ("vera_lambda_d", 2),
                ("vera_lambda_b", site.outputs as usize),
            ] {
                let key = format!("base_model.model.{}.{word}", site.name);
                folder
                    .tensors
                    .insert(key, Tensor::new([length], vec![0.5; length]));
            }
        }
        let loaded = load(&folder, &sites);
        assert_eq!(loaded.is_ok(), fits, "{a:?} {b:?}: {loaded:?}");
        let Ok(loaded) = loaded else {
            assert!(
                message(&folder, &sites).contains("1 tensors of another shape (base_model.vera_A")
            );
            continue;
        };
        assert_eq!(tensors(&loaded, &sites), folder.tensors);
        let starts: Vec<_> = loaded
            .plan
            .operations
            .iter()
            .map(|at| match &at.operation {
                Operation::LowRank {
                    a,
                    b,
                    train: false,
                    scale: 1.0,
                    dropout: 0.25,
                    ..
                } => (a.clone(), b.clone()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(starts.len(), 4);
        assert!(starts.iter().all(|start| start == &starts[0]));
    }
    folder.tensors.remove(SHARED_B);
    assert!(message(&folder, &sites).contains("base_model.vera_B"));
}

#[test]
fn what_no_configuration_of_peft_says_is_kept_beside_it() {
    let sites = sites("lora-llama");
    let q = sites[0].name.clone();
    let low_rank = |rank: u32| Operation::LowRank {
        rank,
        scale: 0.5,
        dropout: 0.0,
        a: Init::Normal { std: 1.0 },
        b: Init::Constant { value: 0.0 },
        train: true,
        shared: None,
        rank_scale: Some(Init::Constant { value: 1.0 }),
        output_scale: None,
    };
    let start = Init::Constant { value: 1.0 };
    let operations = [
        low_rank(2),
        low_rank(3),
        Operation::ScaleInput {
            start: start.clone(),
            train: true,
        },
        Operation::ScaleOutput {
            start: start.clone(),
            train: false,
        },
        Operation::Bias { start, train: true },
    ];
    let plan = AdapterPlan {
        operations: operations
            .map(|operation| SiteOperation {
                site: q.clone(),
                operation,
            })
            .to_vec(),
        saved_config: json!({"peft_type": "LORA", "r": 2, "lora_alpha": 1, "target_modules": ["q_proj"]}),
        modules_to_save: vec!["lm_head".into()],
        values: Vec::new(),
    };
    let found = parameters(&plan, &sites).unwrap();
    let keys: std::collections::BTreeSet<_> =
        found.iter().map(|parameter| &parameter.key).collect();
    assert_eq!((found.len(), keys.len()), (9, 9));
    let mut tensors: BTreeMap<_, _> = found
        .iter()
        .enumerate()
        .map(|(index, parameter)| {
            (
                parameter.key.clone(),
                Tensor::new(parameter.shape.clone(), vec![index as f32; parameter.len()]),
            )
        })
        .collect();
    tensors.insert(
        "base_model.model.lm_head.weight".into(),
        Tensor::new([1], vec![1.0]),
    );
    let base = Base {
        path: Some("models/here".into()),
        hash: Some("sha256:0".into()),
    };
    let saved = folder(&plan, &sites, tensors.clone(), &base).unwrap();
    assert!(saved.metadata.contains_key("codex_ml.operations"));
    let place = tempfile::tempdir().unwrap();
    saved.write(place.path(), Dtype::F32).unwrap();
    let loaded = load(&Folder::read(place.path()).unwrap(), &sites).unwrap();
    assert_eq!(
        (loaded.base.clone(), &loaded.plan.modules_to_save),
        (base.clone(), &plan.modules_to_save)
    );
    assert_eq!(self::tensors(&loaded, &sites), tensors);
    assert_eq!(parameters(&loaded.plan, &sites).unwrap().len(), 9);

    tensors.remove(&found[3].key);
    let error = folder(&plan, &sites, tensors, &base).unwrap_err();
    assert!(error.message().contains(&found[3].key), "{error}");
}

#[test]
fn what_would_be_computed_otherwise_is_refused() {
    let sites = sites("lora-bert");
    let whole = Folder::read(&golden("lora-bert")).unwrap();
    for (key, value, word) in [
        ("use_qalora", json!(true), "use_qalora = true"),
        ("lora_bias", json!(true), "lora_bias"),
        ("arrow_config", json!({"a": 1}), "arrow_config"),
        (
            "init_lora_weights",
            json!("pissa_niter_4"),
            "changed the base",
        ),
        ("peft_type", json!("OFT"), "peft_type \"OFT\""),
        ("peft_type", Value::Null, "no peft_type"),
    ] {
        let mut folder = whole.clone();
        folder.config[key] = value;
        let message = message(&folder, &sites);
        assert!(message.contains(word), "{message:?} lacks {word:?}");
    }
}

#[test]
fn what_is_no_folder_of_an_adapter_is_said() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let message = || {
        let error = Folder::read(path).unwrap_err();
        format!("{error} {error:?}")
    };
    assert!(message().contains("adapter_config.json"));
    std::fs::write(path.join("config.json"), "{}").unwrap();
    assert!(message().contains("this is a model's folder"));
    std::fs::write(path.join("adapter_config.json"), "[]").unwrap();
    assert!(message().contains("is not an object"));
    std::fs::write(path.join("adapter_config.json"), "{}").unwrap();
    std::fs::write(path.join("adapter_model.bin"), "").unwrap();
    assert!(message().contains("safe_serialization"));
    let weights = std::fs::read(golden("lora-bert").join("adapter_model.safetensors")).unwrap();
    for length in [0, 7, 100, weights.len() - 1] {
        std::fs::write(path.join("adapter_model.safetensors"), &weights[..length]).unwrap();
        assert!(
            message().contains("not a whole safetensors file"),
            "{length}"
        );
    }
}

#[test]
fn a_base_is_known_again() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let golden = Folder::read(&golden("lora-bert")).unwrap();
    golden.write(path, Dtype::F32).unwrap();
    let single = path.join("model.safetensors");
    std::fs::rename(path.join("adapter_model.safetensors"), &single).unwrap();
    let hash = weights::hash(path).unwrap();
    assert_eq!(hash.len(), "sha256:".len() + 64);
    assert_eq!(weights::read(path).unwrap(), golden.tensors);

    // The same tensors in two files.
    let names: Vec<String> = golden.tensors.keys().cloned().collect();
    let mut map = BTreeMap::new();
    for (index, half) in names.chunks(names.len() / 2 + 1).enumerate() {
        let file = format!("part-{index}.safetensors");
        let part = Folder {
            tensors: half
                .iter()
                .map(|name| (name.clone(), golden.tensors[name].clone()))
                .collect(),
            ..golden.clone()
        };
        part.write(path, Dtype::F32).unwrap();
        std::fs::rename(path.join("adapter_model.safetensors"), path.join(&file)).unwrap();
        map.extend(half.iter().map(|name| (name.clone(), file.clone())));
    }
    std::fs::remove_file(&single).unwrap();
    let index = path.join("model.safetensors.index.json");
    std::fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    assert_eq!(weights::hash(path).unwrap(), hash);

    map.insert(names[0].clone(), "../part-0.safetensors".into());
    std::fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    assert!(weights::hash(path).is_err());
    std::fs::remove_file(&index).unwrap();

    let mut other = golden;
    other.tensors.get_mut(&names[0]).unwrap().values[0] += 1e-3;
    other.write(path, Dtype::F32).unwrap();
    std::fs::rename(path.join("adapter_model.safetensors"), &single).unwrap();
    assert_ne!(weights::hash(path).unwrap(), hash);
}

#[test]
fn tables_of_whole_numbers_are_no_weights() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("model.safetensors");
    let positions: Vec<u8> = (0..4_i64).flat_map(i64::to_le_bytes).collect();
    let weight: Vec<u8> = [0.5_f32, -2.0]
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let view =
        |dtype, shape, bytes| safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap();
    let weight = view(safetensors::Dtype::F32, vec![2], &weight);
    let positions = view(safetensors::Dtype::I64, vec![1, 4], &positions);

    let with = [("embeddings.position_ids", &positions), ("weight", &weight)];
    safetensors::serialize_to_file(with, None, &file).unwrap();
    let hash = weights::hash(place.path()).unwrap();
    assert_eq!(
        weights::read(place.path()).unwrap(),
        BTreeMap::from([("weight".to_owned(), Tensor::new([2], vec![0.5, -2.0]))])
    );
    safetensors::serialize_to_file([("weight", &weight)], None, &file).unwrap();
    assert_eq!(weights::hash(place.path()).unwrap(), hash);
}
