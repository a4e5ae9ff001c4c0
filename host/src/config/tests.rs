//! What a configuration becomes, from command line and files.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;

use super::*;

fn with(overrides: &[&str]) -> Result<Resolved> {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    resolve(None, &overrides)
}

fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.yaml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn no_arguments_give_the_embedded_default() {
    let resolved = with(&[]).unwrap();
    assert_eq!(resolved.config.data.name, "grammar");
    assert_eq!(resolved.config.model.plugin["architecture"], "llama");
    assert_eq!(
        resolved.config.metrics.as_deref(),
        Some(&[Component::new("lm")][..])
    );
    assert_eq!(resolved.config.trackers, [Component::new("files")]);
    assert!(resolved.config.training.steps.is_some());
    let origin = resolved.origin("model.hidden_size").to_string();
    assert!(
        origin.contains("model/minilm-tiny") && origin.ends_with(":4"),
        "{origin}"
    );
    assert_eq!(*resolved.origin("seed"), Origin::Default);
}

#[test]
fn a_path_stands_for_what_a_ready_made_run_proposes() {
    let overrides = ["data.path=a.csv".to_owned(), "model.path=m".to_owned()];
    let resolved = resolve(Some(Path::new("embedding")), &overrides).unwrap();
    let config = &resolved.config;
    assert_eq!(config.data.name, "files");
    assert_eq!(
        Value::Object(config.data.plugin.clone()),
        json!({"path": "a.csv"})
    );
    assert_eq!(
        Value::Object(config.tokenizer.plugin.clone()),
        json!({"path": "m"})
    );
    assert_eq!(config.training.task, Task::Embedding);
    // What a file of one's own picks is meant.
    let (_folder, path) = file("defaults:\n  - data: grammar-pairs\n");
    let resolved = resolve(Some(&path), &overrides[..1]).unwrap();
    assert_eq!(resolved.config.data.name, "grammar");
}

#[test]
fn the_usual_metric_is_the_tasks() {
    for (task, metric) in [
        ("causal-lm", "lm"),
        ("masked-lm", "lm"),
        ("embedding", "retrieval"),
        ("classification", "classification"),
        ("regression", "regression"),
    ] {
        let resolved = with(&[&format!("training.task={task}")]).unwrap();
        assert_eq!(resolved.config.training.task.word(), task);
        assert_eq!(resolved.values()["metrics"], json!([metric]));
        assert_eq!(resolved.origin("metrics").to_string(), "from training.task");
    }
    let own = with(&["training.task=embedding", "metrics=[]"]).unwrap();
    assert_eq!(own.values()["metrics"], json!([]));
}

#[test]
fn every_ready_made_run_resolves() {
    for listed in list() {
        assert!(!listed.description.is_empty(), "{listed:?}");
        let resolved = match &listed.group {
            None => resolve(Some(Path::new(&listed.name)), &[]),
            Some(group) => resolve(None, &[format!("{group}={}", listed.name)]),
        };
        resolved.unwrap_or_else(|error| panic!("{listed:?}: {error}"));
    }
}

#[test]
fn later_layers_win_and_origins_tell_which() {
    let (_folder, path) = file(
        "defaults:\n  - model: minilm-small\nseed: 3\ntraining:\n  learning_rate: 0.5\n  batch_size: 4\n",
    );
    let overrides = [
        "training.batch_size=2".to_owned(),
        "model.layers=1".to_owned(),
    ];
    let resolved = resolve(Some(&path), &overrides).unwrap();
    assert_eq!(resolved.config.seed, 3);
    assert_eq!(resolved.config.training.batch_size, 2);
    assert_eq!(resolved.config.model.plugin["hidden_size"], 256);
    assert_eq!(resolved.config.model.plugin["layers"], 1);
    let origin = |path: &str| resolved.origin(path).to_string();
    assert_eq!(origin("training.batch_size"), "command line");
    assert!(origin("training.learning_rate").ends_with("run.yaml:5"));
    assert!(origin("model.hidden_size").contains("model/minilm-small"));
    assert!(resolved.to_yaml().contains("# command line"));
}

#[test]
fn groups_beside_the_run_file_hide_built_in_ones() {
    let (folder, path) = file("defaults:\n  - model: minilm-small\n");
    fs::create_dir(folder.path().join("model")).unwrap();
    let group = folder.path().join("model/minilm-small.yaml");
    fs::write(&group, "# mine\nname: mine\nwidth: 7\n").unwrap();
    let resolved = resolve(Some(&path), &[]).unwrap();
    assert_eq!(resolved.config.model.name, "mine");
    assert_eq!(
        resolved.origin("model.width").to_string(),
        format!("{}:3", group.display())
    );
    assert!(!resolved.config.model.plugin.contains_key("hidden_size"));
}

#[test]
fn an_adapter_is_chosen_by_its_name_alone_and_takes_keys_beside_it() {
    for overrides in [
        &["adapter=lora", "adapter.rank=8"][..],
        &["adapter.rank=8", "adapter=lora"],
        &["adapter={name: lora, rank: 8}"],
    ] {
        let adapter = with(overrides).unwrap().config.adapter.unwrap();
        assert_eq!(adapter.name, "lora", "{overrides:?}");
        assert_eq!(Value::Object(adapter.plugin), json!({"rank": 8}));
    }
    let (_folder, path) = file("adapter: {name: lora, rank: 8}\n");
    let other = resolve(Some(&path), &["adapter=dora".into()]).unwrap();
    assert_eq!(other.config.adapter, Some(Component::new("dora")));
    let same = resolve(Some(&path), &["adapter=lora".into()]).unwrap();
    assert_eq!(same.config.adapter.unwrap().plugin["rank"], 8);
    let none = resolve(Some(&path), &["adapter=null".into()]).unwrap();
    assert_eq!(none.config.adapter, None);
    let (_folder, path) = file("adapter: lora\n");
    let named = resolve(Some(&path), &["adapter.alpha=2".into()]).unwrap();
    assert_eq!(named.config.adapter.unwrap().plugin["alpha"], 2);

    let error = with(&["adapter.rank=8"]).unwrap_err();
    assert!(
        error
            .message()
            .contains("no adapter is chosen (command line)"),
        "{error}"
    );
    assert!(error.hint_text().unwrap().contains("adapter=lora"));
    // What a run folder keeps is what it began with.
    let stored = with(&["adapter=lora", "adapter.rank=8"]).unwrap();
    let (_folder, path) = file(&stored.to_yaml());
    let again = resolve_stored(&path, &[]).unwrap();
    assert!(stored.differences(&again).is_empty());
    assert_eq!(stored.hash(), again.hash());
}

#[test]
fn a_path_or_another_name_starts_a_section_anew() {
    let resolved = with(&["data.path=MY.txt"]).unwrap();
    assert_eq!(resolved.config.data.name, "files");
    assert_eq!(resolved.config.data.plugin["path"], "MY.txt");
    assert_eq!(resolved.origin("data.name").to_string(), "from data.path");

    let named = with(&["data.path=MY.txt", "data.name=mine"]).unwrap();
    assert_eq!(named.config.data.name, "mine");
    let (_folder, path) = file("data:\n  name: mine\n  rows: 7\n");
    let named = resolve(Some(&path), &["data.path=x".into()]).unwrap();
    assert_eq!(named.config.data.name, "mine");

    let other = with(&["model.name=ngram"]).unwrap();
    assert_eq!(other.config.model.plugin, Map::new());

    let loaded = with(&["model.path=gpt2"]).unwrap();
    assert_eq!(json!(loaded.config.model.plugin), json!({"path": "gpt2"}));
    assert_eq!(
        json!(loaded.config.tokenizer.plugin),
        json!({"path": "gpt2"})
    );
    let own = with(&["model.path=gpt2", "tokenizer.path=mine"]).unwrap();
    assert_eq!(json!(own.config.tokenizer.plugin), json!({"path": "mine"}));
}

#[test]
fn steps_and_epochs_put_each_other_out() {
    let resolved = with(&["training.epochs=0.5"]).unwrap();
    assert_eq!(
        (
            resolved.config.training.steps,
            resolved.config.training.epochs
        ),
        (None, Some(0.5))
    );
    let error = with(&["training.epochs=1", "training.steps=5"]).unwrap_err();
    assert!(error.message().contains("both"), "{error}");
    let error = with(&["training.steps=null"]).unwrap_err();
    assert!(error.message().contains("neither"), "{error}");
}

#[test]
fn mistakes_name_key_value_origin_and_mend() {
    for (overrides, message, hint) in [
        (
            &["training.steps=abc"][..],
            "training.steps must be an integer, not \"abc\" (command line)",
            "",
        ),
        (
            &["training.stepps=3"],
            "unknown key training.stepps (command line)",
            "training.steps?",
        ),
        (
            &["traning.steps=3"],
            "unknown key traning (command line)",
            "did you mean training?",
        ),
        (
            &["training.batch_size=0"],
            "training.batch_size must be at least 1, not 0 (command line)",
            "",
        ),
        (
            &["training.schedule=cosin"],
            "training.schedule must be one of constant, ",
            "training.schedule=cosine?",
        ),
        (
            &["training.early_stopping.patienc=1"],
            "unknown key training.early_stopping.patienc (command line)",
            "patience?",
        ),
        (
            &["training=7"],
            "training must be a table, not 7 (command line)",
            "",
        ),
        (
            &["model=minilm-huge"],
            "there is no model group file called \"minilm-huge\"",
            "config list",
        ),
        (
            &["data=../secret"],
            "\"../secret\" is not a name of a data group file",
            "letters",
        ),
        (&["training"], "\"training\" is not a setting", "key=value"),
        (
            &["training..steps=1"],
            "\"training..steps\" is not a key",
            "words between points",
        ),
        (&["=1"], "\"\" is not a key", "words"),
        (
            &["training.betas=[0.9, 1.0]"],
            "training.betas is [0.9,1.0], but both",
            "usual",
        ),
        (
            &["training.task=sing"],
            "training.task must be one of causal-lm, masked-lm, embedding,",
            "config schema",
        ),
        (
            &["training.masking.random_fraction=0.5"],
            "training.masking.random_fraction is 0.5, which is more than",
            "0.8 and 0.1",
        ),
        (
            &["training.task=masked-lm", "training.masking.probability=0"],
            "training.masking.probability is 0",
            "0.15",
        ),
        (
            &[
                "training.early_stopping.patience=2",
                "training.evaluate_every=null",
            ],
            "training.evaluate_every is null, but",
            "evaluate_every=100",
        ),
        (
            &["run.name=../x"],
            "run.name is \"../x\", which cannot",
            "run.dir",
        ),
        (&["metrics=[{n: 1}]"], "metrics", ""),
        (
            &["seed=-1"],
            "seed must be at least 0, not -1 (command line)",
            "",
        ),
    ] {
        let error = with(overrides).unwrap_err();
        assert!(
            error.message().starts_with(message),
            "{overrides:?}: {error}"
        );
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(
            error.hint_text().unwrap_or_default().contains(hint),
            "{overrides:?}: {:?}",
            error.hint_text()
        );
    }
}

#[test]
fn mistakes_in_files_name_file_and_line() {
    for (text, message) in [
        ("training:\n  steps: soon\n", "run.yaml:2)"),
        ("# x\nmodle:\n  name: x\n", "unknown key modle"),
        (
            "defaults:\n  - modell: minilm-small\n",
            "there is no group `modell` (",
        ),
        ("defaults: minilm-small\n", "is not a list of picks"),
        ("- a\n- b\n", "is not a map of keys"),
        (
            "training: {steps: 1, epochs: 1}\n",
            "both `training.steps` (1)",
        ),
    ] {
        let (_folder, path) = file(text);
        let error = resolve(Some(&path), &[]).unwrap_err();
        assert!(error.message().contains(message), "{text}: {error}");
    }
    let error = resolve(Some(Path::new("missing/run.yaml")), &[]).unwrap_err();
    assert!(error.message().contains("missing/run.yaml"), "{error}");
    let error = resolve(Some(Path::new("defaultt")), &[]).unwrap_err();
    assert!(
        error.hint_text().unwrap().contains("did you mean default?"),
        "{error}"
    );
}

#[test]
fn what_a_run_stores_reads_back_the_same() {
    let overrides = [
        "run.name=x",
        "training.learning_rate=3.3e-4",
        "training.epochs=2",
        "training.early_stopping.patience=2",
        "metrics=[lm, {name: rouge, n: 2}]",
        "data.path=a b/č.txt",
        "model.dropout=0.1",
    ];
    let resolved = with(&overrides).unwrap();
    let (_folder, path) = file(&resolved.to_yaml());
    let stored = resolve_stored(&path, &[]).unwrap();
    assert_eq!(resolved.differences(&stored), Vec::<String>::new());
    assert_eq!(resolved.hash(), stored.hash());
    let changed =
        resolve_stored(&path, &["training.epochs=3".into(), "run.name=y".into()]).unwrap();
    assert_eq!(
        stored.differences(&changed),
        ["training.epochs was 2, now 3"]
    );
    assert_ne!(stored.hash(), changed.hash());
}

#[test]
fn plugin_keys_are_checked_with_their_origin() {
    let schema = json!({"type": "object", "properties": {"rows": {"type": "integer", "default": 5}}, "additionalProperties": false});
    let check = |overrides: &[&str]| {
        let resolved = with(overrides).unwrap();
        let config = Value::Object(resolved.config.data.plugin.clone());
        resolved.check_plugin("data", &schema, &config)
    };
    assert_eq!(check(&[]).unwrap(), json!({"rows": 5}));
    let error = check(&["data.rows=x"]).unwrap_err();
    assert_eq!(
        error.message(),
        "data.rows must be an integer, not \"x\" (command line)"
    );
    let error = check(&["data.row=1"]).unwrap_err();
    assert_eq!(error.message(), "unknown key data.row (command line)");
    assert_eq!(error.hint_text(), Some("did you mean data.rows?"));
}

#[test]
fn the_merged_schema_accepts_what_resolves_and_refuses_the_rest() {
    let plugin = json!({
        "type": "object", "additionalProperties": false,
        "properties": {"style": {"$ref": "#/$defs/Style"}},
        "$defs": {"Style": {"enum": ["plain", "formal"]}}
    });
    let published = |kind, name: &str, schema: &Value| Published {
        kind,
        name: name.into(),
        schema: schema.clone(),
    };
    use codex_plugin_api::Kind;
    let schema = merged_schema(&[
        published(Kind::Dataset, "grammar", &plugin),
        published(
            Kind::Metric,
            "lm",
            &json!({"type": "object", "additionalProperties": false}),
        ),
    ]);
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (value, valid) in [
        (
            json!({"data": {"name": "grammar", "style": "formal", "validation_fraction": 0.1}}),
            true,
        ),
        (json!({"data": {"name": "grammar", "style": "odd"}}), false),
        (json!({"data": {"name": "grammar", "rows": 1}}), false),
        (json!({"metrics": ["lm", {"name": "lm"}]}), true),
        (json!({"metrics": ["ml"]}), false),
        (json!({"model": {"anything": 1}}), true),
    ] {
        assert_eq!(validator.is_valid(&value), valid, "{value}");
    }
}
