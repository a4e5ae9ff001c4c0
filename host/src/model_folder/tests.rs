//! What is a model folder, what opens it, and what its adapters add.

use codex_plugin_api::ErrorKind;

use super::*;
use crate::testing::ByteTokenizer;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

#[test]
fn an_export_says_what_opens_it() {
    let note = r#"{"version": "0.1.0", "model": {"name": "ngram"}, "tokenizer": {"name": "bytes"},
        "data": {"name": "grammar", "validation_fraction": 0.1}, "metrics": ["lm", {"name": "x", "k": 1}], "seed": 7}"#;
    let root = folder(&[
        ("model/codex_ml.json", note),
        ("model/config.json", "{}"),
        ("events.ndjson", ""),
    ]);
    for path in [root.path().to_owned(), root.path().join("model")] {
        let opened = ModelFolder::open(&path).unwrap();
        assert_eq!(
            (opened.model_name(), opened.tokenizer_name(), opened.seed()),
            ("ngram", "bytes", 7)
        );
        assert_eq!(
            (opened.data().unwrap().len(), opened.metrics().len()),
            (2, 2)
        );
        assert!(opened.is_export());
        assert_eq!(opened.path(), root.path().join("model"));
    }
}

#[test]
fn a_hugging_face_folder_is_opened_by_the_usual_plugins() {
    let root = folder(&[
        (
            "config.json",
            r#"{"model_type": "llama", "eos_token_id": 2}"#,
        ),
        ("generation_config.json", r#"{"eos_token_id": [3, 2]}"#),
        ("tokenizer.json", "{}"),
    ]);
    let opened = ModelFolder::open(root.path()).unwrap();
    assert_eq!(
        (opened.model_name(), opened.tokenizer_name()),
        ("minilm", "hf")
    );
    assert!(!opened.is_export());
    assert_eq!(opened.end_tokens(&ByteTokenizer).unwrap(), [2, 3, 256]);
    let tokenizer =
        ModelFolder::open_tokenizer_folder(&root.path().join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer.path(), root.path());
}

#[test]
fn what_is_no_model_folder_is_told_apart() {
    let root = folder(&[
        ("file", ""),
        ("empty/x", ""),
        ("run/events.ndjson", ""),
        ("broken/codex_ml.json", "{"),
        ("wrong/codex_ml.json", r#"{"model": 3}"#),
    ]);
    for (name, word) in [
        ("nowhere", "there is no model folder"),
        ("file", "is a file, not a model folder"),
        ("empty", "is no model folder: it has no config.json"),
        ("run", "is no model folder"),
        ("broken", "codex_ml.json is not JSON"),
        ("wrong", "codex_ml.json does not describe a model"),
    ] {
        let error = ModelFolder::open(&root.path().join(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains(word), "{error} lacks {word}");
    }
    let error = ModelFolder::open(&root.path().join("run")).unwrap_err();
    assert!(error.hint_text().unwrap().contains("--resume"));
    let error = ModelFolder::open_tokenizer_folder(&root.path().join("empty")).unwrap_err();
    assert!(error.message().contains("holds no tokenizer"), "{error}");
}

/// A run that trained a model and one that trained an adapter for it, as they lie in a project; and an adapter as PEFT
/// saves it.
fn project() -> tempfile::TempDir {
    let base = r#"{"model": {"name": "mine"}, "tokenizer": {"name": "bytes"}, "data": {"name": "grammar"}, "seed": 1,
        "task": "causal-lm", "metrics": ["lm"]}"#;
    let tuned = r#"{"model": {"name": "mine", "options": {"pooling": "cls"}}, "tokenizer": {"name": "bytes"}, "seed": 2,
        "adapter": {"name": "lora", "options": {"rank": 4}}, "base": "runs/first/model", "data": {"name": "files"},
        "task": "classification", "classes": ["no", "yes"], "metrics": ["classification"]}"#;
    let named = r#"{"peft_type": "LORA", "base_model_name_or_path": "runs/first/model", "task_type": "SEQ_CLS"}"#;
    folder(&[
        ("runs/first/model/config.json", "{}"),
        ("runs/first/model/codex_ml.json", base),
        ("runs/tuned/model/adapter_config.json", named),
        ("runs/tuned/model/tokenizer.json", "{}"),
        ("runs/tuned/model/codex_ml.json", tuned),
        (
            "peft/adapter_config.json",
            r#"{"base_model_name_or_path": "runs/first", "task_type": "CAUSAL_LM"}"#,
        ),
        (
            "lost/adapter_config.json",
            r#"{"base_model_name_or_path": "someone/some-model"}"#,
        ),
        (
            "silent/adapter_config.json",
            r#"{"base_model_name_or_path": null}"#,
        ),
        (
            "nested/adapter_config.json",
            r#"{"base_model_name_or_path": "runs/tuned/model"}"#,
        ),
        (
            "both/adapter_config.json",
            r#"{"base_model_name_or_path": "nowhere"}"#,
        ),
        ("both/config.json", "{}"),
    ])
}

#[test]
fn an_adapter_is_opened_with_the_model_that_it_is_for() {
    let root = project();
    let first = root.path().join("runs/first/model");
    // The name is relative, and this process stands elsewhere.
    for name in ["runs/tuned/model", "runs/tuned"] {
        let opened = ModelFolder::open(&root.path().join(name)).unwrap();
        assert_eq!(opened.path(), root.path().join("runs/tuned/model"));
        assert_eq!(
            opened.base.canonicalize().unwrap(),
            first.canonicalize().unwrap()
        );
        assert_eq!(
            (opened.model_name(), opened.tokenizer_name()),
            ("mine", "bytes")
        );
        assert_eq!(opened.tokenizer().0, opened.path());
        assert_eq!(
            (opened.seed(), opened.data().unwrap()["name"].as_str()),
            (2, Some("files"))
        );
        assert_eq!(opened.task().unwrap(), Task::Classification);
        let settings = opened.task_settings(Task::Classification).unwrap();
        assert_eq!(settings.classes.names(), ["no", "yes"]);
        assert!(opened.is_export());
    }
    // One of PEFT's says less: the rest is its model's.
    let opened = ModelFolder::open(&root.path().join("peft")).unwrap();
    assert_eq!((opened.model_name(), opened.seed()), ("mine", 1));
    assert_eq!(
        opened.tokenizer().0.canonicalize().unwrap(),
        first.canonicalize().unwrap()
    );
    assert_eq!(opened.task().unwrap(), Task::CausalLm);
    // What lies beside a model does not change it.
    let opened = ModelFolder::open(&root.path().join("both")).unwrap();
    assert_eq!(opened.adapters().count(), 0);
}

#[test]
fn adapters_come_onto_a_model_with_their_weights() {
    let root = project();
    let path = |name: &str| root.path().join(name);
    let weights =
        |folder: &ModelFolder| -> Vec<f32> { folder.adapters.iter().map(|it| it.weight).collect() };
    for (model, adapters, given, expected) in [
        (
            "runs/first",
            &["peft", "runs/tuned"][..],
            &[][..],
            &[1.0, 1.0][..],
        ),
        ("runs/first", &["peft", "runs/tuned"], &[0.5], &[0.5, 0.5]),
        (
            "runs/first",
            &["peft", "runs/tuned"],
            &[0.5, -2.0],
            &[0.5, -2.0],
        ),
        ("runs/tuned", &["peft"], &[0.5], &[1.0, 0.5]),
        ("runs/tuned", &[], &[0.25], &[0.25]),
        ("runs/first", &[], &[], &[]),
    ] {
        let adapters: Vec<PathBuf> = adapters.iter().map(|name| path(name)).collect();
        let opened = ModelFolder::open_with(&path(model), &adapters, given).unwrap();
        assert_eq!(weights(&opened), expected, "{model} {adapters:?}");
    }
    // Another task's adapter is judged on its own data, one of the same task on the model's.
    let opened = ModelFolder::open_with(&path("runs/first"), &[path("runs/tuned")], &[]).unwrap();
    assert_eq!(
        (opened.task().unwrap(), opened.seed()),
        (Task::Classification, 2)
    );
    let opened = ModelFolder::open_with(&path("runs/first"), &[path("peft")], &[]).unwrap();
    assert_eq!((opened.task().unwrap(), opened.seed()), (Task::CausalLm, 1));

    for (model, adapters, given, kind, message) in [
        (
            "runs/first",
            &[][..],
            &[0.5][..],
            ErrorKind::Config,
            "--adapter-weight is given, and there is no adapter",
        ),
        (
            "runs/first",
            &["peft"],
            &[1.0, 2.0],
            ErrorKind::Config,
            "there are 2 weights for 1 adapters",
        ),
        (
            "runs/first",
            &["peft"],
            &[f32::NAN],
            ErrorKind::Config,
            "--adapter-weight is NaN",
        ),
        (
            "runs/first",
            &["peft", "peft"],
            &[],
            ErrorKind::Config,
            "is given twice",
        ),
        (
            "runs/first",
            &["runs/first/model"],
            &[],
            ErrorKind::Data,
            "is no adapter's folder",
        ),
        (
            "runs/first",
            &["nowhere"],
            &[],
            ErrorKind::Data,
            "there is no adapter folder",
        ),
    ] {
        let adapters: Vec<PathBuf> = adapters.iter().map(|name| path(name)).collect();
        let error = ModelFolder::open_with(&path(model), &adapters, given).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(message), "{error} lacks {message}");
        assert!(error.hint_text().is_some(), "{error}");
    }
}

#[test]
fn an_adapter_whose_model_is_not_there_names_both() {
    let root = project();
    for (name, words, hint) in [
        (
            "lost",
            "is for the model someone/some-model, which is not there",
            "--model DIR --adapter",
        ),
        (
            "silent",
            "does not say which model it is for",
            "--model DIR --adapter",
        ),
        ("nested", "which is an adapter itself", "merge"),
    ] {
        let path = root.path().join(name);
        let error = ModelFolder::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains(words), "{error} lacks {words}");
        assert!(error.message().contains(path.to_str().unwrap()), "{error}");
        assert!(
            error.hint_text().unwrap().contains(hint),
            "{:?}",
            error.hint_text()
        );
    }
    let error = refuse_adapter(&root.path().join("runs/tuned/model")).unwrap_err();
    assert!(error.hint_text().unwrap().contains("runs/first/model"));
    refuse_adapter(&root.path().join("runs/first/model")).unwrap();
    refuse_adapter(&root.path().join("nowhere")).unwrap();
}
