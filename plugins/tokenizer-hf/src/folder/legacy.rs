//! Folders from before `tokenizer.json`: BERT's `vocab.txt`, GPT-2's and RoBERTa's `vocab.json` with `merges.txt`.

use std::path::Path;

use codex_plugin_api::serde_json::{Map, Value, json};
use codex_plugin_api::{Error, Result};

use super::{FILE, read_object, read_text};
use crate::layout;
use crate::roles::Roles;

/// The `tokenizer.json` that such a folder stands for. Roles that no file gives are those of the original model.
pub(super) fn tokenizer_json(
    folder: &Path,
    settings: &Map<String, Value>,
    roles: &mut Roles,
) -> Result<Value> {
    let (words, vocab, merges) = (
        folder.join("vocab.txt"),
        folder.join("vocab.json"),
        folder.join("merges.txt"),
    );
    let mut tokenizer = if words.is_file() {
        bert(&read_text(&words)?, settings, roles)
    } else if vocab.is_file() && merges.is_file() {
        let vocabulary = read_object(&vocab)?.unwrap_or_default();
        gpt2(vocabulary, &vocab, &read_text(&merges)?, settings, roles)?
    } else {
        return Err(Error::data(format!("there is no {FILE} in {}", folder.display()))
            .hint("a tokenizer's folder holds tokenizer.json, or vocab.txt, or vocab.json and merges.txt"));
    };
    let added = added_tokens(
        &tokenizer["model"]["vocab"],
        read_object(&folder.join("added_tokens.json"))?,
        settings,
        roles,
    );
    tokenizer["added_tokens"] = Value::Array(added);
    Ok(tokenizer)
}

fn bert(text: &str, settings: &Map<String, Value>, roles: &mut Roles) -> Value {
    let flag = |key: &str| settings.get(key).and_then(Value::as_bool);
    let vocabulary = layout::vocabulary(text.lines());
    if roles.is_empty() {
        *roles = Roles::of(crate::config::Algorithm::Wordpiece);
    }
    let (mut normalizer, pre_tokenizer, decoder) =
        layout::bert(flag("do_lower_case").unwrap_or(true));
    normalizer["handle_chinese_chars"] = json!(flag("tokenize_chinese_chars").unwrap_or(true));
    normalizer["strip_accents"] = json!(flag("strip_accents"));
    let id = |token: &str| vocabulary[token].as_u64().map(|id| id as usize);
    let post_processor = match (id("[CLS]"), id("[SEP]")) {
        (Some(cls), Some(sep)) => layout::bert_template(cls, sep),
        _ => Value::Null,
    };
    json!({
        "version": "1.0",
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": {
            "type": "WordPiece", "unk_token": roles.get("unk_token").unwrap_or("[UNK]"),
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    })
}

fn gpt2(
    vocabulary: Map<String, Value>,
    file: &Path,
    merges: &str,
    settings: &Map<String, Value>,
    roles: &mut Roles,
) -> Result<Value> {
    if let Some((token, id)) = vocabulary
        .iter()
        .find(|(_, id)| id.as_u64().is_none_or(|id| id > u64::from(u32::MAX)))
    {
        return Err(Error::data(format!(
            "{} gives token {token:?} the id {id}",
            file.display()
        )));
    }
    let lines = merges
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("#version"));
    let merges: Vec<Value> = lines.map(|line| json!(line)).collect();
    if roles.is_empty() && vocabulary.contains_key("<|endoftext|>") {
        *roles = Roles::of(crate::config::Algorithm::ByteLevelBpe);
    }
    let add_prefix_space = settings
        .get("add_prefix_space")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let around = |role: &str| {
        roles
            .get(role)
            .and_then(|token| Some(json!([token, vocabulary.get(token)?])))
    };
    let post_processor = match (around("cls_token"), around("sep_token")) {
        (Some(cls), Some(sep)) => json!({
            "type": "RobertaProcessing", "cls": cls, "sep": sep, "trim_offsets": false,
            "add_prefix_space": add_prefix_space,
        }),
        _ => layout::byte_level(false),
    };
    Ok(json!({
        "version": "1.0",
        "normalizer": null,
        "pre_tokenizer": layout::byte_level(add_prefix_space),
        "post_processor": post_processor,
        "decoder": layout::byte_level(false),
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
    }))
}

/// Tokens with a role and those of `added_tokens.json`, by id.
fn added_tokens(
    vocabulary: &Value,
    more: Option<Map<String, Value>>,
    settings: &Map<String, Value>,
    roles: &Roles,
) -> Vec<Value> {
    let mut tokens: Vec<(usize, String, bool)> = Vec::new();
    for (token, id) in more.iter().flatten() {
        if let Some(id) = id.as_u64() {
            tokens.push((
                id as usize,
                token.clone(),
                roles.iter().any(|(_, other)| other == token),
            ));
        }
    }
    for (_, token) in roles.iter() {
        if let Some(id) = vocabulary[token].as_u64()
            && !tokens.iter().any(|other| other.1 == token)
        {
            tokens.push((id as usize, token.to_owned(), true));
        }
    }
    tokens.sort();
    let roberta = roles.get("cls_token") == Some("<s>");
    let entry = |(id, token, special): (usize, String, bool)| {
        let mut entry = layout::added_token(id, &token, special);
        // RoBERTa's mask takes the space before it.
        let is_mask = roles.get("mask_token") == Some(token.as_str());
        let said = settings
            .get("mask_token")
            .and_then(|mask| mask["lstrip"].as_bool());
        entry["lstrip"] = json!(is_mask && said.unwrap_or(roberta));
        entry
    };
    tokens.into_iter().map(entry).collect()
}
