//! Configurations against schemas as schemars writes them.
#![allow(clippy::unwrap_used, reason = "tests")]

use schemars::JsonSchema;
use serde_json::json;

use super::*;

/// How the width is given.
#[derive(JsonSchema, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code, reason = "only its schema is used")]
enum Schedule {
    /// Stays.
    Constant,
    /// Falls.
    Cosine,
}

#[derive(JsonSchema, serde::Serialize)]
#[serde(default)]
struct Warmup {
    steps: u32,
    fraction: Option<f64>,
}

impl Default for Warmup {
    fn default() -> Self {
        Self {
            steps: 10,
            fraction: None,
        }
    }
}

#[derive(JsonSchema, serde::Serialize)]
#[serde(default)]
struct Config {
    hidden_size: u32,
    #[schemars(range(min = 1, max = 96))]
    layers: u32,
    schedule: Schedule,
    warmup: Warmup,
    maybe: Option<Warmup>,
    tags: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hidden_size: 128,
            layers: 4,
            schedule: Schedule::Cosine,
            warmup: Warmup::default(),
            maybe: None,
            tags: Vec::new(),
        }
    }
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Needy {
    path: String,
}

fn schema() -> ConfigSchema {
    ConfigSchema::new(schemars::schema_for!(Config).to_value()).unwrap()
}

#[test]
fn defaults_are_filled_at_every_depth() {
    let filled = schema()
        .check(&json!({"warmup": {"steps": 3}, "maybe": {}}), "model")
        .unwrap();
    assert_eq!(
        filled,
        json!({"warmup": {"steps": 3, "fraction": null}, "maybe": {"steps": 10, "fraction": null},
               "hidden_size": 128, "layers": 4, "schedule": "cosine", "tags": []})
    );
    assert_eq!(schema().check(&Value::Null, "model").unwrap()["layers"], 4);
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    for (config, message, hint) in [
        (
            json!({"hiden_size": 1}),
            "unknown key model.hiden_size",
            "did you mean model.hidden_size?",
        ),
        (
            json!({"warmup": {"step": 1}}),
            "unknown key model.warmup.step",
            "did you mean model.warmup.steps?",
        ),
        (
            json!({"maybe": {"zzz": 1}}),
            "unknown key model.maybe.zzz",
            "the keys of model.maybe are",
        ),
        (
            json!({"hidden_size": "big"}),
            "model.hidden_size must be an integer, not \"big\"",
            "",
        ),
        (
            json!({"hidden_size": 1.5}),
            "model.hidden_size must be an integer, not 1.5",
            "",
        ),
        (
            json!({"hidden_size": -1}),
            "model.hidden_size must be at least 0, not -1",
            "",
        ),
        (
            json!({"layers": 97}),
            "model.layers must be at most 96, not 97",
            "",
        ),
        (
            json!({"schedule": "cosin"}),
            "model.schedule must be one of constant, cosine, not \"cosin\"",
            "cosine?",
        ),
        (
            json!({"maybe": {"steps": true}}),
            "model.maybe.steps must be an integer, not true",
            "",
        ),
        (
            json!({"maybe": 3}),
            "model.maybe must be a table, not 3",
            "",
        ),
        (
            json!({"tags": ["a", 7]}),
            "model.tags.1 must be text, not 7",
            "",
        ),
        (json!([1]), "model must be a table, not [1]", ""),
    ] {
        let error = schema().check(&config, "model").unwrap_err();
        assert_eq!(error.message(), message);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.hint_text().unwrap_or_default().contains(hint),
            "{error}: {:?}",
            error.hint_text()
        );
    }
    let needy = ConfigSchema::new(schemars::schema_for!(Needy).to_value()).unwrap();
    assert_eq!(
        needy.check(&json!({}), "data").unwrap_err().message(),
        "data.path is missing"
    );
}

#[test]
fn bad_schemas_end_and_are_refused() {
    assert_eq!(
        ConfigSchema::new(json!({"type": 3})).unwrap_err().kind(),
        ErrorKind::Plugin
    );
    let root = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
    resolve(&root, &root);
    assert!(ConfigSchema::new(json!({"$ref": "https://example.org/other.json"})).is_err());
}
