//! Validation errors in a user's words: `model.layers must be at least 1, not 0`.

use codex_plugin_api::Error;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use crate::plugins::nearest::nearest;

/// The error for a key that the schema does not have.
pub(super) fn unknown_key<'a>(
    path: &str,
    key: &str,
    known: impl Iterator<Item = &'a String>,
) -> Error {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let error = Error::config(format!("unknown key {path}.{key}"));
    match nearest(key, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {path}.{near}?")),
        None if known.is_empty() => error.hint(format!("{path} takes no keys")),
        None => error.hint(format!("the keys of {path} are {}", known.join(", "))),
    }
}

/// The error for what a schema found wrong. Several findings are told one at a time, the first in the document first.
pub(super) fn of(errors: &[ValidationError<'_>], path: &str) -> Error {
    let error = errors.first().map_or_else(
        || Error::config(format!("{path} does not fit its schema")),
        |error| one(error, path),
    );
    if error.hint_text().is_some() {
        return error;
    }
    error.hint("codex-ml config schema shows what every key may be")
}

fn one(error: &ValidationError<'_>, path: &str) -> Error {
    let place = place(error, path);
    let found = short(error.instance());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            Error::config(format!("{place}.{key} is missing"))
                .hint(format!("set it: {place}.{key}=…"))
        }
        ValidationErrorKind::Type { kind } => {
            let wanted: Vec<&str> = match kind {
                TypeKind::Single(kind) => vec![words(*kind)],
                // "or nothing" says little to who wrote something.
                TypeKind::Multiple(kinds) => kinds
                    .iter()
                    .filter(|kind| *kind != JsonType::Null)
                    .map(words)
                    .collect(),
            };
            Error::config(format!(
                "{place} must be {}, not {found}",
                wanted.join(" or ")
            ))
        }
        ValidationErrorKind::Enum { options } => choice(
            &place,
            error.instance(),
            options.as_array().map(Vec::as_slice).unwrap_or_default(),
        ),
        ValidationErrorKind::Constant { expected_value } => choice(
            &place,
            error.instance(),
            std::slice::from_ref(expected_value),
        ),
        ValidationErrorKind::Minimum { limit } => {
            Error::config(format!("{place} must be at least {limit}, not {found}"))
        }
        ValidationErrorKind::Maximum { limit } => {
            Error::config(format!("{place} must be at most {limit}, not {found}"))
        }
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            Error::config(format!("{place} must be greater than {limit}, not {found}"))
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            Error::config(format!("{place} must be less than {limit}, not {found}"))
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unknown_key(
            &place,
            unexpected.first().map_or("", String::as_str),
            [].iter(),
        ),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            branches(error, context, &place, path)
        }
        _ => Error::config(format!("{place} does not fit: {error}")),
    }
}

/// No branch fits: when all are values, list them; otherwise speak for the branch that the user most likely meant.
fn branches(
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
    place: &str,
    path: &str,
) -> Error {
    let mut values = Vec::new();
    let mut real: Vec<&Vec<ValidationError<'static>>> = Vec::new();
    for branch in context {
        match branch
            .first()
            .map(|error| (error.kind(), error.instance_path().as_str()))
        {
            Some((
                ValidationErrorKind::Type {
                    kind: TypeKind::Single(JsonType::Null),
                },
                _,
            )) => continue,
            Some((ValidationErrorKind::Constant { expected_value }, at))
                if at == error.instance_path().as_str() =>
            {
                values.push((**expected_value).clone());
            }
            Some((ValidationErrorKind::Enum { options }, at))
                if at == error.instance_path().as_str() =>
            {
                values.extend(options.as_array().cloned().unwrap_or_default());
            }
            _ => {}
        }
        real.push(branch);
    }
    if !values.is_empty() {
        return choice(place, error.instance(), &values);
    }
    // A tag that differs says that this branch was not meant; an error deep inside says that it was.
    let likely = real.into_iter().min_by_key(|branch| {
        let other_tag = branch
            .iter()
            .any(|error| matches!(error.kind(), ValidationErrorKind::Constant { .. }));
        let depth = branch
            .iter()
            .map(|error| error.instance_path().as_str().len())
            .max()
            .unwrap_or(0);
        (other_tag, std::cmp::Reverse(depth))
    });
    match likely.and_then(|branch| branch.first()) {
        Some(inner) => one(inner, path),
        None => Error::config(format!("{place} does not fit: {}", short(error.instance()))),
    }
}

fn choice(place: &str, found: &Value, options: &[Value]) -> Error {
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let names: Vec<String> = options
        .iter()
        .filter(|option| !option.is_null())
        .map(plain)
        .collect();
    let error = Error::config(format!(
        "{place} must be one of {}, not {}",
        names.join(", "),
        short(found)
    ));
    match found
        .as_str()
        .and_then(|word| nearest(word, names.iter().map(String::as_str)))
    {
        Some(near) => error.hint(format!("did you mean {place}={near}?")),
        None => error,
    }
}

fn place(error: &ValidationError<'_>, path: &str) -> String {
    let pointer = error.instance_path().as_str();
    let mut place = path.to_owned();
    for part in pointer.split('/').skip(1) {
        place.push('.');
        place.push_str(&part.replace("~1", "/").replace("~0", "~"));
    }
    place
}

fn words(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "an integer",
        JsonType::Null => "nothing",
        JsonType::Number => "a number",
        JsonType::Object => "a table",
        JsonType::String => "text",
    }
}

/// A value as an error shows it: JSON, cut where it is long.
pub(super) fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
