//! From YAML to a document, with complaints that name the key, the value and what would be right.

use codex_plugin_api::{Error, Result};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Document, Policy};

/// Reads what was checked.
pub(super) fn read(text: &str, name: &str) -> Result<Document> {
    parse(text, name)
}

/// Holds a policy against the schema.
pub(super) fn check(text: &str, name: &str) -> Result<()> {
    let policy: Value = parse(text, name)?;
    let (schema, validator) = schema()?;
    let errors: Vec<_> = validator.iter_errors(&policy).collect();
    match errors.first() {
        Some(error) => Err(complaint(error, &schema, name)),
        None => Ok(()),
    }
}

fn schema() -> Result<(Value, Validator)> {
    let broken = || Error::failed("the schema of policies is broken");
    let schema: Value =
        serde_json::from_str(Policy::SCHEMA).map_err(|error| broken().because(&error))?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| broken().because(&error))?;
    Ok((schema, validator))
}

/// YAML 1.2: `on` and `off` are text.
fn parse<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error
            .location()
            .map_or_else(String::new, |place| format!(" line {}", place.line()));
        let told = error.to_string();
        let told = told.lines().next().unwrap_or_default();
        Error::config(format!("{name}{line} is not a policy: {told}"))
            .hint("a policy is a YAML map that begins with `version: 1`")
    })
}

fn complaint(error: &ValidationError<'_>, schema: &Value, name: &str) -> Error {
    let place = place(error, name);
    let found = error.instance();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let example = if key == "version" { "1" } else { "…" };
            Error::config(format!("{} is missing", under(&place, name, key)))
                .hint(format!("write {key}: {example}"))
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let key = unexpected.first().map_or("", String::as_str);
            let error_of_key = Error::config(format!("unknown key {}", under(&place, name, key)));
            let known = keys(schema, error.instance_path().as_str());
            error_of_key.hint(match nearest(key, &known) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the keys here are {}", known.join(", ")),
            })
        }
        ValidationErrorKind::Enum { options } => {
            let words: Vec<&str> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let list = words.join(", ");
            let error = Error::config(format!("{place} must be one of {list}, not {found}"));
            match found.as_str().and_then(|word| nearest(word, &words)) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint(format!("write one of {list}")),
            }
        }
        ValidationErrorKind::Constant { expected_value } => {
            Error::config(format!("{place} must be {expected_value}, not {found}"))
                .hint("this release reads version 1 alone")
        }
        ValidationErrorKind::AnyOf { .. } => {
            Error::config(format!("{place} allows everything")).hint(
                "say what may pass: literals, regexes, stop_words or paths; an action line with `action: allow` allows \
                 a whole entity",
            )
        }
        _ => Error::config(format!("{place} does not fit: {error}"))
            .hint("docs/redaction.md says what each key may be"),
    }
}

/// `policy.yaml: actions.0.action`.
fn place(error: &ValidationError<'_>, name: &str) -> String {
    let pointer = error.instance_path().as_str();
    let keys: Vec<&str> = pointer.split('/').skip(1).collect();
    if keys.is_empty() {
        return name.to_owned();
    }
    format!("{name}: {}", keys.join("."))
}

fn under(place: &str, name: &str, key: &str) -> String {
    if place == name {
        format!("{name}: {key}")
    } else {
        format!("{place}.{key}")
    }
}

/// The keys that the schema has at a place of a policy.
fn keys<'a>(schema: &'a Value, pointer: &str) -> Vec<&'a str> {
    let mut at = schema;
    for part in pointer.split('/').skip(1) {
        at = if part.bytes().all(|byte| byte.is_ascii_digit()) {
            &at["items"]
        } else {
            &at["properties"][part]
        };
    }
    at["properties"]
        .as_object()
        .map(|known| known.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (*candidate, strsim::jaro_winkler(word, candidate)))
        .filter(|(_, likeness)| *likeness >= 0.8)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(candidate, _)| candidate)
}
