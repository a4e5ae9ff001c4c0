//! A model folder: our own export with `codex_ml.json`, or any Hugging Face folder of a layout that a model plugin reads.
//!
//! This file finds out which plugins open the folder and what its run was told; reading weights and vocabularies is
//! theirs. The export writes `codex_ml.json`; what is missing in it is no error.

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Kind, Model, Result, Tokenizer};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::config::Masking;
use crate::data::Classes;
use crate::evaluate::TaskSettings;
use crate::task::Task;

/// How many pairs compete with each other where nothing says otherwise.
const PAIRS: u32 = 32;

/// The note that an export carries.
pub(crate) const NOTE: &str = "codex_ml.json";

/// Opens folders that no note describes.
const MODEL: &str = "minilm";
const TOKENIZER: &str = "hf";

/// What one of these files promises: a tokenizer.
const TOKENIZER_FILES: [&str; 4] = [
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
];

/// What `codex_ml.json` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Note {
    model: Named,
    tokenizer: Named,
    data: Option<Map<String, Value>>,
    metrics: Vec<Value>,
    seed: u64,
    evaluation_tokens: Option<usize>,
    evaluate_documents: Option<u64>,
    task: Option<Task>,
    sequence_length: Option<u32>,
    batch_size: Option<u32>,
    masking: Option<Masking>,
    classes: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: Option<String>,
    options: Map<String, Value>,
}

/// A folder with a model, a tokenizer, or both.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    path: PathBuf,
    note: Option<Note>,
}

impl ModelFolder {
    /// A folder that holds a model. A run's folder stands for the `model` folder in it.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when there is no such folder, or no model in it.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self::open_any(path, "model")?;
        if folder.note.is_none() && !folder.path.join("config.json").is_file() {
            let error = Error::data(format!(
                "{} is no model folder: it has no config.json",
                path.display()
            ));
            return Err(if path.join("events.ndjson").is_file() {
                error.hint("this run has not exported its model yet: `codex-ml train --resume` continues it")
            } else {
                error.hint("give the folder that training exported (runs/NAME/model), or a Hugging Face model's")
            });
        }
        Ok(folder)
    }

    /// A folder that holds a tokenizer, or the `tokenizer.json` in it.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when there is no such folder, or no tokenizer in it.
    pub fn open_tokenizer_folder(path: &Path) -> Result<Self> {
        let parent = path.parent().unwrap_or(Path::new("."));
        let is_file = path.is_file()
            && path
                .file_name()
                .is_some_and(|name| name == "tokenizer.json");
        let path = if !is_file {
            path
        } else if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        let folder = Self::open_any(path, "tokenizer")?;
        if folder.note.is_none()
            && !TOKENIZER_FILES
                .iter()
                .any(|name| folder.path.join(name).is_file())
        {
            return Err(Error::data(format!(
                "{} holds no tokenizer: it has no tokenizer.json",
                path.display()
            ))
            .hint("`codex-ml tokenizer train --data FILE --output DIR` makes one"));
        }
        Ok(folder)
    }

    fn open_any(path: &Path, what: &str) -> Result<Self> {
        if !path.is_dir() {
            let error = if path.exists() {
                Error::data(format!("{} is a file, not a {what} folder", path.display()))
            } else {
                Error::data(format!("there is no {what} folder {}", path.display()))
            };
            return Err(error.hint(match what {
                "model" => "give the folder that training exported (runs/NAME/model), or a Hugging Face model's",
                _ => "give a folder with tokenizer.json, for example an exported model's",
            }));
        }
        let inner = path.join("model");
        let is_run = !path.join("config.json").is_file()
            && !path.join(NOTE).is_file()
            && inner.join(NOTE).is_file();
        let path = if is_run { inner } else { path.to_owned() };
        let file = path.join(NOTE);
        let note = if file.is_file() {
            Some(read_note(&file)?)
        } else {
            None
        };
        Ok(Self { path, note })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether codex-ml exported it.
    pub fn is_export(&self) -> bool {
        self.note.is_some()
    }

    /// The model plugin that opens it.
    pub fn model_name(&self) -> &str {
        self.note
            .as_ref()
            .and_then(|note| note.model.name.as_deref())
            .unwrap_or(MODEL)
    }

    /// The tokenizer plugin that opens it.
    pub fn tokenizer_name(&self) -> &str {
        self.note
            .as_ref()
            .and_then(|note| note.tokenizer.name.as_deref())
            .unwrap_or(TOKENIZER)
    }

    /// The `data` section of the run that made it.
    pub fn data(&self) -> Option<&Map<String, Value>> {
        self.note.as_ref().and_then(|note| note.data.as_ref())
    }

    /// The metrics of the run that made it: names, or maps with a name.
    pub fn metrics(&self) -> &[Value] {
        self.note.as_ref().map_or(&[], |note| &note.metrics)
    }

    /// The seed of the run that made it.
    pub fn seed(&self) -> u64 {
        self.note.as_ref().map_or(0, |note| note.seed)
    }

    /// How many held-out documents the run's evaluations looked at; all when absent.
    pub fn evaluate_documents(&self) -> Option<u64> {
        self.note.as_ref().and_then(|note| note.evaluate_documents)
    }

    /// How many tokens the run's evaluations gave the model at once: the same sums, to the last bit.
    pub fn evaluation_tokens(&self) -> Option<usize> {
        self.note.as_ref().and_then(|note| note.evaluation_tokens)
    }

    /// Loads the model.
    ///
    /// # Errors
    /// The registry's and the plugin's.
    pub fn load_model(&self, app: &App) -> Result<Box<dyn Model>> {
        self.load_model_with(&Map::new(), app)
    }

    /// Loads the model with some of its own keys set, such as `device` and `precision`.
    ///
    /// # Errors
    /// As [`Self::load_model`], and [`codex_plugin_api::ErrorKind::Config`] for a key that the model does not have.
    pub fn load_model_with(&self, keys: &Map<String, Value>, app: &App) -> Result<Box<dyn Model>> {
        let mut config = keys.clone();
        config.insert("path".into(), self.path_text()?.into());
        app.registry()?
            .create_model(self.model_name(), &Value::Object(config))
    }

    /// Loads the model for a task: one whose plugin takes a `task` gets the parts that the task needs.
    ///
    /// # Errors
    /// The registry's and the plugin's.
    pub fn load_model_for(&self, task: Task, app: &App) -> Result<Box<dyn Model>> {
        let registry = app.registry()?;
        let schema = registry.schema(Kind::Model, self.model_name())?;
        let mut config = json!({"path": self.path_text()?});
        if schema.pointer("/properties/task").is_some() {
            config["task"] = json!(task);
        }
        registry.create_model(self.model_name(), &config)
    }

    /// Loads the tokenizer.
    ///
    /// # Errors
    /// The registry's and the plugin's.
    pub fn load_tokenizer(&self, app: &App) -> Result<Box<dyn Tokenizer>> {
        let registry = app.registry()?;
        let name = self.tokenizer_name();
        let config = match &self.note {
            Some(note) if !opens_folders(registry.schema(Kind::Tokenizer, name)?) => {
                Value::Object(note.tokenizer.options.clone())
            }
            _ => json!({"path": self.path_text()?}),
        };
        registry.create_tokenizer(name, &config)
    }

    /// The task that the model was trained for: what its note says, else what the architecture in `config.json` is for.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when `config.json` is not JSON.
    pub fn task(&self) -> Result<Task> {
        if let Some(task) = self.note.as_ref().and_then(|note| note.task) {
            return Ok(task);
        }
        let file = self.path.join("config.json");
        if !file.is_file() {
            return Ok(Task::default());
        }
        let config = read_json(&file)?;
        let architecture = config.pointer("/architectures/0").and_then(Value::as_str);
        let task = Task::of_architecture(architecture.unwrap_or_default());
        let single = config["num_labels"] == 1
            || config["problem_type"] == "regression"
            || config["id2label"]
                .as_object()
                .is_some_and(|names| names.len() == 1);
        Ok(match task {
            Task::Classification if single => Task::Regression,
            task => task,
        })
    }

    /// How the model is judged on a task: as its run did, else with what is usual.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when `config.json` is not JSON or names no classes where there must be some.
    pub fn task_settings(&self, task: Task) -> Result<TaskSettings> {
        let note = self.note.clone().unwrap_or_default();
        let classes = match (task, note.classes) {
            (Task::Classification, Some(names)) => Classes::new(names),
            (Task::Classification, None) => class_names(&self.path)?.ok_or_else(|| {
                Error::data(format!(
                    "{} does not say which classes it tells apart",
                    self.path.join("config.json").display()
                ))
                .hint("a classifier has `id2label` there; train one with training.task=classification")
            })?,
            _ => Classes::default(),
        };
        Ok(TaskSettings {
            task,
            masking: note.masking.unwrap_or_default(),
            sequence_length: note.sequence_length,
            batch_size: note.batch_size.unwrap_or(PAIRS),
            classes,
        })
    }

    /// The tokens that end a text: the tokenizer's, and those that `generation_config.json` or `config.json` name.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when one of the files is not JSON.
    pub fn end_tokens(&self, tokenizer: &dyn Tokenizer) -> Result<Vec<u32>> {
        let mut tokens: Vec<u32> = tokenizer.vocabulary()?.special.eos.into_iter().collect();
        for name in ["generation_config.json", "config.json"] {
            let file = self.path.join(name);
            if !file.is_file() {
                continue;
            }
            let value = read_json(&file)?;
            let ids = match value.get("eos_token_id") {
                Some(Value::Array(ids)) => ids.as_slice(),
                Some(id) => std::slice::from_ref(id),
                None => &[],
            };
            tokens.extend(
                ids.iter()
                    .filter_map(Value::as_u64)
                    .filter_map(|id| u32::try_from(id).ok()),
            );
        }
        tokens.sort_unstable();
        tokens.dedup();
        Ok(tokens)
    }

    fn path_text(&self) -> Result<&str> {
        self.path.to_str().ok_or_else(|| {
            Error::config(format!(
                "the path {} is not UTF-8, which plugins cannot take",
                self.path.display()
            ))
            .hint("rename the folder")
        })
    }
}

/// The error for an id that the model does not have.
pub(crate) fn foreign_id(id: u32, vocab_size: u32) -> Error {
    Error::data(format!(
        "the tokenizer gave id {id}, and the model's vocabulary has {vocab_size} entries"
    ))
    .hint("the tokenizer does not belong to this model")
}

/// Whether a tokenizer with this schema takes the folder that it saved.
pub(crate) fn opens_folders(schema: &Value) -> bool {
    schema.pointer("/properties/path").is_some()
        || schema.get("additionalProperties") != Some(&Value::Bool(false))
}

/// The classes of the classifier in a folder, in the order of their numbers; `None` where it holds none.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] when `config.json` is not JSON.
pub(crate) fn class_names(folder: &Path) -> Result<Option<Classes>> {
    let file = folder.join("config.json");
    if !file.is_file() {
        return Ok(None);
    }
    let config = read_json(&file)?;
    let architecture = config.pointer("/architectures/0").and_then(Value::as_str);
    let is_classifier =
        architecture.is_some_and(|name| name.ends_with("ForSequenceClassification"));
    let names = config.get("id2label").and_then(Value::as_object);
    let Some(names) = names.filter(|names| is_classifier && names.len() > 1) else {
        return Ok(None);
    };
    let mut numbered: Vec<(u64, String)> = names
        .iter()
        .filter_map(|(number, name)| Some((number.parse().ok()?, name.as_str()?.to_owned())))
        .collect();
    numbered.sort_unstable();
    let names = numbered.into_iter().map(|(_, name)| name).collect();
    Ok(Some(Classes::new(names)))
}

fn read_json(file: &Path) -> Result<Value> {
    let text =
        fs::read(file).or_error(|| Error::data(format!("cannot read {}", file.display())))?;
    serde_json::from_slice(&text).or_error(|| {
        Error::data(format!("{} is not JSON", file.display()))
            .hint("copy the model folder again, or export it anew")
    })
}

fn read_note(file: &Path) -> Result<Note> {
    let value = read_json(file)?;
    serde_json::from_value(value).or_error(|| {
        Error::data(format!("{} does not describe a model", file.display())).hint(
            "export the model again, or delete this file to open the folder as Hugging Face's",
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::ErrorKind;

    use super::*;
    use crate::testing::ByteTokenizer;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[test]
    fn an_export_says_what_opens_it() {
        let note = r#"{"version": "0.1.0", "model": {"name": "ngram"}, "tokenizer": {"name": "bytes"},
            "data": {"name": "grammar", "validation_fraction": 0.1}, "metrics": ["lm", {"name": "x", "k": 1}], "seed": 7}"#;
        let root = folder(&[
            ("model/codex_ml.json", note),
            ("model/config.json", "{}"),
            ("events.ndjson", ""),
        ]);
        for path in [root.path().to_owned(), root.path().join("model")] {
            let opened = ModelFolder::open(&path).unwrap();
            assert_eq!(
                (opened.model_name(), opened.tokenizer_name(), opened.seed()),
                ("ngram", "bytes", 7)
            );
            assert_eq!(
                (opened.data().unwrap().len(), opened.metrics().len()),
                (2, 2)
            );
            assert!(opened.is_export());
            assert_eq!(opened.path(), root.path().join("model"));
        }
    }

    #[test]
    fn a_hugging_face_folder_is_opened_by_the_usual_plugins() {
        let root = folder(&[
            (
                "config.json",
                r#"{"model_type": "llama", "eos_token_id": 2}"#,
            ),
            ("generation_config.json", r#"{"eos_token_id": [3, 2]}"#),
            ("tokenizer.json", "{}"),
        ]);
        let opened = ModelFolder::open(root.path()).unwrap();
        assert_eq!(
            (opened.model_name(), opened.tokenizer_name()),
            ("minilm", "hf")
        );
        assert!(!opened.is_export());
        assert_eq!(opened.end_tokens(&ByteTokenizer).unwrap(), [2, 3, 256]);
        let tokenizer =
            ModelFolder::open_tokenizer_folder(&root.path().join("tokenizer.json")).unwrap();
        assert_eq!(tokenizer.path(), root.path());
    }

    #[test]
    fn what_is_no_model_folder_is_told_apart() {
        let root = folder(&[
            ("file", ""),
            ("empty/x", ""),
            ("run/events.ndjson", ""),
            ("broken/codex_ml.json", "{"),
            ("wrong/codex_ml.json", r#"{"model": 3}"#),
        ]);
        for (name, word) in [
            ("nowhere", "there is no model folder"),
            ("file", "is a file, not a model folder"),
            ("empty", "is no model folder: it has no config.json"),
            ("run", "is no model folder"),
            ("broken", "codex_ml.json is not JSON"),
            ("wrong", "codex_ml.json does not describe a model"),
        ] {
            let error = ModelFolder::open(&root.path().join(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.message().contains(word), "{error} lacks {word}");
        }
        let error = ModelFolder::open(&root.path().join("run")).unwrap_err();
        assert!(error.hint_text().unwrap().contains("--resume"));
        let error = ModelFolder::open_tokenizer_folder(&root.path().join("empty")).unwrap_err();
        assert!(error.message().contains("holds no tokenizer"), "{error}");
    }
}
