//! Sections of the configuration as plugins are given them: checked against their schemas, with what the host knows.

use codex_plugin_api::{Error, ErrorKind, Kind, Result, Tokenizer, Vocabulary};
use serde_json::{Map, Value, json};

use super::TokenizerSource;
use crate::app::App;
use crate::config::{Component, Resolved};
use crate::data::{Classes, Corpus, train_tokenizer};
use crate::model_folder::opens_folders;
use crate::task::Task;
use crate::train::checkpoint::path_text;
use crate::train::components::Components;
use crate::train::durable::written;

/// Turns sections into what plugins are given.
pub(super) struct Options<'a> {
    pub(super) resolved: &'a Resolved,
    pub(super) components: &'a dyn Components,
}

impl Options<'_> {
    /// The plugin's keys of a section, checked, with defaults.
    pub(super) fn section(
        &self,
        kind: Kind,
        path: &str,
        name: &str,
        plugin: &Map<String, Value>,
    ) -> Result<Value> {
        let schema = self.schema(kind, path, name)?;
        let mut config = plugin.clone();
        config.retain(|_, value| !value.is_null());
        self.resolved
            .check_plugin(path, &schema, &Value::Object(config))
    }

    /// The dataset's keys. One that chooses its columns itself (a table's) must know which one is the text.
    pub(super) fn data(&self) -> Result<Value> {
        let data = &self.resolved.config.data;
        let mut keys = data.plugin.clone();
        if let Some(column) = &data.text_column
            && self
                .schema(Kind::Dataset, "data", &data.name)?
                .pointer("/properties/text_column")
                .is_some()
        {
            keys.insert("text_column".into(), json!(column));
        }
        self.section(Kind::Dataset, "data", &data.name, &keys)
    }

    pub(super) fn list(
        &self,
        kind: Kind,
        key: &str,
        entries: &[Component],
    ) -> Result<Vec<(String, Value)>> {
        entries
            .iter()
            .enumerate()
            .map(|(at, entry)| {
                let path = format!("{key}.{at}");
                let config = self.section(kind, &path, &entry.name, &entry.plugin)?;
                Ok((entry.name.clone(), config))
            })
            .collect()
    }

    /// The model's keys, with those that the host knows: size of the vocabulary, seed, device, precision, task, classes.
    /// Before there is a vocabulary, the keys are checked with one of a usual size.
    pub(super) fn model(
        &self,
        plugin: &Map<String, Value>,
        vocabulary: Option<&Vocabulary>,
        classes: Option<&Classes>,
    ) -> Result<Value> {
        let config = &self.resolved.config;
        let name = &config.model.name;
        let schema = self.schema(Kind::Model, "model", name)?;
        let known = |key: &str| {
            let properties = schema.get("properties");
            properties.is_some_and(|properties| properties.get(key).is_some())
        };
        let mut given = plugin.clone();
        let mut offers = vec![
            ("seed", json!(config.seed)),
            ("device", json!(config.device)),
            ("precision", json!(config.precision)),
            ("task", json!(config.training.task)),
            ("sequence_length", json!(config.model.sequence_length)),
        ];
        match (config.training.task, classes) {
            (Task::Classification, Some(classes)) => offers.extend([
                ("labels", json!(classes.names().len())),
                ("label_names", json!(classes.names())),
            ]),
            (Task::Regression, _) => offers.push(("labels", json!(1))),
            _ => {}
        }
        offers.push((
            "vocab_size",
            json!(vocabulary.map_or(1024, |vocabulary| vocabulary.size)),
        ));
        if let Some(vocabulary) = vocabulary {
            offers.extend([
                ("bos_token_id", json!(vocabulary.special.bos)),
                ("eos_token_id", json!(vocabulary.special.eos)),
                ("pad_token_id", json!(vocabulary.special.pad)),
            ]);
        }
        for (key, value) in offers {
            if known(key) && !value.is_null() && !given.contains_key(key) {
                given.insert(key.to_owned(), value);
            }
        }
        self.section(Kind::Model, "model", name, &given)
    }

    /// The adapter's keys, with the task and the seed where it takes them.
    pub(super) fn adapter(&self, section: &Component) -> Result<Value> {
        let schema = self.schema(Kind::Adapter, "adapter", &section.name)?;
        let config = &self.resolved.config;
        let mut given = section.plugin.clone();
        for (key, value) in [
            ("task", json!(config.training.task)),
            ("seed", json!(config.seed)),
        ] {
            let known = schema.pointer(&format!("/properties/{key}")).is_some();
            if known && !given.contains_key(key) {
                given.insert(key.to_owned(), value);
            }
        }
        self.section(Kind::Adapter, "adapter", &section.name, &given)
    }

    /// The tokenizer as it was saved, after making and saving it where this is a run's first process.
    pub(super) fn tokenizer(
        &self,
        source: TokenizerSource<'_>,
        train: &Corpus,
        app: &App,
    ) -> Result<Box<dyn Tokenizer>> {
        let section = &self.resolved.config.tokenizer;
        let schema = self.schema(Kind::Tokenizer, "tokenizer", &section.name)?;
        let config = self.section(Kind::Tokenizer, "tokenizer", &section.name, &section.plugin)?;
        let reopens = opens_folders(&schema);
        let folder = match source {
            TokenizerSource::Saved(folder) => folder,
            TokenizerSource::Configured { save_to } => {
                let mut tokenizer = self.components.tokenizer(&section.name, &config)?;
                // An untrained tokenizer fails to tell its vocabulary; one that needs no training is ready at once.
                let ready = match tokenizer.vocabulary() {
                    Ok(_) => true,
                    Err(error) if error.kind() == ErrorKind::Panic => return Err(error),
                    Err(_) => false,
                };
                if !ready {
                    if !reopens {
                        return Err(Error::new(
                            ErrorKind::Plugin,
                            format!(
                                "tokenizer {} is not trained, and it has no key `path` to open what it would learn",
                                section.name
                            ),
                        )
                        .hint("its plugin must take the folder that it saves: a key `path`"));
                    }
                    let texts = train.texts();
                    train_tokenizer(&texts, tokenizer.as_mut(), section.training_bytes, app)?;
                }
                written(tokenizer.save(&path_text(save_to)?))?;
                save_to
            }
        };
        if !reopens {
            return self.components.tokenizer(&section.name, &config);
        }
        let mut saved = Map::new();
        saved.insert("path".into(), path_text(folder)?.into());
        self.components
            .tokenizer(&section.name, &Value::Object(saved))
    }

    fn schema(&self, kind: Kind, path: &str, name: &str) -> Result<Value> {
        self.components.schema(kind, name).map_err(|error| {
            if error.kind() != ErrorKind::Config {
                return error;
            }
            let key = format!("{path}.name");
            let found = Error::config(format!("{} ({key}, {})", error, self.resolved.origin(&key)));
            match error.hint_text() {
                Some(hint) => found.hint(hint),
                None => found,
            }
        })
    }
}
