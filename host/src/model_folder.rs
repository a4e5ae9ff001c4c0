//! A model folder: our own export with `codex_ml.json`, or any Hugging Face folder of a layout that a model plugin reads.
//!
//! This file finds out which plugins open the folder and what its run was told; reading weights and vocabularies is
//! theirs. The export writes `codex_ml.json`; what is missing in it is no error.

mod adapters;
mod load;
mod note;

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result, Tokenizer};
use serde_json::{Map, Value};

pub(crate) use self::adapters::refuse_adapter;
use self::adapters::{AdapterFolder, Used};
pub(crate) use self::load::opens_folders;
use self::note::Note;

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

/// A folder with a model, a tokenizer, or both; or an adapter with the model that it is for.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// What was asked for.
    path: PathBuf,
    /// Where the model itself is: the same, or an adapter's base.
    base: PathBuf,
    /// What the run says that made the folder which was asked for: its data, its metrics.
    run: Option<Note>,
    /// What was told to the run that made the model as it is used, the adapter's where there is one: task, classes.
    made: Option<Note>,
    /// What the base's own note says.
    base_note: Option<Note>,
    adapters: Vec<Used>,
}

impl ModelFolder {
    /// A folder that holds a model, or an adapter whose model is found by its name. A run's folder stands for the
    /// `model` folder in it.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when there is no such folder, no model in it, or no base of an adapter.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self::open_any(path, "model")?;
        let Some(adapter) = AdapterFolder::find(&folder.path)? else {
            return folder.with_model(path);
        };
        let base = adapter.base()?;
        let base = Self::open_any(&base, "model")?.with_model(&base)?;
        if AdapterFolder::find(&base.path)?.is_some() {
            let what = format!(
                "the adapter in {} names {} as its model, which is an adapter itself",
                folder.path.display(),
                base.path.display()
            );
            return Err(Error::data(what).hint("merge that adapter into its model first"));
        }
        Ok(Self {
            path: folder.path,
            run: adapter.note.clone().or_else(|| base.run.clone()),
            made: adapter.note.clone().or_else(|| base.run.clone()),
            base_note: base.run,
            base: base.path,
            adapters: vec![Used {
                folder: adapter,
                weight: 1.0,
            }],
        })
    }

    /// The same with adapters on top, each with a weight: `weights` has one for each of them, one for all, or none. A
    /// model that is an adapter itself keeps it; a weight without adapters is that one's.
    ///
    /// # Errors
    /// As [`Self::open`], and [`codex_plugin_api::ErrorKind::Config`] for weights that do not belong to the adapters.
    pub fn open_with(path: &Path, adapters: &[PathBuf], weights: &[f32]) -> Result<Self> {
        let mut folder = Self::open(path)?;
        let before = if adapters.is_empty() {
            0
        } else {
            folder.adapters.len()
        };
        for adapter in adapters {
            let adapter = AdapterFolder::open(adapter)?;
            if folder
                .adapters
                .iter()
                .any(|it| it.folder.path == adapter.path)
            {
                let what = format!("the adapter {} is given twice", adapter.path.display());
                return Err(
                    Error::config(what).hint("a weight makes it stronger: --adapter-weight 2")
                );
            }
            folder.adapters.push(Used {
                folder: adapter,
                weight: 1.0,
            });
        }
        adapters::weigh(&mut folder.adapters[before..], weights)?;
        if before == 0 && !adapters.is_empty() {
            folder.take_notes();
        }
        Ok(folder)
    }

    /// What the model is used for is its first adapter's to say. Whose data it is judged on stays, unless that data is
    /// another task's.
    fn take_notes(&mut self) {
        let own = self.made.as_ref().and_then(|note| note.task);
        let notes = self.adapters.iter().filter_map(|it| it.folder.note.clone());
        if let Some(note) = notes.into_iter().find(|note| note.task.is_some()) {
            if own.is_some() && own != note.task {
                self.run = Some(note.clone());
            }
            self.made = Some(note);
        }
    }

    fn with_model(self, shown: &Path) -> Result<Self> {
        if self.run.is_some() || self.path.join("config.json").is_file() {
            return Ok(self);
        }
        let error = Error::data(format!(
            "{} is no model folder: it has no config.json",
            shown.display()
        ));
        Err(if shown.join("events.ndjson").is_file() {
            error.hint(
                "this run has not exported its model yet: `codex-ml train --resume` continues it",
            )
        } else {
            error.hint("give the folder that training exported (runs/NAME/model), or a Hugging Face model's")
        })
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
        if folder.run.is_none() && !has_tokenizer(&folder.path) {
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
            Some(note::read(&file)?)
        } else {
            None
        };
        Ok(Self {
            base: path.clone(),
            path,
            made: note.clone(),
            base_note: note.clone(),
            run: note,
            adapters: Vec::new(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The adapters on top of the model.
    pub fn adapters(&self) -> impl Iterator<Item = &Path> {
        self.adapters.iter().map(|it| it.folder.path.as_path())
    }

    /// Whether codex-ml exported it.
    pub fn is_export(&self) -> bool {
        self.made.is_some()
    }

    /// The model plugin that opens it.
    pub fn model_name(&self) -> &str {
        let notes = [&self.made, &self.base_note].into_iter().flatten();
        let mut names = notes.filter_map(|note| note.model.name.as_deref());
        names.next().unwrap_or(MODEL)
    }

    /// The tokenizer plugin that opens it.
    pub fn tokenizer_name(&self) -> &str {
        let (_, note) = self.tokenizer();
        note.and_then(|note| note.tokenizer.name.as_deref())
            .unwrap_or(TOKENIZER)
    }

    /// Where the tokenizer is, and what the export that it is in says of it: an adapter's folder may hold one, and need not.
    fn tokenizer(&self) -> (&Path, Option<&Note>) {
        let own = self.path != self.base && has_tokenizer(&self.path);
        let exported = self
            .adapters
            .first()
            .filter(|it| it.folder.path == self.path);
        match exported.and_then(|it| it.folder.note.as_ref()) {
            Some(note) => (&self.path, Some(note)),
            None if own => (&self.path, None),
            None => (&self.base, self.base_note.as_ref()),
        }
    }

    /// The `data` section of the run that made it.
    pub fn data(&self) -> Option<&Map<String, Value>> {
        self.run.as_ref().and_then(|note| note.data.as_ref())
    }

    /// The metrics of the run that made it: names, or maps with a name.
    pub fn metrics(&self) -> &[Value] {
        self.run.as_ref().map_or(&[], |note| &note.metrics)
    }

    /// The seed of the run that made it.
    pub fn seed(&self) -> u64 {
        self.run.as_ref().map_or(0, |note| note.seed)
    }

    /// How many held-out documents the run's evaluations looked at; all when absent.
    pub fn evaluate_documents(&self) -> Option<u64> {
        self.run.as_ref().and_then(|note| note.evaluate_documents)
    }

    /// How many tokens the run's evaluations gave the model at once: the same sums, to the last bit.
    pub fn evaluation_tokens(&self) -> Option<usize> {
        self.run.as_ref().and_then(|note| note.evaluation_tokens)
    }

    /// The task that its adapters were trained for.
    fn adapted_task(&self) -> Option<Task> {
        self.adapters.iter().find_map(|it| it.folder.task())
    }

    /// The task that the model was trained for: what its adapter or its note says, else what the architecture in `config.json` is for.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when `config.json` is not JSON.
    pub fn task(&self) -> Result<Task> {
        let noted = self.made.as_ref().and_then(|note| note.task);
        if let Some(task) = self.adapted_task().or(noted) {
            return Ok(task);
        }
        let file = self.base.join("config.json");
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
        let note = self.made.clone().unwrap_or_default();
        let classes = match (task, note.classes) {
            (Task::Classification, Some(names)) => Classes::new(names),
            (Task::Classification, None) => class_names(&self.base)?.ok_or_else(|| {
                Error::data(format!(
                    "{} does not say which classes it tells apart",
                    self.base.join("config.json").display()
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
            let file = self.base.join(name);
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
}

fn has_tokenizer(folder: &Path) -> bool {
    let mut names = TOKENIZER_FILES.iter();
    names.any(|name| folder.join(name).is_file())
}

/// The error for an id that the model does not have.
pub(crate) fn foreign_id(id: u32, vocab_size: u32) -> Error {
    Error::data(format!(
        "the tokenizer gave id {id}, and the model's vocabulary has {vocab_size} entries"
    ))
    .hint("the tokenizer does not belong to this model")
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
