//! Tokenizers as folders: `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, and what older folders hold.

mod legacy;

use std::path::{Path, PathBuf};

use codex_plugin_api::serde_json::{self, Map, Value, json};
use codex_plugin_api::{Context, Error, Result};
use tokenizers::Tokenizer;

use crate::config::Algorithm;
use crate::roles::Roles;
use crate::trained::Trained;

pub(crate) const FILE: &str = "tokenizer.json";
const SETTINGS: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";

/// Opens a folder, or one file in it.
pub(crate) fn open(path: &str) -> Result<Trained> {
    let given = Path::new(path);
    let (folder, file) = if given.is_file() {
        (
            given.parent().unwrap_or(Path::new("")).to_path_buf(),
            given.to_path_buf(),
        )
    } else {
        (given.to_path_buf(), given.join(FILE))
    };
    if !given.exists() {
        return Err(Error::data(format!("there is no tokenizer at {path}"))
            .hint("set tokenizer.path to a folder with tokenizer.json, or leave it out to train a tokenizer"));
    }
    let settings = read_object(&folder.join(SETTINGS))?.unwrap_or_default();
    let map = read_object(&folder.join(SPECIAL))?.unwrap_or_default();
    let mut roles = Roles::read([&settings, &map]);
    let text = if file.is_file() {
        read(&file)?
    } else {
        legacy::tokenizer_json(&folder, &settings, &mut roles)?
            .to_string()
            .into_bytes()
    };
    let tokenizer = Tokenizer::from_bytes(text).map_err(|error| {
        let first = error.to_string().lines().next().unwrap_or_default().to_owned();
        Error::data(format!("{} is not a tokenizer: {first}", file.display()))
            .hint("copy the file from its source again, or train a tokenizer with `codex-ml tokenizer train`")
    })?;
    if roles.is_empty() {
        roles = Roles::guess(&tokenizer);
    }
    Trained::new(tokenizer, roles, settings)
        .map_err(|error| error.context(format!("{} cannot be used", file.display())))
}

/// What `tokenizer_config.json` says of a tokenizer that was trained here.
pub(crate) fn trained_settings(
    algorithm: Algorithm,
    model_max_length: Option<u32>,
) -> Map<String, Value> {
    // GPT-2 and Llama would take the token types that other readers send by default for words.
    let inputs = match algorithm {
        Algorithm::Wordpiece => json!(["input_ids", "token_type_ids", "attention_mask"]),
        _ => json!(["input_ids", "attention_mask"]),
    };
    let mut settings = Map::new();
    settings.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
    settings.insert("clean_up_tokenization_spaces".into(), json!(false));
    settings.insert("model_input_names".into(), inputs);
    if let Some(length) = model_max_length {
        settings.insert("model_max_length".into(), json!(length));
    }
    settings
}

/// Writes the three files.
pub(crate) fn save(trained: &Trained, folder: &str) -> Result<()> {
    let folder = Path::new(folder);
    if !folder.is_dir() {
        return Err(Error::failed(format!(
            "there is no folder {} to save the tokenizer in",
            folder.display()
        )));
    }
    let tokenizer = trained.tokenizer().to_string(true).map_err(|error| {
        Error::failed(format!("the tokenizer cannot be written as JSON: {error}"))
    })?;
    let mut settings = trained.settings().clone();
    settings
        .entry("tokenizer_class")
        .or_insert_with(|| json!("PreTrainedTokenizerFast"));
    let mut special = Map::new();
    for (role, token) in trained.roles().iter() {
        settings.entry(role).or_insert_with(|| json!(token));
        special.insert(role.to_owned(), json!(token));
    }
    write(&folder.join(FILE), &tokenizer)?;
    write(&folder.join(SETTINGS), &pretty(&settings))?;
    write(&folder.join(SPECIAL), &pretty(&special))
}

fn pretty(object: &Map<String, Value>) -> String {
    format!("{:#}\n", Value::Object(object.clone()))
}

/// Writes beside the target and renames, so that a reader never finds half a file.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, path))
        .or_error(|| Error::failed(format!("cannot write {}", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).or_error(|| Error::data(format!("cannot read {}", path.display())))
}

fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?)
        .or_error(|| Error::data(format!("{} is not UTF-8", path.display())))
}

/// A JSON object, or `None` when there is no such file.
fn read_object(path: &Path) -> Result<Option<Map<String, Value>>> {
    if !path.is_file() {
        return Ok(None);
    }
    serde_json::from_slice(&read(path)?).map(Some).or_error(|| {
        Error::data(format!("{} is not a JSON object", path.display()))
            .hint("copy the file from its source again")
    })
}
