//! A component's configuration against the JSON Schema that its plugin publishes: defaults are filled in, and what is
//! wrong is named by its path, with the nearest right key or value. Where the schema comes from is the registry's affair.

mod complaint;

use codex_plugin_api::{Error, ErrorKind, Result};
use jsonschema::Validator;
use serde_json::{Map, Value};

/// A published schema, ready to check with.
#[derive(Debug)]
pub struct ConfigSchema {
    schema: Value,
    validator: Validator,
}

impl ConfigSchema {
    /// Compiles a schema. References to other documents are not followed.
    ///
    /// # Errors
    /// [`ErrorKind::Plugin`] when it is no JSON Schema.
    pub fn new(schema: Value) -> Result<Self> {
        let validator = jsonschema::validator_for(&schema).map_err(|error| {
            Error::new(
                ErrorKind::Plugin,
                format!("the published schema is no JSON Schema: {error}"),
            )
        })?;
        Ok(Self { schema, validator })
    }

    /// The schema as the plugin published it.
    pub fn as_value(&self) -> &Value {
        &self.schema
    }

    /// Checks a configuration and fills in the defaults; null stands for an empty one. `path` is what keys are
    /// written after (`model` gives `model.hidden_size`).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the first key that is wrong.
    pub fn check(&self, config: &Value, path: &str) -> Result<Value> {
        let mut config = match config {
            Value::Null => Value::Object(Map::new()),
            given => given.clone(),
        };
        if !config.is_object() {
            return Err(Error::config(format!(
                "{path} must be a table, not {}",
                complaint::short(&config)
            )));
        }
        refuse_unknown_keys(&config, &self.schema, &self.schema, path)?;
        fill(&mut config, &self.schema, &self.schema);
        if self.validator.is_valid(&config) {
            return Ok(config);
        }
        let errors: Vec<_> = self.validator.iter_errors(&config).collect();
        Err(complaint::of(&errors, path))
    }
}

/// Follows `$ref` within the document. Schemas come from strangers, so a circle must end.
fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut at = schema;
    for _ in 0..16 {
        let Some(target) = at.get("$ref").and_then(Value::as_str) else {
            break;
        };
        let Some(next) = target
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
        else {
            break;
        };
        at = next;
    }
    at
}

/// The schema that describes a value when it is not null: `Option<T>` is published as "T or null".
fn unwrap_option<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let schema = resolve(schema, root);
    for key in ["anyOf", "oneOf"] {
        if let Some(branches) = schema.get(key).and_then(Value::as_array) {
            let mut real = branches
                .iter()
                .filter(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
            if let (Some(only), None) = (real.next(), real.next()) {
                return resolve(only, root);
            }
        }
    }
    schema
}

/// A key that nobody reads is a mistake even where the plugin's schema would let it pass.
fn refuse_unknown_keys(value: &Value, schema: &Value, root: &Value, path: &str) -> Result<()> {
    let schema = unwrap_option(schema, root);
    match value {
        Value::Object(entries) => {
            let none = Map::new();
            let properties = match schema.get("properties").and_then(Value::as_object) {
                Some(properties) => properties,
                // A component without configuration.
                None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => &none,
                None => return Ok(()),
            };
            let open = |key: &str| {
                schema
                    .get(key)
                    .is_some_and(|allowed| *allowed != Value::Bool(false))
            };
            let closed = ![
                "additionalProperties",
                "patternProperties",
                "unevaluatedProperties",
                "allOf",
                "anyOf",
                "oneOf",
            ]
            .into_iter()
            .any(open);
            for (key, value) in entries {
                match properties.get(key) {
                    Some(schema) => {
                        refuse_unknown_keys(value, schema, root, &format!("{path}.{key}"))?;
                    }
                    None if closed => {
                        return Err(complaint::unknown_key(path, key, properties.keys()));
                    }
                    None => {}
                }
            }
            Ok(())
        }
        Value::Array(values) => {
            let Some(items) = schema.get("items") else {
                return Ok(());
            };
            values.iter().enumerate().try_for_each(|(index, value)| {
                refuse_unknown_keys(value, items, root, &format!("{path}.{index}"))
            })
        }
        _ => Ok(()),
    }
}

fn fill(value: &mut Value, schema: &Value, root: &Value) {
    let schema = unwrap_option(schema, root);
    match value {
        Value::Object(entries) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                return;
            };
            for (key, schema) in properties {
                let default = schema
                    .get("default")
                    .or_else(|| resolve(schema, root).get("default"));
                if let Some(default) = default
                    && !entries.contains_key(key)
                {
                    entries.insert(key.clone(), default.clone());
                }
                if let Some(value) = entries.get_mut(key) {
                    fill(value, schema, root);
                }
            }
        }
        Value::Array(values) => {
            if let Some(items) = schema.get("items") {
                for value in values {
                    fill(value, items, root);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
