//! Asks the plugins for what a folder holds: the model with its adapters, and the tokenizer.

use std::path::Path;

use codex_plugin_api::{Error, Kind, Model, Result, Tokenizer};
use serde_json::{Map, Value, json};

use super::{ModelFolder, adapters};
use crate::app::App;
use crate::task::Task;

impl ModelFolder {
    /// Loads the model, with its adapters.
    ///
    /// # Errors
    /// The registry's and the plugin's; [`codex_plugin_api::ErrorKind::Data`] for an adapter that does not fit the model.
    pub fn load_model(&self, app: &App) -> Result<Box<dyn Model>> {
        self.load_model_with(&Map::new(), app)
    }

    /// Loads the model with some of its own keys set, such as `device` and `precision`.
    ///
    /// # Errors
    /// As [`Self::load_model`], and [`codex_plugin_api::ErrorKind::Config`] for a key that the model does not have.
    pub fn load_model_with(&self, keys: &Map<String, Value>, app: &App) -> Result<Box<dyn Model>> {
        let task = self.adapted_task();
        self.create(keys.clone(), task, app)
    }

    /// Loads the model for a task: one whose plugin takes a `task` gets the parts that the task needs.
    ///
    /// # Errors
    /// As [`Self::load_model`].
    pub fn load_model_for(&self, task: Task, app: &App) -> Result<Box<dyn Model>> {
        self.create(Map::new(), Some(task), app)
    }

    fn create(
        &self,
        mut config: Map<String, Value>,
        task: Option<Task>,
        app: &App,
    ) -> Result<Box<dyn Model>> {
        let (registry, name) = (app.registry()?, self.model_name());
        let schema = registry.schema(Kind::Model, name)?;
        let mut offer = |key: &str, value: Value| {
            let known = schema.pointer(&format!("/properties/{key}")).is_some();
            if known && !config.contains_key(key) {
                config.insert(key.to_owned(), value);
            }
        };
        if let Some(task) = task {
            offer("task", json!(task));
        }
        // The base of an adapter does not say how its run had it built.
        let adapted = self.adapters.iter().find_map(|it| it.folder.note.as_ref());
        if let Some(note) = adapted {
            for (key, value) in &note.model.options {
                offer(key, value.clone());
            }
            match (task, &note.classes) {
                (Some(Task::Classification), Some(names)) => {
                    offer("labels", json!(names.len()));
                    offer("label_names", json!(names));
                }
                (Some(Task::Regression), _) => offer("labels", json!(1)),
                _ => {}
            }
        }
        config.insert("path".into(), text(&self.base)?.into());
        let mut model = registry.create_model(name, &Value::Object(config))?;
        adapters::load(&self.adapters, name, model.as_mut())?;
        Ok(model)
    }

    /// Loads the tokenizer.
    ///
    /// # Errors
    /// The registry's and the plugin's.
    pub fn load_tokenizer(&self, app: &App) -> Result<Box<dyn Tokenizer>> {
        let registry = app.registry()?;
        let (path, note) = self.tokenizer();
        let name = self.tokenizer_name();
        let config = match note {
            Some(note) if !opens_folders(registry.schema(Kind::Tokenizer, name)?) => {
                Value::Object(note.tokenizer.options.clone())
            }
            _ => json!({"path": text(path)?}),
        };
        registry.create_tokenizer(name, &config)
    }
}

/// A path as plugins take it.
pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::config(format!(
            "the path {} is not UTF-8, which plugins cannot take",
            path.display()
        ))
        .hint("rename the folder")
    })
}

/// Whether a tokenizer with this schema takes the folder that it saved.
pub(crate) fn opens_folders(schema: &Value) -> bool {
    schema.pointer("/properties/path").is_some()
        || schema.get("additionalProperties") != Some(&Value::Bool(false))
}
