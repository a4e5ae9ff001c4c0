//! What is saved opens again, what Transformers may save opens too, and what does not fit is refused by name.

use std::collections::HashMap;
use std::path::Path;

use codex_plugin_api::{ErrorKind, Ids, Model};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm, Settings};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize_to_file};
use serde_json::{Value, json};

use crate::{fresh, golden, open};

pub(crate) type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

pub(crate) fn read(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Tensors = tensors
        .iter()
        .map(|(name, view)| {
            (
                name.to_owned(),
                view.dtype(),
                view.shape().to_vec(),
                view.data().to_vec(),
            )
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

pub(crate) fn write(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (
            name.as_str(),
            TensorView::new(*dtype, shape.clone(), data).unwrap(),
        )
    });
    serialize_to_file(views, None, path).unwrap();
}

/// A copy of a golden model's folder, changed.
pub(crate) fn changed(
    case: &str,
    config: impl Fn(&mut Value),
    tensors: impl Fn(&mut Tensors),
) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = golden(case).join("model");
    let mut value: Value =
        serde_json::from_slice(&std::fs::read(source.join("config.json")).unwrap()).unwrap();
    config(&mut value);
    std::fs::write(folder.path().join("config.json"), value.to_string()).unwrap();
    let mut all = read(&source.join("model.safetensors"));
    tensors(&mut all);
    write(&folder.path().join("model.safetensors"), &all);
    folder
}

fn logits(model: &MiniLm) -> Vec<f32> {
    let ids: Vec<u32> = (0..12).map(|i| i * 17 % 211).collect();
    model.logits(Ids::new(&ids, &[0, 7, 12]).unwrap()).unwrap()
}

pub(crate) fn shorten(all: &mut Tensors, dtype: Dtype) {
    for (_, kind, _, data) in all {
        *kind = dtype;
        *data = data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .flat_map(|value| match dtype {
                Dtype::F16 => half::f16::from_f32(value).to_le_bytes(),
                _ => half::bf16::from_f32(value).to_le_bytes(),
            })
            .collect();
    }
}

#[test]
fn saving_and_opening_changes_nothing() {
    for (architecture, case) in [
        (ArchitectureName::Gpt2, "gpt2-tiny"),
        (ArchitectureName::Llama, "llama-tiny"),
    ] {
        for model in [
            fresh(architecture, 0.1),
            open(&golden(case).join("model"), 1).unwrap(),
        ] {
            let folder = tempfile::tempdir().unwrap();
            model.save(folder.path().to_str().unwrap()).unwrap();
            let again = open(folder.path(), 1).unwrap();
            assert_eq!(model.info().unwrap(), again.info().unwrap());
            assert_eq!(logits(&model), logits(&again));
            let second = tempfile::tempdir().unwrap();
            again.save(second.path().to_str().unwrap()).unwrap();
            for file in ["config.json", "model.safetensors"] {
                let bytes =
                    |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file)).unwrap();
                assert!(bytes(&folder) == bytes(&second), "{file}");
            }
        }
    }
}

#[test]
fn saved_folders_have_transformers_names_keys_and_metadata() {
    for case in ["gpt2-tiny", "llama-tiny"] {
        let source = golden(case).join("model");
        let folder = tempfile::tempdir().unwrap();
        open(&source, 1)
            .unwrap()
            .save(folder.path().to_str().unwrap())
            .unwrap();
        assert!(
            read(&source.join("model.safetensors"))
                == read(&folder.path().join("model.safetensors"))
        );
        let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let expected = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        assert_eq!(metadata.metadata().as_ref(), Some(&expected));
        let json = |folder: &Path| -> Value {
            serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
        };
        let (before, after) = (json(&source), json(folder.path()));
        for (key, value) in before.as_object().unwrap() {
            let found = &after[key];
            // n_inner null means 4·n_embd, which is written out; 0 and 0.0 are the same number.
            let same = found == value
                || found
                    .as_f64()
                    .is_some_and(|number| value.as_f64() == Some(number));
            assert!(same || key == "n_inner", "{key}: {found}, not {value}");
        }
    }
}

#[test]
fn other_forms_of_the_same_weights_open() {
    let no_change = |_: &mut Value| {};
    for (case, prefix) in [("gpt2-tiny", "transformer."), ("llama-tiny", "model.")] {
        let expected = logits(&open(&golden(case).join("model"), 1).unwrap());
        let bare = changed(case, no_change, |all| {
            for (name, ..) in all.iter_mut() {
                *name = name.strip_prefix(prefix).unwrap_or(name).to_owned();
            }
        });
        assert_eq!(expected, logits(&open(bare.path(), 1).unwrap()));
        for (dtype, bound) in [(Dtype::F16, 3e-3), (Dtype::BF16, 3e-2)] {
            let short = changed(case, no_change, |all| shorten(all, dtype));
            for (a, b) in expected.iter().zip(logits(&open(short.path(), 1).unwrap())) {
                assert!((a - b).abs() < bound, "{dtype:?}: {a} and {b}");
            }
        }
        // Two shards and an index.
        let folder = changed(case, no_change, |_| {});
        let single = folder.path().join("model.safetensors");
        let mut first = read(&single);
        let second = first.split_off(first.len() / 2);
        let names = [
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
        ];
        let mut map = serde_json::Map::new();
        for (name, part) in names.iter().zip([&first, &second]) {
            write(&folder.path().join(name), part);
            map.extend(part.iter().map(|tensor| (tensor.0.clone(), json!(name))));
        }
        std::fs::remove_file(&single).unwrap();
        let index = folder.path().join("model.safetensors.index.json");
        std::fs::write(
            &index,
            json!({"metadata": {}, "weight_map": map}).to_string(),
        )
        .unwrap();
        assert_eq!(expected, logits(&open(folder.path(), 1).unwrap()));
        std::fs::remove_file(folder.path().join(names[1])).unwrap();
        refused(folder.path(), names[1]);
        std::fs::write(
            &index,
            json!({"weight_map": {"a": "../model.safetensors"}}).to_string(),
        )
        .unwrap();
        refused(folder.path(), "not a file of this folder");
    }
    // Rotary positions as Transformers 4 wrote them, with another base.
    let theta = |outer: bool| {
        let folder = changed(
            "llama-tiny",
            |config| {
                config["rope_parameters"]["rope_theta"] = json!(500.0);
                if outer {
                    config.as_object_mut().unwrap().remove("rope_parameters");
                    config["rope_theta"] = json!(500.0);
                    config["rope_scaling"] = Value::Null;
                }
            },
            |_| {},
        );
        logits(&open(folder.path(), 1).unwrap())
    };
    assert_eq!(theta(true), theta(false));
    assert_ne!(
        theta(true),
        logits(&open(&golden("llama-tiny").join("model"), 1).unwrap())
    );
    // Buffers of older versions, and a head that is tied anyway.
    let old = changed("gpt2-tiny", no_change, |all| {
        all.push((
            "transformer.h.0.attn.bias".into(),
            Dtype::U8,
            vec![1, 1, 2, 2],
            vec![0; 4],
        ));
        all.push((
            "transformer.h.0.attn.masked_bias".into(),
            Dtype::F32,
            vec![],
            vec![0; 4],
        ));
        let head = all
            .iter()
            .find(|tensor| tensor.0 == "transformer.wte.weight")
            .unwrap()
            .clone();
        all.push(("lm_head.weight".into(), head.1, head.2, head.3));
    });
    assert_eq!(
        logits(&open(old.path(), 1).unwrap()),
        logits(&open(&golden("gpt2-tiny").join("model"), 1).unwrap())
    );
}

/// A folder that is bad data, refused with these words and a hint.
pub(crate) fn refused(folder: &Path, words: &str) {
    let Err(error) = open(folder, 1) else {
        panic!("a folder opened that should have been refused: {words}");
    };
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    let all = format!("{error} {}", error.causes().join(" "));
    assert!(all.contains(words), "'{words}' is not in '{all}'");
    assert!(
        error.hint_text().is_some() && error.message().contains(folder.to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn weights_that_do_not_fit_are_refused_by_name() {
    let no_change = |_: &mut Value| {};
    let missing = changed("llama-tiny", no_change, |all| {
        all.retain(|t| !t.0.contains("layers.1.mlp"));
    });
    refused(
        missing.path(),
        "tensor model.layers.1.mlp.gate_proj.weight of shape [88, 32] is missing (and 2 more)",
    );
    let untied = changed("llama-tiny", no_change, |all| {
        all.retain(|t| t.0 != "lm_head.weight");
    });
    refused(untied.path(), "lm_head.weight");
    let misshaped = changed("gpt2-tiny", no_change, |all| {
        let tensor = all
            .iter_mut()
            .find(|t| t.0 == "transformer.h.0.mlp.c_fc.weight")
            .unwrap();
        tensor.2 = vec![128, 32];
    });
    refused(
        misshaped.path(),
        "tensor transformer.h.0.mlp.c_fc.weight has shape [128, 32], expected [32, 128]",
    );
    let deeper = changed("gpt2-tiny", no_change, |all| {
        all.push((
            "transformer.h.2.ln_1.bias".into(),
            Dtype::F32,
            vec![1],
            vec![0; 4],
        ));
    });
    refused(
        deeper.path(),
        "tensor transformer.h.2.ln_1.bias of shape [1] has no place in this gpt2 model",
    );
    let typed = changed("gpt2-tiny", no_change, |all| {
        let tensor = all
            .iter_mut()
            .find(|t| t.0 == "transformer.ln_f.bias")
            .unwrap();
        (tensor.1, tensor.3) = (Dtype::I8, vec![0; 32]);
    });
    refused(
        typed.path(),
        "tensor transformer.ln_f.bias is I8, expected F32, F16 or BF16",
    );
}

#[test]
fn damaged_files_are_refused() {
    let folder = changed("gpt2-tiny", |_| {}, |_| {});
    let (weights, config) = (
        folder.path().join("model.safetensors"),
        folder.path().join("config.json"),
    );
    let whole = std::fs::read(&weights).unwrap();
    for length in [0, 7, 100, whole.len() - 1] {
        std::fs::write(&weights, &whole[..length]).unwrap();
        refused(
            folder.path(),
            "model.safetensors is not a whole safetensors file",
        );
    }
    // Bits of the header, one after the other: refused or, where only spacing or metadata changed, opened; no panic.
    for at in 0..600 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&weights, bytes).unwrap();
        drop(open(folder.path(), 1));
    }
    std::fs::write(&weights, &whole).unwrap();
    open(folder.path(), 1).unwrap();
    std::fs::write(&config, "{\"model_type\": \"gpt2\",").unwrap();
    refused(folder.path(), "config.json is not JSON");
    std::fs::remove_file(&config).unwrap();
    refused(folder.path(), "cannot read");
    std::fs::write(&config, "{}").unwrap();
    refused(folder.path(), "model_type");
    std::fs::remove_file(&weights).unwrap();
    refused(
        changed("gpt2-tiny", |config| config["n_layer"] = json!(0), |_| {}).path(),
        "n_layer is 0",
    );
}

#[test]
fn configs_that_do_not_fit_are_refused_by_key() {
    let cases: &[(&str, &str, Value, &str)] = &[
        (
            "gpt2-tiny",
            "model_type",
            json!("bloom"),
            "model_type is \"bloom\"",
        ),
        (
            "gpt2-tiny",
            "n_embd",
            json!("32"),
            "n_embd is \"32\", expected a whole number",
        ),
        (
            "gpt2-tiny",
            "n_embd",
            json!(30),
            "a hidden size of 30 does not divide into 4 heads",
        ),
        (
            "gpt2-tiny",
            "n_embd",
            json!(64),
            "has shape [96], expected [192]",
        ),
        ("gpt2-tiny", "n_head", Value::Null, "n_head is missing"),
        ("gpt2-tiny", "vocab_size", json!(2147483647), "outside 1 to"),
        (
            "gpt2-tiny",
            "scale_attn_by_inverse_layer_idx",
            json!(true),
            "which this plugin does not compute",
        ),
        (
            "gpt2-tiny",
            "activation_function",
            json!("relu"),
            "activation_function is \"relu\"",
        ),
        ("gpt2-tiny", "attn_pdrop", json!(1.5), "attn_pdrop is 1.5"),
        (
            "llama-tiny",
            "num_key_value_heads",
            json!(3),
            "4 heads cannot share 3 key and value heads",
        ),
        (
            "llama-tiny",
            "head_dim",
            json!(7),
            "7 columns cannot be rotated",
        ),
        (
            "llama-tiny",
            "rope_parameters",
            json!({"rope_type": "llama3"}),
            "asks for \"llama3\" positions",
        ),
        (
            "llama-tiny",
            "rope_scaling",
            json!({"type": "linear", "factor": 2.0}),
            "asks for \"linear\" positions",
        ),
        (
            "llama-tiny",
            "hidden_act",
            json!("gelu"),
            "hidden_act is \"gelu\", expected silu",
        ),
        (
            "llama-tiny",
            "attention_bias",
            json!(true),
            "q_proj.bias of shape [32] is missing (and 7 more)",
        ),
    ];
    for (case, key, value, words) in cases {
        let folder = changed(case, |config| config[*key] = value.clone(), |_| {});
        refused(folder.path(), words);
    }
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let check = |settings: Settings, words: &str| {
        let error = MiniLm::new(&settings, 1).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.message().contains(words) && error.hint_text().is_some(),
            "{error}"
        );
    };
    let base = Settings::default;
    check(
        Settings {
            hidden_size: 130,
            ..base()
        },
        "hidden_size 130 does not divide into 4 heads",
    );
    check(
        Settings {
            kv_heads: Some(2),
            ..base()
        },
        "kv_heads is 2",
    );
    check(
        Settings {
            device: "cuda:0".into(),
            ..base()
        },
        "device is \"cuda:0\"",
    );
    check(
        Settings {
            precision: "f64".into(),
            ..base()
        },
        "precision is \"f64\"",
    );
    let odd = Settings {
        architecture: ArchitectureName::Llama,
        hidden_size: 36,
        heads: 12,
        ..base()
    };
    check(odd, "a head of 3 columns cannot be rotated");
}

#[test]
fn checkpoints_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut model = fresh(ArchitectureName::Gpt2, 0.0);
    crate::begin(&mut model);
    model.export_state(path).unwrap();
    let file = folder.path().join("optimizer.safetensors");
    let whole = read(&file);
    let mut check = |tensors: &Tensors, words: &str| {
        write(&file, tensors);
        let error = model.import_state(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains(words), "{error}");
    };
    let without = |name: &str| {
        whole
            .iter()
            .filter(|t| t.0 != name)
            .cloned()
            .collect::<Tensors>()
    };
    check(&without("step"), "tensor step");
    check(
        &without("second_moment.transformer.ln_f.bias"),
        "second_moment.transformer.ln_f.bias of shape [48] is missing",
    );
    let mut strange = whole.clone();
    strange.push(("third_moment.x".into(), Dtype::F32, vec![], vec![0; 4]));
    check(&strange, "third_moment.x belongs to no parameter");
    model.import_state(path).unwrap_err();
    write(&file, &whole);
    model.import_state(path).unwrap();
}

#[test]
fn sites_are_the_linear_maps_under_their_saved_names() {
    let sites = |case: &str| {
        open(&golden(case).join("model"), 1)
            .unwrap()
            .sites()
            .unwrap()
    };
    let find = |case: &str, name: &str| {
        let site = sites(case)
            .into_iter()
            .find(|site| site.name == name)
            .unwrap();
        (
            site.inputs,
            site.outputs,
            site.role,
            site.layer,
            site.transposed,
        )
    };
    assert_eq!(sites("gpt2-tiny").len(), 1 + 2 * 4); // the head is the embedding
    assert_eq!(sites("llama-tiny").len(), 2 + 2 * 7);
    let qkv = find("gpt2-tiny", "transformer.h.1.attn.c_attn");
    assert_eq!(qkv, (32, 96, "query-key-value".to_owned(), Some(1), true));
    let down = find("gpt2-tiny", "transformer.h.0.mlp.c_proj");
    assert_eq!(down, (128, 32, "down".to_owned(), Some(0), true));
    let key = find("llama-tiny", "model.layers.0.self_attn.k_proj");
    assert_eq!(key, (32, 16, "key".to_owned(), Some(0), false));
    assert_eq!(
        find("llama-tiny", "lm_head"),
        (32, 211, "head".to_owned(), None, false)
    );
}
