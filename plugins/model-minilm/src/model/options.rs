//! What a task's loss takes beyond the common training settings: `training.options` of a run.

use codex_nn::in_batch_negatives::Options;
use codex_plugin_api::{Error, Result};
use serde_json::{Map, Value};

use crate::config::task::Task;

const SCALE: &str = "scale";
const TEMPERATURE: &str = "temperature";
const DIMENSIONS: &str = "matryoshka_dimensions";
const WEIGHTS: &str = "matryoshka_weights";

/// The keys that a task knows.
fn known(task: Task) -> &'static [&'static str] {
    match task {
        Task::Embedding => &[SCALE, TEMPERATURE, DIMENSIONS, WEIGHTS],
        _ => &[],
    }
}

fn wrong(key: &str, value: &Value, expected: &str) -> Error {
    Error::config(format!(
        "training option {key} is {value}, expected {expected}"
    ))
    .hint("correct it in training.options")
}

fn positive(key: &str, value: &Value) -> Result<f32> {
    value
        .as_f64()
        .filter(|number| number.is_finite() && *number > 0.0)
        .map(|number| number as f32)
        .ok_or_else(|| wrong(key, value, "a number above 0"))
}

fn list<T>(
    key: &str,
    value: &Value,
    expected: &str,
    one: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>> {
    value
        .as_array()
        .and_then(|values| values.iter().map(one).collect())
        .ok_or_else(|| wrong(key, value, expected))
}

/// Reads the options of `task`, whose embeddings are `width` wide.
///
/// # Errors
/// When an option is not known, or does not fit.
pub(super) fn read(task: Task, extra: &Value, width: usize) -> Result<Options> {
    let empty = Map::new();
    let keys = match extra {
        Value::Null => &empty,
        Value::Object(keys) => keys,
        other => {
            return Err(Error::config(format!(
                "training options are {other}, expected an object"
            )));
        }
    };
    let known = known(task);
    if let Some(key) = keys.keys().find(|key| !known.contains(&key.as_str())) {
        let error = Error::config(format!("{} takes no option {key:?}", task.word()));
        return Err(if known.is_empty() {
            error.hint("it takes no options; leave training.options out")
        } else {
            error.hint(format!("its options are {}", known.join(", ")))
        });
    }
    let get = |key: &str| keys.get(key).filter(|value| !value.is_null());
    let mut options = Options::default();
    match (get(SCALE), get(TEMPERATURE)) {
        (Some(_), Some(_)) => {
            return Err(
                Error::config("training options scale and temperature are both set")
                    .hint("temperature is 1 / scale; set one of them"),
            );
        }
        (Some(scale), None) => options.scale = positive(SCALE, scale)?,
        (None, Some(temperature)) => options.scale = 1.0 / positive(TEMPERATURE, temperature)?,
        (None, None) => {}
    }
    if let Some(value) = get(DIMENSIONS) {
        let expected = format!("a list of widths from 1 to {width}, the width of an embedding");
        options.dimensions = list(DIMENSIONS, value, &expected, |one| {
            let columns = usize::try_from(one.as_u64()?).ok()?;
            (1..=width).contains(&columns).then_some(columns)
        })?;
    }
    if let Some(value) = get(WEIGHTS) {
        let count = options.dimensions.len();
        let expected = format!("{count} numbers above 0, one for each of {DIMENSIONS}");
        options.weights = list(WEIGHTS, value, &expected, |one| positive(WEIGHTS, one).ok())?;
        if options.weights.len() != count {
            return Err(wrong(WEIGHTS, value, &expected));
        }
    }
    Ok(options)
}
