//! The labels of a sequence classifier in `config.json`: `id2label`, `label2id`, `problem_type`.

use codex_plugin_api::Result;
use serde_json::{Map, Value, json};

use super::reader::Reader;
use crate::config::task::{HeadConfig, Task, default_label};

/// The names of a folder's labels, in order; `None` when it names none.
pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Vec<String>>> {
    let Some(value) = reader.get("id2label") else {
        // Only a number, in folders written by hand.
        let count = reader.optional_size("num_labels")?;
        return Ok(count.map(|count| (0..count).map(default_label).collect()));
    };
    let wrong = || reader.wrong("id2label", value, "a name for each number from 0");
    let names = value.as_object().ok_or_else(wrong)?;
    (0..names.len())
        .map(|index| {
            names
                .get(&index.to_string())
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(wrong)
        })
        .collect::<Result<_>>()
        .map(Some)
}

/// Sets the keys of the labels, if the head has any.
pub(super) fn write(head: &HeadConfig, set: &mut dyn FnMut(&str, Value)) {
    if head.labels.is_empty() {
        return;
    }
    let by_number: Map<String, Value> = head
        .labels
        .iter()
        .enumerate()
        .map(|(index, name)| (index.to_string(), json!(name)))
        .collect();
    let by_name: Map<String, Value> = head
        .labels
        .iter()
        .enumerate()
        .map(|(index, name)| (name.clone(), json!(index)))
        .collect();
    set("id2label", Value::Object(by_number));
    set("label2id", Value::Object(by_name));
    let problem = if head.task == Task::Regression {
        "regression"
    } else {
        "single_label_classification"
    };
    set("problem_type", json!(problem));
}
