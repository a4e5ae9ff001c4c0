//! Reading keys of a `config.json` so that what is wrong is named with its file, key and value.

use codex_plugin_api::{Error, Result};
use serde_json::{Map, Value, json};

/// Reads keys of one `config.json`, naming file and key in errors.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) keys: &'a Map<String, Value>,
}

impl Reader<'_> {
    pub(super) fn wrong(&self, key: &str, value: &Value, expected: &str) -> Error {
        Error::data(format!(
            "{}: {key} is {value}, expected {expected}",
            self.file
        ))
        .hint("correct the key, or load a folder that Transformers saved")
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(size @ 1..=0x7fff_ffff) => Ok(Some(size as usize)),
            _ => Err(self.wrong(key, value, "a whole number from 1 to 2147483647")),
        }
    }

    pub(super) fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?.ok_or_else(|| {
            Error::data(format!("{}: {key} is missing", self.file))
                .hint("load a folder that Transformers saved")
        })
    }

    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|number| number.is_finite() && *number >= 0.0)
                .ok_or_else(|| self.wrong(key, value, "a number that is not negative")),
        }
    }

    pub(super) fn probability(&self, key: &str, default: f64) -> Result<f32> {
        let number = self.number(key, default)?;
        if number < 1.0 {
            return Ok(number as f32);
        }
        Err(self.wrong(key, &json!(number), "a probability below 1"))
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.wrong(key, value, "true or false")),
        }
    }

    pub(super) fn word(&self, key: &str, default: &'static str) -> Result<&str> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::String(word)) => Ok(word),
            Some(value) => Err(self.wrong(key, value, "a string")),
        }
    }

    /// Refuses a choice that changes the numbers in a way that is not built.
    pub(super) fn refuse_unless(&self, key: &str, default: bool, needed: bool) -> Result<()> {
        if self.flag(key, default)? == needed {
            return Ok(());
        }
        Err(Error::data(format!(
            "{}: {key} is {}, which this plugin does not compute",
            self.file, !needed
        ))
        .hint(format!("only models with {key} = {needed} can be loaded")))
    }
}
