//! Which dataset: a plugin's name with its keys, from a config's `data` section or from what stands after `--data`.

use std::path::Path;

use codex_plugin_api::{Dataset, Error, Kind, Result};
use serde_json::{Map, Value};

use super::corpus::Corpus;
use super::documents::Documents;
use crate::app::App;
use crate::config::{ColumnNames, DataSection};
use crate::sanitize;
use crate::task::Task;

/// The dataset plugin that reads the user's own files.
const FILES: &str = "files";

/// A dataset that can be opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataSource {
    /// The dataset plugin.
    pub name: String,
    /// The columns that were asked for.
    pub columns: ColumnNames,
    /// Which part training held out for validation, where a config says so.
    pub validation_fraction: Option<f64>,
    /// The plugin's own keys.
    pub options: Map<String, Value>,
}

impl DataSource {
    /// What `--data` means: an existing file or folder, or something that is written like a path, is read by the
    /// `files` dataset; any other word is a dataset's name.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when a path does not exist.
    pub fn from_argument(argument: &str) -> Result<Self> {
        let path = Path::new(argument);
        let like_a_path = path.is_file() || argument.contains(['/', '\\', '.']);
        if !like_a_path {
            return Ok(Self {
                name: argument.to_owned(),
                ..Self::default()
            });
        }
        if !path.exists() {
            return Err(
                Error::data(format!("there is no file or folder {argument}")).hint(
                    "give a file, a folder (./NAME), or the name of a dataset from `codex-ml plugin list`",
                ),
            );
        }
        let mut source = Self {
            name: FILES.to_owned(),
            ..Self::default()
        };
        source.options.insert("path".into(), argument.into());
        Ok(source)
    }

    /// What a config's `data` section means.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when a key of the host's has the wrong type.
    pub fn from_section(section: &Map<String, Value>) -> Result<Self> {
        let mut source = Self::default();
        for (key, value) in section {
            source.set(key, value.clone())?;
        }
        source.or_files()
    }

    /// A source with a path but no name reads files.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when there is neither.
    pub fn or_files(mut self) -> Result<Self> {
        if self.name.is_empty() {
            if !self.options.contains_key("path") {
                return Err(Error::config("data.name is missing")
                    .hint("set data.name to a dataset, or data.path to a file"));
            }
            FILES.clone_into(&mut self.name);
        }
        Ok(self)
    }

    /// Sets one key, as `data.KEY=VALUE` does.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when a key of the host's has the wrong type.
    pub fn set(&mut self, key: &str, value: Value) -> Result<()> {
        let wrong = |expected: &str, value: &Value| {
            Err(Error::config(format!(
                "data.{key} is {value}, expected {expected}"
            )))
        };
        match (key, value) {
            ("name", Value::String(name)) => self.name = name,
            ("name", value) => return wrong("a dataset's name", &value),
            (key, value) if DataSection::COLUMNS.contains(&key) => {
                let column = match value {
                    Value::String(column) => Some(column),
                    Value::Null => None,
                    value => return wrong("a column's name", &value),
                };
                let slot = match key {
                    "text_column" => &mut self.columns.text,
                    "text_pair_column" => &mut self.columns.text_pair,
                    "anchor_column" => &mut self.columns.anchor,
                    "positive_column" => &mut self.columns.positive,
                    "negative_column" => &mut self.columns.negative,
                    _ => &mut self.columns.label,
                };
                *slot = column;
            }
            ("validation_fraction", Value::Number(number)) => {
                self.validation_fraction = number.as_f64();
            }
            ("validation_fraction", Value::Null) => self.validation_fraction = None,
            ("validation_fraction", value) => return wrong("a number", &value),
            (key, value) => {
                self.options.insert(key.to_owned(), value);
            }
        }
        Ok(())
    }

    fn open_dataset(&self, app: &App) -> Result<Box<dyn Dataset>> {
        let registry = app.registry()?;
        let mut options = self.options.clone();
        // A dataset that chooses its columns itself (a table's) must know which one is the text.
        if let Some(column) = &self.columns.text {
            let schema = registry.schema(Kind::Dataset, &self.name)?;
            if schema.pointer("/properties/text_column").is_some() {
                options.insert("text_column".into(), column.clone().into());
            }
        }
        registry.create_dataset(&self.name, &Value::Object(options))
    }

    /// Creates the dataset, with texts that the sanitizers cleaned.
    ///
    /// # Errors
    /// The registry's and the plugin's.
    pub fn open_clean(&self, app: &App) -> Result<Box<dyn Dataset>> {
        let (dataset, _) = sanitize::clean_dataset(self.open_dataset(app)?, &app.sanitizers()?)?;
        Ok(dataset)
    }

    /// Opens all documents, cleaned by the sanitizers.
    ///
    /// # Errors
    /// As [`Self::open_clean`] and [`Documents::open`].
    pub fn open(&self, app: &App) -> Result<Documents> {
        Documents::open(self.open_clean(app)?, self.columns.text.as_deref())
    }

    /// Opens all documents with their texts as they are, for a caller that cleans them as something else than data.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as_given(&self, app: &App) -> Result<Documents> {
        Documents::open(self.open_dataset(app)?, self.columns.text.as_deref())
    }

    /// Opens all that a task learns from, cleaned by the sanitizers.
    ///
    /// # Errors
    /// As [`Self::open_clean`] and [`Corpus::open`].
    pub fn open_corpus(&self, task: Task, app: &App) -> Result<Corpus> {
        Corpus::open(self.open_clean(app)?, task, &self.columns)
    }

    /// What it is called in messages: the path, or the dataset's name.
    pub fn label(&self) -> String {
        match self.options.get("path") {
            Some(Value::String(path)) => path.clone(),
            _ => self.name.clone(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_datasets_and_paths_are_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "hello").unwrap();
        let source = DataSource::from_argument(file.to_str().unwrap()).unwrap();
        assert_eq!(
            (source.name.as_str(), source.label()),
            ("files", file.to_str().unwrap().to_owned())
        );
        assert_eq!(
            DataSource::from_argument("grammar").unwrap().name,
            "grammar"
        );
        let error = DataSource::from_argument("no-such.txt").unwrap_err();
        assert!(error.message().contains("no-such.txt"), "{error}");
    }

    #[test]
    fn sections_keep_the_plugins_keys_apart() {
        let section = json!({"path": "a.csv", "text_column": "body", "validation_fraction": 0.1, "delimiter": ";"});
        let source = DataSource::from_section(section.as_object().unwrap()).unwrap();
        assert_eq!(source.name, "files");
        assert_eq!(source.columns.text.as_deref(), Some("body"));
        assert_eq!(source.validation_fraction, Some(0.1));
        let section = json!({"path": "a.csv", "anchor_column": "q", "label_column": null});
        let pairs = DataSource::from_section(section.as_object().unwrap()).unwrap();
        assert_eq!(pairs.columns.anchor.as_deref(), Some("q"));
        assert_eq!(pairs.options.len(), 1);
        assert_eq!(
            Value::Object(source.options),
            json!({"path": "a.csv", "delimiter": ";"})
        );
        let bad = json!({"name": "files", "text_column": 3});
        let error = DataSource::from_section(bad.as_object().unwrap()).unwrap_err();
        assert_eq!(
            error.message(),
            "data.text_column is 3, expected a column's name"
        );
    }
}
