//! The configuration of a run: YAML groups, run files and overrides become one checked tree in which every value knows
//! where it came from. What a plugin's keys mean is the plugin's affair; which plugin there is, the registry's.

mod embedded;
mod groups;
mod keys;
mod layers;
mod origin;
mod reference;
mod schema;
mod sweep;
mod tree;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use codex_plugin_api::{Context, Error, ErrorKind, Result};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use groups::Listed;
pub use keys::{
    ColumnNames, Component, DataSection, EarlyStopping, Masking, ModelSection, RunConfig,
    RunSection, ScheduleName, ScheduleOptions, TokenizerSection, TrainingSection,
};
pub use origin::Origin;
pub use reference::reference;
pub use schema::{Published, host_schema, merged_schema};
pub use sweep::expand;
pub(crate) use yaml::parse_value;

use crate::data::hex;
use crate::plugins::schema::ConfigSchema;
use crate::task::Task;

/// Keys that may differ when a run is continued: they say where it is, not what it does.
const PLACE_KEYS: [&str; 2] = ["run.name", "run.dir"];

/// Stands before a path that [`ConfigSchema`] writes, so that it can be found in the message again.
const MARK: &str = "\u{1}";

/// A checked configuration with the origin of every value.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The host's keys, typed.
    pub config: RunConfig,
    tree: tree::Tree,
}

/// Resolves a configuration: the default run, the run file (a path or the name of a ready-made run), then `key=value`.
///
/// # Errors
/// [`ErrorKind::Config`] naming file and line, or key, value and origin.
pub fn resolve(file: Option<&Path>, overrides: &[String]) -> Result<Resolved> {
    Resolved::new(layers::fold(file, overrides)?)
}

/// The configuration that a run folder holds, with overrides on top.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_stored(config: &Path, overrides: &[String]) -> Result<Resolved> {
    Resolved::new(layers::fold_stored(config, overrides)?)
}

/// Every group file and ready-made run that can be picked from here.
pub fn list() -> Vec<Listed> {
    groups::Library::new(None).list()
}

impl Resolved {
    fn new(mut tree: tree::Tree) -> Result<Self> {
        if tree.get("adapter").is_some() && tree.get("adapter.name").is_none() {
            return Err(Error::config(format!(
                "keys of an adapter are set, but no adapter is chosen ({})",
                tree.origin("adapter")
            ))
            .hint("choose one by its name, for example adapter=lora"));
        }
        let schema = ConfigSchema::new(host_schema())?;
        let checked = schema
            .check(&Value::Object(tree.values.clone()), MARK)
            .map_err(|error| with_origin(&error, &tree))?;
        if let Value::Object(values) = checked {
            tree.values = values;
        }
        if tree.get("metrics").is_none() {
            let task = tree.get("training.task").cloned().unwrap_or_default();
            let task: Task = serde_json::from_value(task).unwrap_or_default();
            let usual = Value::from(vec![task.usual_metric()]);
            let origin = Origin::Derived("training.task");
            tree.set(&["metrics".to_owned()], usual, origin);
        }
        let config: RunConfig = serde_json::from_value(Value::Object(tree.values.clone()))
            .or_error(|| Error::config("the configuration does not fit"))?;
        let resolved = Self { config, tree };
        resolved.check_sense()?;
        Ok(resolved)
    }

    /// What a schema cannot say.
    fn check_sense(&self) -> Result<()> {
        let training = &self.config.training;
        let wrong = |path: &str, why: &str, hint: &str| {
            let value = self.tree.get(path).unwrap_or(&Value::Null);
            Err(Error::config(format!(
                "{path} is {value}, {why} ({})",
                self.tree.origin(path)
            ))
            .hint(hint))
        };
        if training.steps.is_none() && training.epochs.is_none() {
            return Err(
                Error::config("neither training.steps nor training.epochs is set")
                    .hint("say how long to train, for example training.steps=1000"),
            );
        }
        let (beta1, beta2) = training.betas;
        if !(0.0..1.0).contains(&beta1) || !(0.0..1.0).contains(&beta2) {
            return wrong(
                "training.betas",
                "but both must be at least 0 and below 1",
                "the usual ones are [0.9, 0.999]",
            );
        }
        let masking = training.masking;
        if masking.mask_fraction + masking.random_fraction > 1.0 {
            return wrong(
                "training.masking.random_fraction",
                "which is more than training.masking.mask_fraction leaves of 1",
                "the usual fractions are 0.8 and 0.1",
            );
        }
        if training.task == Task::MaskedLm && masking.probability == 0.0 {
            return wrong(
                "training.masking.probability",
                "so there would be nothing to predict",
                "the usual probability is 0.15",
            );
        }
        if training.early_stopping.is_some() && training.evaluate_every.is_none() {
            return wrong(
                "training.evaluate_every",
                "but training.early_stopping needs evaluations",
                "set training.evaluate_every=100",
            );
        }
        if training.early_stopping.is_some() && self.config.data.validation_fraction == 0.0 {
            return wrong(
                "data.validation_fraction",
                "but training.early_stopping needs held-out documents",
                "set data.validation_fraction=0.05",
            );
        }
        if let Some(name) = &self.config.run.name
            && (name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', ':', '\0']))
        {
            return wrong(
                "run.name",
                "which cannot be a folder's name",
                "use letters, digits, `-`, `_` and `.`, and set run.dir for the place",
            );
        }
        Ok(())
    }

    /// The whole tree.
    pub fn values(&self) -> &Map<String, Value> {
        &self.tree.values
    }

    /// Where the value at a dotted path came from.
    pub fn origin(&self, path: &str) -> &Origin {
        self.tree.origin(path)
    }

    /// Every value with its origin, by dotted path.
    pub fn origins(&self) -> BTreeMap<String, (Value, String)> {
        let mut leaves = BTreeMap::new();
        tree::leaves(&self.tree.values, "", &mut leaves);
        leaves
            .into_iter()
            .map(|(path, value)| {
                let origin = self.origin(&path).to_string();
                (path, (value, origin))
            })
            .collect()
    }

    /// The tree as YAML, each value followed by its origin.
    pub fn to_yaml(&self) -> String {
        yaml::write(&self.tree.values, &|path| {
            Some(self.origin(path).to_string())
        })
    }

    /// The tree as [`Self::to_yaml`] writes it, but with the values as `clean` gives them back, and the dotted paths of
    /// those that it changed.
    pub fn to_yaml_with(&self, clean: impl FnOnce(&Value) -> Value) -> (String, Vec<String>) {
        let values = match clean(&Value::Object(self.tree.values.clone())) {
            Value::Object(values) => values,
            other => Map::from_iter([("withheld".to_owned(), other)]),
        };
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        tree::leaves(&self.tree.values, "", &mut before);
        tree::leaves(&values, "", &mut after);
        before.retain(|path, value| after.get(path) != Some(value));
        let yaml = yaml::write(&values, &|path| Some(self.origin(path).to_string()));
        (yaml, before.into_keys().collect())
    }

    /// This configuration with the values that another one has at these dotted paths.
    ///
    /// # Errors
    /// As [`resolve`].
    pub fn with_values_of(&self, other: &Self, paths: &[String]) -> Result<Self> {
        let mut tree = self.tree.clone();
        for path in paths {
            if let Some(value) = other.tree.get(path) {
                let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
                tree.set(&parts, value.clone(), other.origin(path).clone());
            }
        }
        Self::new(tree)
    }

    /// SHA-256 of what decides the run: all keys but its name and place.
    pub fn hash(&self) -> String {
        let mut leaves = BTreeMap::new();
        tree::leaves(&self.tree.values, "", &mut leaves);
        leaves.retain(|path, _| !PLACE_KEYS.contains(&path.as_str()));
        let mut sha = Sha256::new();
        for (path, value) in &leaves {
            sha.update(format!("{path}={value}\n"));
        }
        hex(&sha.finalize())
    }

    /// The keys in which two configurations differ, with both values: `key: old, now new`.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        tree::leaves(&self.tree.values, "", &mut before);
        tree::leaves(&now.tree.values, "", &mut after);
        let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let show =
            |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
        paths
            .into_iter()
            .filter(|path| !PLACE_KEYS.contains(&path.as_str()))
            .filter(|path| {
                // A key that is absent and one that is null say the same.
                before.get(*path).filter(|value| !value.is_null())
                    != after.get(*path).filter(|value| !value.is_null())
            })
            .map(|path| {
                format!(
                    "{path} was {}, now {}",
                    show(before.get(path)),
                    show(after.get(path))
                )
            })
            .collect()
    }

    /// Checks a plugin's part of the section at `path` against the schema it publishes, and fills in its defaults.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming key, value and origin; [`ErrorKind::Plugin`] when the schema is none.
    pub fn check_plugin(&self, path: &str, schema: &Value, config: &Value) -> Result<Value> {
        ConfigSchema::new(schema.clone())?
            .check(config, &format!("{MARK}.{path}"))
            .map_err(|error| with_origin(&error, &self.tree))
    }
}

/// Replaces the mark before paths, and says behind the message where the value was set.
fn with_origin(error: &Error, tree: &tree::Tree) -> Error {
    let clean = |text: &str| {
        text.replace(&format!("{MARK}."), "")
            .replace(MARK, "the configuration")
    };
    let path: Option<String> = error
        .message()
        .split_once(MARK)
        .map(|(_, rest)| rest.trim_start_matches('.'))
        .and_then(|rest| rest.split([' ', ',', '=']).next())
        .map(str::to_owned);
    let message = clean(error.message());
    let message = match path.as_deref().map(|path| tree.origin(path)) {
        Some(origin) if *origin != Origin::Default => format!("{message} ({origin})"),
        _ => message,
    };
    let found = Error::new(error.kind(), message);
    match error.hint_text() {
        Some(hint) if error.kind() == ErrorKind::Config => found.hint(clean(hint)),
        Some(hint) => found.hint(hint),
        None => found,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
