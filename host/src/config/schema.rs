//! The configuration as JSON Schema: the host's keys, and with the installed plugins' sections merged in.

use codex_plugin_api::Kind;
use serde_json::{Map, Value, json};

use super::keys::RunConfig;

/// A component's published schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// What it is.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
    /// The JSON Schema of its configuration.
    pub schema: Value,
}

/// The host's own keys; the sections of plugins are open.
pub fn host_schema() -> Value {
    schemars::schema_for!(RunConfig).to_value()
}

/// The host's keys with the keys of the given plugins: editors complete from it.
pub fn merged_schema(published: &[Published]) -> Value {
    let mut schema = host_schema();
    let mut definitions = match schema.get_mut("$defs").map(Value::take) {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    for (kind, definition) in [
        (Kind::Dataset, "DataSection"),
        (Kind::Tokenizer, "TokenizerSection"),
        (Kind::Model, "ModelSection"),
    ] {
        let Some(section) = definitions.get(definition).cloned() else {
            continue;
        };
        let variants: Vec<Value> = of(published, kind)
            .map(|component| variant(component, &section, &mut definitions))
            .collect();
        if !variants.is_empty() {
            let description = section.get("description").cloned();
            definitions.insert(
                definition.to_owned(),
                json!({"description": description, "anyOf": variants}),
            );
        }
    }
    for (kind, key) in [
        (Kind::Adapter, "adapter"),
        (Kind::Sanitizer, "sanitizers"),
        (Kind::Metric, "metrics"),
        (Kind::Tracker, "trackers"),
    ] {
        let mut variants = Vec::new();
        for component in of(published, kind) {
            variants.push(json!({"const": component.name}));
            let named = json!({"properties": {"name": {"type": "string"}}});
            let mut object = variant(component, &named, &mut definitions);
            object["required"] = json!(["name"]);
            variants.push(object);
        }
        if variants.is_empty() {
            continue;
        }
        if kind == Kind::Adapter {
            variants.push(json!({"type": "null"}));
            schema["properties"][key]["anyOf"] = Value::Array(variants);
        } else {
            schema["properties"][key]["items"] = json!({"anyOf": variants});
        }
    }
    schema["$defs"] = Value::Object(definitions);
    schema
}

fn of(published: &[Published], kind: Kind) -> impl Iterator<Item = &Published> {
    published
        .iter()
        .filter(move |component| component.kind == kind)
}

/// A section as it is when `name` is this component: the host's keys beside the plugin's.
fn variant(component: &Published, section: &Value, definitions: &mut Map<String, Value>) -> Value {
    let space = format!("{}-{}-", component.kind, component.name);
    let mut schema = component.schema.clone();
    rename_references(&mut schema, &space);
    if let Some(Value::Object(inner)) = schema.get_mut("$defs").map(Value::take) {
        for (name, definition) in inner {
            definitions.insert(format!("{space}{name}"), definition);
        }
    }
    let mut properties = match section.get("properties") {
        Some(Value::Object(properties)) => properties.clone(),
        _ => Map::new(),
    };
    if let Some(Value::Object(own)) = schema.get_mut("properties").map(Value::take) {
        for (key, property) in own {
            properties.entry(key).or_insert(property);
        }
    }
    properties["name"]["const"] = component.name.clone().into();
    let mut variant = json!({
        "title": component.name,
        "type": "object",
        "properties": properties,
        "additionalProperties": schema.get("additionalProperties").cloned().unwrap_or(Value::Bool(true)),
    });
    for key in ["description", "required"] {
        if let Some(value) = schema.get(key) {
            variant[key] = value.clone();
        }
    }
    variant
}

fn rename_references(schema: &mut Value, space: &str) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        *reference = reference.replace("#/$defs/", &format!("#/$defs/{space}"));
                    }
                    value => rename_references(value, space),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                rename_references(item, space);
            }
        }
        _ => {}
    }
}
