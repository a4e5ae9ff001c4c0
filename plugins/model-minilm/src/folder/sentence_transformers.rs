//! What sentence-transformers keeps beside an encoder: `modules.json` names the modules that a text goes through,
//! `1_Pooling/config.json` how tokens are pooled, `sentence_bert_config.json` how many of them are read. Read in the forms
//! of all its versions, written so that all of them open it.

use std::path::{Path, PathBuf};

use codex_nn::pooling::Pooling;
use codex_plugin_api::{Error, Result};
use serde_json::{Value, json};

use crate::config::settings::Settings;
use crate::config::task::Task;
use crate::config::{Architecture, NetworkConfig};

const MODULES: &str = "modules.json";
const TRANSFORMER: &str = "sentence_bert_config.json";
const TOKENIZER: &str = "tokenizer_config.json";
const POOLING: &str = "1_Pooling";

/// What the files say.
#[derive(Debug)]
pub(super) struct Described {
    /// Where `config.json` and the weights are.
    pub(super) folder: PathBuf,
    /// How tokens become an embedding, or why that cannot be computed here.
    pooling: Result<Pooling>,
    /// Why embeddings cannot be computed here at all.
    refusal: Option<Error>,
    /// Whether embeddings have length 1.
    normalize: bool,
    /// How many tokens of a text are read.
    max_tokens: Option<usize>,
}

fn json_of(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::data(format!("cannot read {}", path.display()))
            .because(&cause)
            .hint("the folder is incomplete; copy it again")
    })?;
    serde_json::from_str(&text).map_err(|cause| {
        Error::data(format!("{} is not JSON: {cause}", path.display()))
            .hint("the file is damaged; copy the folder again")
    })
}

/// One module: the last part of its type, and its folder.
struct Module {
    kind: String,
    path: PathBuf,
}

fn modules(folder: &Path, path: &Path) -> Result<Vec<Module>> {
    let wrong = || {
        Error::data(format!(
            "{}: expected a list of modules, each with type and path",
            path.display()
        ))
        .hint("the file is damaged; copy the folder again")
    };
    let value = json_of(path)?;
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter()
        .map(|module| {
            let text = |key: &str| module.get(key).and_then(Value::as_str).ok_or_else(wrong);
            let (kind, below) = (text("type")?, Path::new(text("path")?));
            if below.is_absolute() || below.components().any(|part| part.as_os_str() == "..") {
                return Err(wrong());
            }
            let kind = kind.rsplit('.').next().unwrap_or(kind).to_owned();
            Ok(Module {
                kind,
                path: folder.join(below),
            })
        })
        .collect()
}

/// Reads the files of a folder; `None` when it is not one of sentence-transformers.
pub(super) fn read(folder: &Path) -> Result<Option<Described>> {
    let path = folder.join(MODULES);
    if !path.is_file() {
        return Ok(None);
    }
    let mut described = Described {
        folder: folder.to_owned(),
        pooling: Ok(Pooling::Mean),
        refusal: None,
        normalize: false,
        max_tokens: None,
    };
    for module in modules(folder, &path)? {
        match module.kind.as_str() {
            "Transformer" => {
                described.max_tokens = max_tokens(&module.path)?;
                described.folder = module.path;
            }
            "Pooling" => {
                let pooling = pooling(&module.path.join("config.json"));
                described.pooling = described.pooling.and(pooling);
            }
            "Normalize" => described.normalize = true,
            // Does nothing but in training.
            "Dropout" => {}
            other => {
                described.refusal = Some(
                    Error::data(format!(
                        "{}: texts go through a module {other}, which this plugin does not compute",
                        path.display()
                    ))
                    .hint("only Transformer, Pooling and Normalize are known"),
                );
            }
        }
    }
    Ok(Some(described))
}

impl Described {
    /// Lets the files decide where the task is embedding; a pooling that the user has set stands.
    pub(super) fn apply(self, config: &mut NetworkConfig, settings: &Settings) -> Result<()> {
        let head = &mut config.head;
        if head.task != Task::Embedding {
            return Ok(());
        }
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        if settings.pooling.is_none() {
            head.pooling = self.pooling?;
        }
        if head.pooling == Pooling::Cls && config.architecture != Architecture::Bert {
            return Err(Error::unsupported(
                "the first token of a decoder as an embedding",
            ));
        }
        head.normalize = self.normalize;
        if let Some(tokens) = self.max_tokens {
            head.max_tokens = head.max_tokens.min(tokens);
        }
        Ok(())
    }
}

/// How many tokens are read: in a file of its own in all versions up to 5, with the tokenizer since.
fn max_tokens(folder: &Path) -> Result<Option<usize>> {
    let own = number_of_tokens(&folder.join(TRANSFORMER), "max_seq_length")?;
    match own {
        Some(tokens) => Ok(Some(tokens)),
        None => number_of_tokens(&folder.join(TOKENIZER), "model_max_length"),
    }
}

fn number_of_tokens(path: &Path, key: &str) -> Result<Option<usize>> {
    if !path.is_file() {
        return Ok(None);
    }
    match json_of(path)?.get(key) {
        None | Some(Value::Null) => Ok(None),
        // Without a limit Transformers writes 1e30.
        Some(value) if value.as_f64().is_some_and(|tokens| tokens > 1e9) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(tokens @ 1..=0x7fff_ffff) => Ok(Some(tokens as usize)),
            _ => Err(Error::data(format!(
                "{}: {key} is {value}, expected a number of tokens",
                path.display()
            ))
            .hint("correct the key")),
        },
    }
}

/// Which pooling is on: a flag for each in all versions up to 5, one word since.
fn pooling(path: &Path) -> Result<Pooling> {
    let value = json_of(path)?;
    let mut on: Vec<String> = match value.get("pooling_mode") {
        Some(Value::String(word)) => vec![word.clone()],
        Some(Value::Array(words)) => words
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    if let (Some(keys), true) = (value.as_object(), on.is_empty()) {
        on.extend(
            keys.iter()
                .filter(|(_, flag)| **flag == Value::Bool(true))
                .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
                .map(|mode| {
                    mode.trim_end_matches("_tokens")
                        .trim_end_matches("_token")
                        .to_owned()
                }),
        );
    }
    on.sort_unstable();
    on.dedup();
    match on.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["mean"] | [] => Ok(Pooling::Mean),
        ["cls"] => Ok(Pooling::Cls),
        _ => Err(Error::data(format!(
            "{}: pooling is {}, which this plugin does not compute",
            path.display(),
            on.join(" and ")
        ))
        .hint("only mean and cls are known")),
    }
}

/// Writes the files beside an encoder's `config.json`.
pub(super) fn write(folder: &Path, config: &NetworkConfig) -> Result<()> {
    let module = |index: u32, kind: &str, path: &str| {
        json!({
            "idx": index,
            "name": index.to_string(),
            "path": path,
            "type": format!("sentence_transformers.models.{kind}"),
        })
    };
    let mut modules = vec![module(0, "Transformer", ""), module(1, "Pooling", POOLING)];
    let head = &config.head;
    if head.normalize {
        modules.push(module(2, "Normalize", "2_Normalize"));
    }
    let save = |path: PathBuf, value: &Value| {
        std::fs::write(&path, format!("{value:#}\n"))
            .map_err(|cause| super::unwritten(&path, &cause))
    };
    let below = folder.join(POOLING);
    std::fs::create_dir_all(&below).map_err(|cause| super::unwritten(&below, &cause))?;
    save(folder.join(MODULES), &Value::Array(modules))?;
    let pooling = json!({
        "word_embedding_dimension": config.hidden_size,
        "pooling_mode_cls_token": head.pooling == Pooling::Cls,
        "pooling_mode_mean_tokens": head.pooling == Pooling::Mean,
        "pooling_mode_max_tokens": false,
        "pooling_mode_mean_sqrt_len_tokens": false,
        "pooling_mode_weightedmean_tokens": false,
        "pooling_mode_lasttoken": false,
        "include_prompt": true,
    });
    save(below.join("config.json"), &pooling)?;
    let transformer = json!({"max_seq_length": head.max_tokens, "do_lower_case": false});
    save(folder.join(TRANSFORMER), &transformer)?;
    let general = json!({
        "__version__": {},
        "prompts": {},
        "default_prompt_name": null,
        "similarity_fn_name": "cosine",
    });
    save(folder.join("config_sentence_transformers.json"), &general)
}
