//! Folders of adapters, as training exports them and as PEFT saves them: which task they are for, where their base is, and
//! how they come onto a model.

use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, ErrorKind, Model, Result};
use serde_json::Value;

use super::load::text;
use super::note::{self, Note};
use super::{NOTE, read_json};
use crate::task::Task;

/// What makes a folder an adapter's.
const CONFIG: &str = "adapter_config.json";

/// An adapter's folder.
#[derive(Clone, Debug)]
pub(super) struct AdapterFolder {
    pub(super) path: PathBuf,
    pub(super) note: Option<Note>,
    config: Value,
}

impl AdapterFolder {
    /// The adapter in a folder; `None` where the folder holds a whole model, or neither.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] when one of its files is not JSON.
    pub(super) fn find(path: &Path) -> Result<Option<Self>> {
        let (config, note) = (path.join(CONFIG), path.join(NOTE));
        let note = if note.is_file() {
            Some(note::read(&note)?)
        } else {
            None
        };
        let noted = note.as_ref().is_some_and(|note| note.adapter.is_some());
        let config = if config.is_file() {
            read_json(&config)?
        } else if noted {
            Value::Null
        } else {
            return Ok(None);
        };
        // A folder that has both is a model's: what lies beside a model does not change it.
        if path.join("config.json").is_file() && !noted {
            return Ok(None);
        }
        Ok(Some(Self {
            path: path.to_owned(),
            note,
            config,
        }))
    }

    /// What `--adapter` names: the adapter's folder, or that of the run that trained it.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] when there is no adapter.
    pub(super) fn open(path: &Path) -> Result<Self> {
        for folder in [path, &path.join("model")] {
            if let Some(found) = Self::find(folder)? {
                return Ok(found);
            }
        }
        let shown = path.display();
        if !path.is_dir() {
            return Err(Error::data(format!("there is no adapter folder {shown}"))
                .hint("give the folder that `train adapter=…` exported (runs/NAME/model), or one that PEFT saved"));
        }
        let error = Error::data(format!(
            "{shown} is no adapter's folder: it has no {CONFIG}"
        ));
        let model = path.join("model");
        let mut whole = [path, &model].into_iter();
        Err(
            if whole.any(|folder| folder.join("config.json").is_file()) {
                error.hint("it holds a whole model, which --model opens")
            } else {
                error.hint("give the folder that `train adapter=…` exported (runs/NAME/model), or one that PEFT saved")
            },
        )
    }

    /// What it was trained for, where anything says so.
    pub(super) fn task(&self) -> Option<Task> {
        let noted = self.note.as_ref().and_then(|note| note.task);
        noted.or_else(|| match self.config["task_type"].as_str()? {
            "CAUSAL_LM" => Some(Task::CausalLm),
            "SEQ_CLS" => Some(Task::Classification),
            "FEATURE_EXTRACTION" => Some(Task::Embedding),
            _ => None,
        })
    }

    /// The folder of the model that it is for.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] when nothing names it, or it is not there.
    pub(super) fn base(&self) -> Result<PathBuf> {
        let shown = self.path.display();
        let hint = format!("name its model beside it: --model DIR --adapter {shown}");
        let noted = self.note.as_ref().and_then(|note| note.base.as_deref());
        let named = self.config["base_model_name_or_path"].as_str();
        let Some(named) = named.filter(|named| !named.is_empty()).or(noted) else {
            let what = format!("the adapter in {shown} does not say which model it is for");
            return Err(Error::data(what).hint(hint));
        };
        look_for(named, &self.path).ok_or_else(|| {
            Error::data(format!(
                "the adapter in {shown} is for the model {named}, which is not there"
            ))
            .hint(hint)
        })
    }
}

/// Finds a model's folder that was named elsewhere: as it is, or from one of the folders above the adapter. So the name
/// `runs/first/model` leads there whatever folder one stands in, and when all of it was moved.
fn look_for(named: &str, adapter: &Path) -> Option<PathBuf> {
    let is_model = |path: &PathBuf| {
        let inner = path.join("model");
        let any = |folder: &PathBuf| {
            let mut files = ["config.json", NOTE, CONFIG].into_iter();
            files.any(|file| folder.join(file).is_file())
        };
        any(path) || any(&inner)
    };
    let given = PathBuf::from(named);
    if is_model(&given) {
        return Some(given);
    }
    let whole = adapter.canonicalize().ok()?;
    let mut above = whole.ancestors().map(|folder| folder.join(named));
    above.find(is_model)
}

/// An adapter on a model, and how strongly it works.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) folder: AdapterFolder,
    pub(super) weight: f32,
}

/// Gives adapters their weights: one each, one for all, or 1 where there is none.
///
/// # Errors
/// [`ErrorKind::Config`] when there are more or fewer, or one is no number.
pub(super) fn weigh(used: &mut [Used], weights: &[f32]) -> Result<()> {
    if let Some(weight) = weights.iter().find(|weight| !weight.is_finite()) {
        return Err(Error::config(format!("--adapter-weight is {weight}")).hint(
            "a weight is a finite number: 1 is the adapter as it was trained, 0 leaves it out",
        ));
    }
    match (weights, used.len()) {
        ([], _) => {}
        (_, 0) => {
            return Err(
                Error::config("--adapter-weight is given, and there is no adapter")
                    .hint("give --adapter DIR, or a --model that is an adapter's folder"),
            );
        }
        ([one], _) => used.iter_mut().for_each(|it| it.weight = *one),
        (each, count) if each.len() == count => {
            used.iter_mut()
                .zip(each)
                .for_each(|(it, &weight)| it.weight = weight);
        }
        (each, count) => {
            let what = format!("there are {} weights for {count} adapters", each.len());
            return Err(Error::config(what)
                .hint("give --adapter-weight once for all, or once for each --adapter"));
        }
    }
    Ok(())
}

/// Loads adapters onto a model and switches them on.
///
/// # Errors
/// [`ErrorKind::Config`] where the model takes none; the model's own where one does not fit it.
pub(super) fn load(used: &[Used], model_name: &str, model: &mut dyn Model) -> Result<()> {
    if used.is_empty() {
        return Ok(());
    }
    let refuse = |error: Error| match error.kind() {
        ErrorKind::Unsupported => Error::config(format!(
            "model {model_name} does not take the adapter: {}",
            error.message()
        ))
        .hint(error.hint_text().unwrap_or("leave --adapter out")),
        _ => error,
    };
    // A model's error speaks of tensors; which of several folders they are in, only this side knows for sure.
    let named = |error: Error, name: &str| {
        if error.message().contains(name) {
            return error;
        }
        let message = format!("{name}: {}", error.message());
        error.with_message(message)
    };
    let (mut names, mut weights) = (Vec::new(), Vec::new());
    for Used { folder, weight } in used {
        let name = text(&folder.path)?;
        let loaded = model.load_adapter(name, name).map_err(refuse);
        loaded.map_err(|error| named(error, name))?;
        names.push(name.to_owned());
        weights.push(*weight);
    }
    model.activate_adapters(&names, &weights).map_err(refuse)
}

/// Refuses a folder that holds an adapter where a whole model is due.
///
/// # Errors
/// [`ErrorKind::Config`] naming the adapter's base.
pub(crate) fn refuse_adapter(path: &Path) -> Result<()> {
    let Some(found) = AdapterFolder::find(path)? else {
        return Ok(());
    };
    let what = format!("{} holds an adapter, not a model", path.display());
    Err(Error::config(what).hint(match found.base() {
        Ok(base) => format!("it is for the model {}", base.display()),
        Err(_) => "merge it into its model first".to_owned(),
    }))
}
