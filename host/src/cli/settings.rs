//! `key=value` on the command lines of `evaluate`, `tokenizer` and `data`: what overrides a dataset's and a metric's keys.

use codex_plugin_api::{Error, Result};
use serde_json::{Map, Value};

use crate::config::parse_value;
use crate::data::DataSource;

/// One `key=value`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    /// What stands before the first `=`.
    pub(super) key: String,
    /// What stands behind it, read as YAML; text where it is none.
    pub(super) value: Value,
}

impl Setting {
    /// Splits and reads.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for a word without `=`.
    pub(super) fn parse(word: &str) -> Result<Self> {
        match word.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: parse_value(value),
            }),
            _ => Err(Error::config(format!("{word:?} is not a setting"))
                .hint("settings are written key=value, for example data.text_column=body")),
        }
    }

    /// All of them.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(super) fn parse_all(words: &[String]) -> Result<Vec<Self>> {
        words.iter().map(|word| Self::parse(word)).collect()
    }

    /// The key behind `data.`.
    pub(super) fn data_key(&self) -> Option<&str> {
        self.key.strip_prefix("data.")
    }

    /// The error for a key that the command does not know.
    pub(super) fn unknown(&self, known: &str) -> Error {
        Error::config(format!("there is no setting {:?} here", self.key))
            .hint(format!("what can be set is {known}"))
    }
}

/// A component's name and keys.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    /// The component's name.
    pub(super) name: String,
    /// Its own keys.
    pub(super) options: Map<String, Value>,
}

impl Named {
    /// A component without keys.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            options: Map::new(),
        }
    }

    /// A name, or a map with a `name`.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for anything else.
    pub(super) fn from_value(value: &Value) -> Result<Self> {
        let named = match value {
            Value::String(name) => Some(Self::new(name)),
            Value::Object(map) => map.get("name").and_then(Value::as_str).map(|name| {
                let mut options = map.clone();
                options.shift_remove("name");
                Self {
                    name: name.to_owned(),
                    options,
                }
            }),
            _ => None,
        };
        named.ok_or_else(|| {
            Error::config(format!(
                "{value} is neither a metric's name nor a map with a name"
            ))
            .hint("write metrics=[lm] or metrics=[{name: lm, top_k: 5}]")
        })
    }
}

/// The metrics to compute: those asked for by name, else `usual`, else `otherwise`, with `metrics=…` and `metrics.NAME.KEY=…` applied.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] naming a setting for a metric that is not computed.
pub(super) fn metrics(
    asked: &[String],
    usual: &[Value],
    otherwise: &str,
    settings: &[Setting],
) -> Result<Vec<Named>> {
    let usual: Vec<Named> = usual.iter().map(Named::from_value).collect::<Result<_>>()?;
    let mut metrics = if asked.is_empty() {
        usual
    } else {
        // A metric that the run had too keeps the run's keys.
        let known = |name: &String| usual.iter().find(|metric| metric.name == *name).cloned();
        asked
            .iter()
            .map(|name| known(name).unwrap_or_else(|| Named::new(name)))
            .collect()
    };
    if metrics.is_empty() {
        metrics.push(Named::new(otherwise));
    }
    for setting in settings {
        if setting.key == "metrics" {
            let list = match &setting.value {
                Value::Array(list) => list.as_slice(),
                one => std::slice::from_ref(one),
            };
            metrics = list.iter().map(Named::from_value).collect::<Result<_>>()?;
        } else if let Some(path) = setting.key.strip_prefix("metrics.") {
            let (name, key) = path
                .split_once('.')
                .ok_or_else(|| setting.unknown("metrics.NAME.KEY"))?;
            let metric = metrics.iter_mut().find(|metric| metric.name == name);
            let metric = metric.ok_or_else(|| {
                Error::config(format!(
                    "{} is set, but metric {name} is not computed",
                    setting.key
                ))
                .hint(format!("add --metric {name}"))
            })?;
            metric.options.insert(key.to_owned(), setting.value.clone());
        }
    }
    Ok(metrics)
}

/// Applies `data.KEY=…`.
///
/// # Errors
/// As [`DataSource::set`].
pub(super) fn apply_data(source: &mut DataSource, settings: &[Setting]) -> Result<()> {
    for setting in settings {
        if let Some(key) = setting.data_key() {
            source.set(key, setting.value.clone())?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_yaml_and_the_rest_is_text() {
        for (word, key, value) in [
            ("a=1", "a", json!(1)),
            ("a.b=0.5", "a.b", json!(0.5)),
            ("a=true", "a", json!(true)),
            ("a=x=y", "a", json!("x=y")),
            ("a=", "a", json!("")),
            ("a=[lm, x]", "a", json!(["lm", "x"])),
            ("a=C:\\x", "a", json!("C:\\x")),
            ("a=b: c: d", "a", json!("b: c: d")),
            ("a=[", "a", json!("[")),
        ] {
            let setting = Setting::parse(word).unwrap();
            assert_eq!(
                (setting.key.as_str(), &setting.value),
                (key, &value),
                "{word}"
            );
        }
        for word in ["a", "=1", ""] {
            assert!(Setting::parse(word).is_err(), "{word}");
        }
    }

    #[test]
    fn metrics_come_from_the_line_then_the_run_then_the_usual() {
        let usual = [json!({"name": "lm", "top_k": 3}), json!("other")];
        let check = |asked: &[&str], usual: &[Value], words: &[&str], expected: Value| {
            let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
            let settings: Vec<Setting> = words
                .iter()
                .map(|word| Setting::parse(word).unwrap())
                .collect();
            let found: Vec<Value> = metrics(&asked, usual, "lm", &settings)
                .unwrap()
                .into_iter()
                .map(|metric| json!([metric.name, metric.options]))
                .collect();
            assert_eq!(Value::Array(found), expected);
        };
        check(&[], &[], &[], json!([["lm", {}]]));
        check(
            &[],
            &usual,
            &[],
            json!([["lm", {"top_k": 3}], ["other", {}]]),
        );
        check(
            &["lm", "new"],
            &usual,
            &[],
            json!([["lm", {"top_k": 3}], ["new", {}]]),
        );
        check(
            &["lm"],
            &usual,
            &["metrics.lm.top_k=9"],
            json!([["lm", {"top_k": 9}]]),
        );
        check(
            &[],
            &usual,
            &["metrics=[a, {name: b, k: 1}]"],
            json!([["a", {}], ["b", {"k": 1}]]),
        );
        let stray = [Setting::parse("metrics.x.k=1").unwrap()];
        assert!(
            metrics(&[], &usual, "lm", &stray)
                .unwrap_err()
                .hint_text()
                .unwrap()
                .contains("--metric x")
        );
    }
}
