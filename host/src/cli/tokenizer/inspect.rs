//! `codex-ml tokenizer inspect`.

use std::collections::BTreeSet;

use codex_plugin_api::{Result, Tokenizer};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Chosen;
use crate::app::App;
use crate::exit::Exit;

/// Arguments of `tokenizer inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  codex-ml tokenizer inspect --tokenizer my-tokenizer --last 50")]
pub(super) struct Args {
    #[command(flatten)]
    from: Chosen,
    /// Show so many tokens from the vocabulary's beginning.
    #[arg(long, value_name = "N", default_value_t = 10)]
    first: u32,
    /// Show so many tokens from its end; of a trained tokenizer those were learned last.
    #[arg(long, value_name = "N", default_value_t = 10)]
    last: u32,
}

/// One entry of the vocabulary.
#[derive(Debug, Serialize)]
struct Entry {
    id: u32,
    /// As the vocabulary writes it.
    token: Option<String>,
    /// What it stands for in a text; bytes that are no text by themselves are replaced.
    text: String,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let folder = args.from.folder()?;
    let tokenizer = folder.load_tokenizer(app)?;
    let vocabulary = tokenizer.vocabulary()?;
    let special = special(
        &serde_json::to_value(vocabulary.special).unwrap_or_default(),
        tokenizer.as_ref(),
    )?;
    let size = vocabulary.size;
    let shown: BTreeSet<u32> = (0..args.first.min(size))
        .chain(size.saturating_sub(args.last)..size)
        .collect();
    let tokens = shown
        .into_iter()
        .map(|id| entry(tokenizer.as_ref(), id))
        .collect::<Result<Vec<_>>>()?;
    if app.output.is_json() {
        app.output.value(&json!({
            "plugin": folder.tokenizer_name(),
            "size": size,
            "lossless": vocabulary.lossless,
            "fingerprint": vocabulary.fingerprint,
            "special": special,
            "tokens": tokens,
        }))?;
        return Ok(Exit::Done);
    }
    let fact = |name: &str, value: &str| app.output.line(format!("{name:<12} {value}"));
    fact("plugin", folder.tokenizer_name())?;
    fact("vocabulary", &format!("{size} tokens"))?;
    fact("lossless", if vocabulary.lossless { "yes" } else { "no" })?;
    fact("fingerprint", &vocabulary.fingerprint)?;
    for (role, token) in &special {
        let text = token["token"].as_str().unwrap_or_default();
        fact(role, &format!("{} {text}", token["id"]))?;
    }
    app.output.line("")?;
    let rows = tokens.into_iter().map(|entry| {
        [
            entry.id.to_string(),
            entry.token.unwrap_or_default(),
            format!("{:?}", entry.text),
        ]
    });
    app.output.table(["id", "token", "text"], rows)?;
    Ok(Exit::Done)
}

/// The tokens with a role, by role, with their id and text.
fn special(ids: &Value, tokenizer: &dyn Tokenizer) -> Result<Map<String, Value>> {
    let mut special = Map::new();
    for (role, id) in ids.as_object().into_iter().flatten() {
        if let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) {
            special.insert(
                role.clone(),
                json!({"id": id, "token": tokenizer.token_text(id)?}),
            );
        }
    }
    Ok(special)
}

fn entry(tokenizer: &dyn Tokenizer, id: u32) -> Result<Entry> {
    let token = tokenizer.token_text(id)?;
    // A vocabulary may have gaps.
    let bytes = if token.is_some() {
        tokenizer.token_bytes(id)?
    } else {
        Vec::new()
    };
    Ok(Entry {
        id,
        token,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}
