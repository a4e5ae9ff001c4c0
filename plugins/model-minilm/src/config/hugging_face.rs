//! `config.json` as Transformers writes it, old and new. What a network here cannot compute is refused by name: a model
//! that loads has to give the numbers that Transformers gives. The keys of each family are in a file of their own.

mod bert;
mod gpt2;
mod labels;
mod llama;
mod reader;

use codex_plugin_api::{Error, Result};
use serde_json::{Value, json};

use super::settings::Settings;
use super::task::{self, Task};
use super::{Architecture, NetworkConfig};
use reader::Reader;

/// Reads the text of a `config.json`; `file` is named in errors. `settings` may ask for another head than the folder's.
pub(crate) fn parse(text: &str, file: &str, settings: &Settings) -> Result<NetworkConfig> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Error::data(format!("{file} is not JSON: {error}"))
            .hint("the file is damaged; copy the folder again")
    })?;
    let Value::Object(keys) = value else {
        return Err(Error::data(format!("{file} holds no JSON object"))
            .hint("the file is damaged; copy the folder again"));
    };
    let reader = Reader { file, keys: &keys };
    let mut config = match reader.word("model_type", "")? {
        "gpt2" => gpt2::read(&reader)?,
        "llama" => llama::read(&reader)?,
        "bert" => bert::read(&reader)?,
        other => {
            return Err(Error::data(format!("{file}: model_type is {other:?}"))
                .hint("this plugin loads bert, gpt2 and llama folders"));
        }
    };
    config
        .check()
        .map_err(|why| Error::data(format!("{file}: {why}")).hint("correct the sizes"))?;
    head(&mut config, &reader, settings)?;
    config.other = keys;
    Ok(config)
}

/// What the head needs to know, as far as `config.json` and the user say it.
fn head(config: &mut NetworkConfig, reader: &Reader<'_>, settings: &Settings) -> Result<()> {
    let saved = labels::read(reader)?;
    let problem = match reader.word("problem_type", "")? {
        "" => None,
        word => Some(word),
    };
    let class = saved_class(reader.keys);
    let outputs = saved.as_ref().map(Vec::len);
    let architecture = config.architecture;
    let task = match Task::parse(&settings.task, architecture)? {
        Some(task) => task,
        None => Task::of_class(class, architecture, outputs, problem)?,
    };
    config.head.task = task;
    // What a folder says of labels counts only where its own head is used again.
    let own = class.is_some_and(|class| class.ends_with("ForSequenceClassification"));
    config.head.labels = task::labels(task, settings, saved.filter(|_| own))?;
    config.head.pooling = settings.pooling(architecture)?;
    config.head.max_tokens = config.max_positions;
    if task == Task::MaskedLm {
        reader.refuse_unless("tie_word_embeddings", true, true)?;
    }
    Ok(())
}

/// The class that a folder was saved from.
fn saved_class(keys: &serde_json::Map<String, Value>) -> Option<&str> {
    keys.get("architectures")?.get(0)?.as_str()
}

impl NetworkConfig {
    /// What single keys cannot show: that the sizes fit together.
    pub(crate) fn check(&self) -> Result<(), String> {
        let heads = self.heads;
        if heads.head_size == 0
            || (self.architecture != Architecture::Llama
                && heads.heads * heads.head_size != self.hidden_size)
        {
            return Err(format!(
                "a hidden size of {} does not divide into {} heads",
                self.hidden_size, heads.heads
            ));
        }
        if !heads.heads.is_multiple_of(heads.kv_heads) {
            return Err(format!(
                "{} heads cannot share {} key and value heads",
                heads.heads, heads.kv_heads
            ));
        }
        if self.architecture == Architecture::Llama && !heads.head_size.is_multiple_of(2) {
            return Err(format!(
                "a head of {} columns cannot be rotated in halves",
                heads.head_size
            ));
        }
        let parts = [
            self.vocab_size,
            self.hidden_size,
            self.intermediate_size,
            self.max_positions,
            heads.columns(),
        ];
        if let Some(size) = parts.iter().find(|&&size| size == 0 || size > 1 << 30) {
            return Err(format!("a size of {size} is outside 1 to {}", 1 << 30));
        }
        Ok(())
    }

    /// The class that the folder was saved from, if this was read from a folder.
    pub(crate) fn saved_class(&self) -> Option<&str> {
        saved_class(&self.other)
    }

    /// The `config.json` of this network, as Transformers reads it.
    pub(crate) fn to_json(&self) -> Value {
        let mut keys = self.other.clone();
        let mut set = |key: &str, value: Value| {
            keys.insert(key.to_owned(), value);
        };
        set("model_type", json!(self.architecture.model_type()));
        set("vocab_size", json!(self.vocab_size));
        set("tie_word_embeddings", json!(self.tied));
        set("initializer_range", precise(self.initializer_range));
        set("dtype", json!("float32"));
        set("use_cache", json!(true));
        let class = task::class(self.architecture, self.head.task);
        set("architectures", json!([class]));
        match self.architecture {
            Architecture::Gpt2 => gpt2::write(self, &mut set),
            Architecture::Llama => llama::write(self, &mut set),
            Architecture::Bert => bert::write(self, &mut set),
        }
        labels::write(&self.head, &mut set);
        keys.remove("torch_dtype");
        Value::Object(keys)
    }
}

/// An `f32` as the decimal number that was meant: 1e-5, not 9.999999747378752e-6.
fn precise(number: f32) -> Value {
    number
        .to_string()
        .parse::<f64>()
        .map_or(json!(number), |number| json!(number))
}
