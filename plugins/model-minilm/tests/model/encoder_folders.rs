//! BERT's folders in all their forms open; what is saved is of the right class, with what sentence-transformers needs.

use std::path::Path;
use std::sync::Arc;

use codex_plugin_api::testing::RecordingHost;
use codex_plugin_api::{ErrorKind, FromConfig, Ids, Model};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm, Settings};
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::folders::{Tensors, changed, read, refused, shorten, write};
use crate::{at, golden, open};

const MLM: &str = "bert-mlm-tiny";
const EMBED: &str = "bert-embed-tiny";

fn text() -> (Vec<u32>, Vec<u64>) {
    ((0..12).map(|i| i * 17 % 211).collect(), vec![0, 7, 12])
}

fn logits(model: &MiniLm) -> Vec<f32> {
    let (ids, offsets) = text();
    model.logits(Ids::new(&ids, &offsets).unwrap()).unwrap()
}

fn embeddings(model: &mut MiniLm) -> Vec<f32> {
    let (ids, offsets) = text();
    model.embed(Ids::new(&ids, &offsets).unwrap()).unwrap()
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn saved(model: &MiniLm) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path().to_str().unwrap()).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let tensors = read(&folder.join("model.safetensors"));
    tensors.into_iter().map(|tensor| tensor.0).collect()
}

fn rename(all: &mut Tensors, from: &str, to: &str) {
    for (name, ..) in all.iter_mut() {
        *name = name.replace(from, to);
    }
}

fn dense(name: &str, rows: usize, columns: usize) -> Tensors {
    let numbers = |count: usize| -> Vec<u8> {
        (0..count)
            .flat_map(|i| ((i % 7) as f32 * 0.1 - 0.3).to_le_bytes())
            .collect()
    };
    vec![
        (
            format!("{name}.weight"),
            Dtype::F32,
            vec![rows, columns],
            numbers(rows * columns),
        ),
        (
            format!("{name}.bias"),
            Dtype::F32,
            vec![rows],
            numbers(rows),
        ),
    ]
}

#[test]
fn saved_folders_are_transformers_own() {
    for case in [MLM, EMBED] {
        let source = golden(case).join("model");
        let folder = saved(&open(&source, 1).unwrap());
        assert!(
            read(&source.join("model.safetensors"))
                == read(&folder.path().join("model.safetensors"))
        );
        let (before, after) = (
            json_of(&source.join("config.json")),
            json_of(&folder.path().join("config.json")),
        );
        for (key, value) in before.as_object().unwrap() {
            let found = &after[key];
            let same = found == value
                || found
                    .as_f64()
                    .zip(value.as_f64())
                    .is_some_and(|(a, b)| a == b);
            assert!(same, "{key}: {found}, not {value}");
        }
        assert_eq!(folder.path().join("modules.json").is_file(), case == EMBED);
    }
}

#[test]
fn every_form_of_the_same_weights_opens() {
    let same = |_: &mut Value| {};
    let expected = logits(&open(&golden(MLM).join("model"), 1).unwrap());
    let check = |what: &str, change: &dyn Fn(&mut Tensors)| {
        let folder = changed(MLM, same, change);
        assert!(
            expected == logits(&open(folder.path(), 1).unwrap()),
            "{what}"
        );
    };
    check("no prefix", &|all| rename(all, "bert.", ""));
    check("gamma and beta", &|all| {
        rename(all, "LayerNorm.weight", "LayerNorm.gamma");
        rename(all, "LayerNorm.bias", "LayerNorm.beta");
    });
    check("the head's bias by its other name", &|all| {
        rename(all, "cls.predictions.bias", "cls.predictions.decoder.bias");
    });
    check("as older versions saved it", &|all| {
        let words = all
            .iter()
            .find(|tensor| tensor.0.ends_with("word_embeddings.weight"))
            .unwrap()
            .clone();
        let bias = all
            .iter()
            .find(|tensor| tensor.0 == "cls.predictions.bias")
            .unwrap()
            .clone();
        all.push((
            "cls.predictions.decoder.weight".into(),
            words.1,
            words.2,
            words.3,
        ));
        all.push((
            "cls.predictions.decoder.bias".into(),
            bias.1,
            bias.2,
            bias.3,
        ));
        all.push((
            "bert.embeddings.position_ids".into(),
            Dtype::I64,
            vec![1, 40],
            vec![0; 320],
        ));
        all.extend(dense("cls.seq_relationship", 2, 32));
        all.extend(dense("bert.pooler.dense", 32, 32));
    });
    for (dtype, bound) in [(Dtype::F16, 3e-3), (Dtype::BF16, 3e-2)] {
        let short = changed(MLM, same, |all| shorten(all, dtype));
        for (a, b) in expected.iter().zip(logits(&open(short.path(), 1).unwrap())) {
            assert!((a - b).abs() < bound, "{dtype:?}: {a} and {b}");
        }
    }
    let folder = changed(MLM, same, |_| {});
    let single = folder.path().join("model.safetensors");
    let mut first = read(&single);
    let second = first.split_off(first.len() / 2);
    let mut map = serde_json::Map::new();
    for (name, part) in [("a.safetensors", &first), ("b.safetensors", &second)] {
        write(&folder.path().join(name), part);
        map.extend(part.iter().map(|tensor| (tensor.0.clone(), json!(name))));
    }
    std::fs::remove_file(&single).unwrap();
    std::fs::write(
        folder.path().join("model.safetensors.index.json"),
        json!({"weight_map": map}).to_string(),
    )
    .unwrap();
    assert_eq!(expected, logits(&open(folder.path(), 1).unwrap()));
}

/// Opens a folder, and gives what was said about it.
fn heard(settings: Settings) -> (MiniLm, String) {
    let host = Arc::new(RecordingHost::default());
    let model = MiniLm::from_config(settings, host.clone()).unwrap();
    let said: Vec<String> = host.lines().into_iter().map(|(_, line)| line).collect();
    (model, said.join("\n"))
}

#[test]
fn a_head_that_the_folder_lacks_starts_fresh_and_is_said() {
    let embed = golden(EMBED).join("model");
    let (model, said) = heard(at(&embed, "masked-lm"));
    assert!(
        said.contains("has no masked-language-modelling head"),
        "{said}"
    );
    let folder = saved(&model);
    let config = json_of(&folder.path().join("config.json"));
    assert_eq!(config["architectures"], json!(["BertForMaskedLM"]));
    let found = names(folder.path());
    assert!(found.contains(&"cls.predictions.transform.dense.weight".to_owned()));
    assert!(
        found
            .iter()
            .all(|name| name.starts_with("bert.") || name.starts_with("cls.predictions."))
    );
    // The same seed gives the same head, and the trunk is the folder's.
    let (again, _) = heard(at(&embed, "masked-lm"));
    assert_eq!(logits(&model), logits(&again));
    let other = Settings {
        seed: 9,
        ..at(&embed, "masked-lm")
    };
    assert_ne!(logits(&model), logits(&heard(other).0));
    let words = "embeddings.word_embeddings.weight";
    assert_eq!(
        model.value(&format!("bert.{words}")).unwrap(),
        open(&embed, 1).unwrap().value(words).unwrap()
    );
    // What was saved has the head: nothing is said.
    assert_eq!(heard(at(folder.path(), "masked-lm")).1, "");

    let labelled = Settings {
        labels: Some(3),
        ..at(&embed, "classification")
    };
    let (model, said) = heard(labelled);
    assert!(said.contains("has no pooler and no classifier"), "{said}");
    assert_eq!(model.value("classifier.weight").unwrap().len(), 3 * 32);
}

#[test]
fn a_head_that_is_not_whole_is_refused() {
    let same = |_: &mut Value| {};
    let partly = changed(MLM, same, |all| {
        all.retain(|tensor| tensor.0 != "cls.predictions.transform.dense.bias");
    });
    refused(
        partly.path(),
        "tensor cls.predictions.transform.dense.bias of shape [32] is missing",
    );
    let none = changed(MLM, same, |all| {
        all.retain(|tensor| !tensor.0.starts_with("cls."));
    });
    refused(
        none.path(),
        "tensor cls.predictions.bias of shape [211] is missing (and 4 more)",
    );
    let strange = changed(MLM, same, |all| {
        all.extend(dense("bert.encoder.extra", 2, 2));
    });
    refused(
        strange.path(),
        "tensor bert.encoder.extra.bias of shape [2] has no place in this bert",
    );
    let untied = changed(
        MLM,
        |config| config["tie_word_embeddings"] = json!(false),
        |_| {},
    );
    refused(untied.path(), "tie_word_embeddings is false");
    for (key, value, words) in [
        (
            "position_embedding_type",
            json!("relative_key"),
            "\"relative_key\"",
        ),
        ("is_decoder", json!(true), "is_decoder is true"),
        ("hidden_act", json!("relu"), "hidden_act is \"relu\""),
        (
            "num_attention_heads",
            json!(5),
            "does not divide into 5 heads",
        ),
        (
            "max_position_embeddings",
            json!(41),
            "has shape [40, 32], expected [41, 32]",
        ),
    ] {
        let folder = changed(MLM, |config| config[key] = value.clone(), |_| {});
        refused(folder.path(), words);
    }
}

#[test]
fn a_masked_language_model_gives_embeddings_and_becomes_an_embedding_model() {
    let folder = golden(MLM).join("model");
    let mut masked = open(&folder, 1).unwrap();
    let (mut model, said) = heard(at(&folder, "embedding"));
    assert_eq!(said, "");
    let due = embeddings(&mut masked);
    assert_eq!(due, embeddings(&mut model));
    let folder = saved(&model);
    let found = names(folder.path());
    assert!(
        found
            .iter()
            .all(|name| name.starts_with("embeddings.") || name.starts_with("encoder.")),
        "{found:?}"
    );
    let config = json_of(&folder.path().join("config.json"));
    assert_eq!(config["architectures"], json!(["BertModel"]));
    let mut again = open(folder.path(), 1).unwrap();
    assert_eq!(again.info().unwrap().tasks, ["embedding"]);
    assert_eq!(due, embeddings(&mut again));
}

#[test]
fn a_pooler_is_kept_where_it_fits_and_does_not_train() {
    let folder = changed(
        EMBED,
        |_| {},
        |all| all.extend(dense("pooler.dense", 32, 32)),
    );
    let mut model = open(folder.path(), 1).unwrap();
    let pooler = |model: &MiniLm, trainable: bool| {
        let parameters = model.parameters().unwrap();
        let pooler: Vec<_> = parameters
            .iter()
            .filter(|one| one.name.contains("pooler"))
            .collect();
        assert_eq!(pooler.len(), 2);
        assert!(pooler.iter().all(|one| one.trainable == trainable));
    };
    pooler(&model, false);
    let settings = codex_plugin_api::TrainingSettings {
        task: "embedding".into(),
        ..Default::default()
    };
    model.begin_training(&settings).unwrap();
    pooler(&model, false);
    let kept = saved(&model);
    assert!(names(kept.path()).contains(&"pooler.dense.weight".to_owned()));
    // A classifier trains it, starting from the folder's; a masked language model has none.
    let (classifier, said) = heard(Settings {
        labels: Some(2),
        ..at(folder.path(), "classification")
    });
    assert!(said.contains("has no classifier,"), "{said}");
    pooler(&classifier, true);
    assert_eq!(
        classifier.value("bert.pooler.dense.weight").unwrap(),
        model.value("pooler.dense.weight").unwrap()
    );
    let (masked, _) = heard(at(folder.path(), "masked-lm"));
    assert!(
        names(saved(&masked).path())
            .iter()
            .all(|name| !name.contains("pooler"))
    );
}

#[test]
fn a_classifier_keeps_its_labels() {
    let settings = Settings {
        architecture: ArchitectureName::Bert,
        task: "classification".into(),
        label_names: vec!["bad".into(), "good".into(), "odd".into()],
        hidden_size: 32,
        ..Settings::default()
    };
    let folder = saved(&MiniLm::new(&settings, 1).unwrap());
    let config = json_of(&folder.path().join("config.json"));
    assert_eq!(
        config["architectures"],
        json!(["BertForSequenceClassification"])
    );
    assert_eq!(
        config["id2label"],
        json!({"0": "bad", "1": "good", "2": "odd"})
    );
    assert_eq!(config["label2id"], json!({"bad": 0, "good": 1, "odd": 2}));
    assert_eq!(config["problem_type"], json!("single_label_classification"));
    let again = open(folder.path(), 1).unwrap();
    assert_eq!(again.info().unwrap().tasks, ["classification"]);
    assert_eq!(json_of(&saved(&again).path().join("config.json")), config);
    // Another number of labels is another classifier.
    let wider = Settings {
        labels: Some(4),
        ..at(folder.path(), "classification")
    };
    let error = MiniLm::new(&wider, 1).err().unwrap();
    assert!(
        error
            .message()
            .contains("classifier.weight has shape [3, 32], expected [4, 32]")
            || error
                .message()
                .contains("classifier.bias has shape [3], expected [4]"),
        "{error}"
    );
    // A head of the same name that tells tokens apart is not taken for one.
    let mut tokens = config.clone();
    tokens["architectures"] = json!(["BertForTokenClassification"]);
    std::fs::write(folder.path().join("config.json"), tokens.to_string()).unwrap();
    let (_, said) = heard(Settings {
        labels: Some(4),
        ..at(folder.path(), "classification")
    });
    assert!(said.contains("has no classifier"), "{said}");

    for (architecture, class) in [
        (ArchitectureName::Bert, "BertForSequenceClassification"),
        (ArchitectureName::Gpt2, "GPT2ForSequenceClassification"),
        (ArchitectureName::Llama, "LlamaForSequenceClassification"),
    ] {
        let settings = Settings {
            architecture,
            task: "regression".into(),
            ..Settings::default()
        };
        let folder = saved(&MiniLm::new(&settings, 1).unwrap());
        let config = json_of(&folder.path().join("config.json"));
        assert_eq!(config["architectures"], json!([class]));
        assert_eq!(config["problem_type"], json!("regression"));
        assert_eq!(config["id2label"], json!({"0": "LABEL_0"}));
        assert_eq!(
            open(folder.path(), 1).unwrap().info().unwrap().tasks,
            ["regression"]
        );
    }
}

/// Puts sentence-transformers' files into a copy of the embedding model's folder.
fn sentences(modules: &Value, pooling: &Value, transformer: &Value) -> tempfile::TempDir {
    let folder = changed(EMBED, |_| {}, |_| {});
    let put = |name: &str, value: &Value| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value.to_string()).unwrap();
    };
    put("modules.json", modules);
    put("1_Pooling/config.json", pooling);
    put("sentence_bert_config.json", transformer);
    folder
}

fn modules(kinds: &[(&str, &str)]) -> Value {
    let list = kinds.iter().enumerate().map(|(index, (kind, path))| {
        json!({"idx": index, "name": index.to_string(), "path": path, "type": kind})
    });
    list.collect()
}

#[test]
fn sentence_transformers_files_decide() {
    let plain = modules(&[
        ("sentence_transformers.models.Transformer", ""),
        ("sentence_transformers.models.Pooling", "1_Pooling"),
    ]);
    let normed = modules(&[
        ("sentence_transformers.models.Transformer", ""),
        ("sentence_transformers.models.Pooling", "1_Pooling"),
        ("sentence_transformers.models.Normalize", "2_Normalize"),
    ]);
    let mean = json!({"word_embedding_dimension": 32, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true});
    let first = json!({"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false});
    let word = json!({"word_embedding_dimension": 32, "pooling_mode": "cls"});
    let short = json!({"max_seq_length": 12, "do_lower_case": false});
    let reference = embeddings(&mut open(&golden(EMBED).join("model"), 1).unwrap());
    let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);

    let folder = sentences(&normed, &mean, &short);
    let mut model = open(folder.path(), 1).unwrap();
    assert_eq!(model.info().unwrap().max_sequence_length, 12);
    assert!(close(&reference, &embeddings(&mut model)));
    // Since version 6 the tokenizer's file says it.
    let newer = sentences(&normed, &json!({"pooling_mode": "mean"}), &json!({}));
    let tokenizer = newer.path().join("tokenizer_config.json");
    for (length, due) in [(json!(9), 9), (json!(1e30), 40), (Value::Null, 40)] {
        std::fs::write(&tokenizer, json!({"model_max_length": length}).to_string()).unwrap();
        let info = open(newer.path(), 1).unwrap().info().unwrap();
        assert_eq!(info.max_sequence_length, due);
    }
    // Another task reads as much as there are positions.
    let masked = MiniLm::new(&at(folder.path(), "masked-lm"), 1).unwrap();
    assert_eq!(masked.info().unwrap().max_sequence_length, 40);

    let bare = embeddings(&mut open(sentences(&plain, &mean, &short).path(), 1).unwrap());
    for (row, due) in bare.chunks(32).zip(reference.chunks(32)) {
        let scale = length(row);
        assert!((scale - 1.0).abs() > 1e-3);
        let scaled: Vec<f32> = row.iter().map(|x| x / scale).collect();
        assert!(close(&scaled, due));
    }
    let by_flag = embeddings(&mut open(sentences(&normed, &first, &short).path(), 1).unwrap());
    let by_word = embeddings(&mut open(sentences(&normed, &word, &short).path(), 1).unwrap());
    assert_eq!(by_flag, by_word);
    assert!(!close(&by_flag, &reference));
    let asked = Settings {
        pooling: Some(codex_plugin_model_minilm::PoolingName::Cls),
        ..at(sentences(&normed, &mean, &short).path(), "embedding")
    };
    // The folder is gone by now.
    assert_eq!(
        MiniLm::new(&asked, 1).err().unwrap().kind(),
        ErrorKind::Data
    );
    let folder = sentences(&normed, &mean, &short);
    let asked = Settings {
        path: Some(folder.path().to_str().unwrap().to_owned()),
        ..asked
    };
    assert_eq!(by_flag, embeddings(&mut MiniLm::new(&asked, 1).unwrap()));

    let max = json!({"pooling_mode_max_tokens": true, "pooling_mode_mean_tokens": true});
    refused(
        sentences(&normed, &max, &short).path(),
        "pooling is max and mean",
    );
    let dense = modules(&[
        ("sentence_transformers.models.Transformer", ""),
        ("sentence_transformers.models.Pooling", "1_Pooling"),
        ("sentence_transformers.models.Dense", "2_Dense"),
    ]);
    refused(sentences(&dense, &mean, &short).path(), "a module Dense");
    refused(
        sentences(&json!({}), &mean, &short).path(),
        "modules.json: expected a list",
    );
    let outside = modules(&[("sentence_transformers.models.Transformer", "../other")]);
    refused(
        sentences(&outside, &mean, &short).path(),
        "modules.json: expected a list",
    );
    refused(
        sentences(&normed, &mean, &json!({"max_seq_length": "long"})).path(),
        "max_seq_length is \"long\"",
    );
}

#[test]
fn a_transformer_in_a_folder_of_its_own_opens() {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("0_Transformer");
    std::fs::create_dir(&inner).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden(EMBED).join("model").join(file), inner.join(file)).unwrap();
    }
    let list = modules(&[
        ("sentence_transformers.models.Transformer", "0_Transformer"),
        ("sentence_transformers.models.Normalize", "1_Normalize"),
    ]);
    std::fs::write(outer.path().join("modules.json"), list.to_string()).unwrap();
    let mut model = open(outer.path(), 1).unwrap();
    let reference = embeddings(&mut open(&golden(EMBED).join("model"), 1).unwrap());
    assert_eq!(reference, embeddings(&mut model));
}

#[test]
fn what_is_saved_beside_an_encoder_says_how_it_embeds() {
    let first = json!({"pooling_mode_cls_token": true});
    let short = json!({"max_seq_length": 12});
    let list = modules(&[
        ("sentence_transformers.models.Transformer", ""),
        ("sentence_transformers.models.Pooling", "1_Pooling"),
    ]);
    let source = sentences(&list, &first, &short);
    let mut model = open(source.path(), 1).unwrap();
    let folder = saved(&model);
    let file = |name: &str| json_of(&folder.path().join(name));
    assert_eq!(file("modules.json"), list);
    assert_eq!(
        file("1_Pooling/config.json")["pooling_mode_cls_token"],
        json!(true)
    );
    assert_eq!(
        file("1_Pooling/config.json")["pooling_mode_mean_tokens"],
        json!(false)
    );
    assert_eq!(
        file("1_Pooling/config.json")["word_embedding_dimension"],
        json!(32)
    );
    assert_eq!(
        file("sentence_bert_config.json")["max_seq_length"],
        json!(12)
    );
    assert_eq!(
        file("config_sentence_transformers.json")["similarity_fn_name"],
        json!("cosine")
    );
    let mut again = open(folder.path(), 1).unwrap();
    assert_eq!(embeddings(&mut model), embeddings(&mut again));
    assert_eq!(model.info().unwrap(), again.info().unwrap());
    // A new encoder takes the mean and norms it.
    let settings = Settings {
        architecture: ArchitectureName::Bert,
        task: "embedding".into(),
        ..Settings::default()
    };
    let folder = saved(&MiniLm::new(&settings, 1).unwrap());
    let list = json_of(&folder.path().join("modules.json"));
    assert_eq!(list.as_array().unwrap().len(), 3);
    assert_eq!(
        list[2]["type"],
        json!("sentence_transformers.models.Normalize")
    );
}

#[test]
fn a_trunk_alone_opens_for_a_decoder_too() {
    for (architecture, class) in [
        (ArchitectureName::Gpt2, "GPT2Model"),
        (ArchitectureName::Llama, "LlamaModel"),
    ] {
        let settings = Settings {
            architecture,
            task: "embedding".into(),
            ..Settings::default()
        };
        let mut model = MiniLm::new(&settings, 1).unwrap();
        let folder = saved(&model);
        assert_eq!(
            json_of(&folder.path().join("config.json"))["architectures"],
            json!([class])
        );
        let mut again = open(folder.path(), 1).unwrap();
        assert_eq!(again.info().unwrap().tasks, ["embedding"]);
        assert_eq!(embeddings(&mut model), embeddings(&mut again));
        // GPT-2 ties its head to the token embedding; without one, Llama's starts fresh and would continue with noise.
        let (mut model, said) = heard(at(folder.path(), "causal-lm"));
        let headless = class == "LlamaModel";
        assert_eq!(
            said.contains("no language-modelling head"),
            headless,
            "{said}"
        );
        match model.open_session() {
            Ok(_) => assert!(!headless, "{class} continues with noise"),
            Err(error) => assert!(
                headless && error.message().contains("no language-modelling head"),
                "{error}"
            ),
        }
    }
}

#[test]
fn sites_of_an_encoder() {
    let sites = open(&golden(MLM).join("model"), 1)
        .unwrap()
        .sites()
        .unwrap();
    let roles: Vec<(&str, &str)> = sites
        .iter()
        .map(|site| (site.name.as_str(), site.role.as_str()))
        .collect();
    let layer = |index: usize| {
        [
            ("attention.self.query", "query"),
            ("attention.self.key", "key"),
            ("attention.self.value", "value"),
            ("attention.output.dense", "output"),
            ("intermediate.dense", "up"),
            ("output.dense", "down"),
        ]
        .map(|(name, role)| (format!("bert.encoder.layer.{index}.{name}"), role))
    };
    let mut due = vec![("bert.embeddings.word_embeddings".to_owned(), "embedding")];
    due.extend(layer(0));
    due.extend(layer(1));
    due.push(("cls.predictions.transform.dense".to_owned(), "head"));
    let due: Vec<(&str, &str)> = due
        .iter()
        .map(|(name, role)| (name.as_str(), *role))
        .collect();
    assert_eq!(roles, due);
    let up = sites
        .iter()
        .find(|site| site.name.ends_with("layer.1.intermediate.dense"))
        .unwrap();
    assert_eq!(
        (up.inputs, up.outputs, up.layer, up.transposed),
        (32, 64, Some(1), false)
    );
}
