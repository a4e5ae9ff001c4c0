//! The sanitizers of this process: which there are, under which policy and key. What is done with findings is
//! [`codex_redaction`]'s; where texts are met is each room's.

mod own;

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use codex_plugin_api::{Context, Dataset, Error, Result, Sanitizer, Stage, TextBuffer};
use codex_redaction::{
    CleanDataset, Count, Counts, Key, POLICY_VARIABLE, Policy, SWITCH_VARIABLE, Sanitizers, Switch,
    Tally,
};
use serde_json::{Value, json};

use crate::folders::Folders;
use crate::output::Output;
use crate::train::Components;
pub(crate) use own::clean_own;

/// The component that sanitizes where nobody says which: that of the plugin which comes along.
const DEFAULT: &str = "default";

/// So many kinds of findings are told in one line.
const TOLD: usize = 5;

/// Creates sanitizers: those that are listed, with checked configurations, or the one that comes along. There may be
/// none, when nothing is listed and none is installed.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] for a switch or a policy that is wrong; what a plugin says that cannot
/// create its sanitizer: going on without it would let pass what it was to find.
pub(crate) fn create(
    listed: &[(String, Value)],
    components: &dyn Components,
    folders: &Folders,
    output: &Output,
) -> Result<Arc<Sanitizers>> {
    let value = env::var_os(SWITCH_VARIABLE).map(|value| value.to_string_lossy().into_owned());
    let switch = Switch::from_value(value.as_deref())?;
    let mut sanitizers: Vec<(String, Arc<dyn Sanitizer>)> = Vec::new();
    if let Some(warning) = switch.warning() {
        output.warn(warning);
    } else {
        let standard = [(DEFAULT.to_owned(), json!({}))];
        let chosen = match listed {
            [] if components.has_sanitizer(DEFAULT) => &standard[..],
            listed => listed,
        };
        for (name, config) in chosen {
            let (title, sanitizer) = components.sanitizer(name, config)?;
            sanitizers.push((title, Arc::from(sanitizer)));
        }
    }
    // Without a sanitizer neither policy nor key is read: nothing would come of it.
    if sanitizers.is_empty() {
        let made = Sanitizers::new(sanitizers, Policy::standard()?, Key::passing()?)?;
        return Ok(Arc::new(made));
    }
    let given = env::var_os(POLICY_VARIABLE).filter(|value| !value.is_empty());
    let data = folders.data.as_deref();
    let policy = Policy::of_user(given.as_deref().map(Path::new), data)?;
    // A command that fails leaves nothing behind, so no key is made for an error that names no value.
    let key = if policy.names_values() {
        Key::kept_in(data)?
    } else {
        Key::passing()?
    };
    Sanitizers::new(sanitizers, policy, key).map(Arc::new)
}

/// A dataset of clean texts, and what is found while it is read; the dataset itself where there is no sanitizer.
///
/// # Errors
/// The dataset's own.
pub(crate) fn clean_dataset(
    dataset: Box<dyn Dataset>,
    sanitizers: &Arc<Sanitizers>,
) -> Result<(Box<dyn Dataset>, Option<Tally>)> {
    if sanitizers.is_empty() {
        return Ok((dataset, None));
    }
    let clean = CleanDataset::new(dataset, Arc::clone(sanitizers))?;
    let tally = clean.tally();
    Ok((Box::new(clean), Some(tally)))
}

/// Prompts as a model may be given them; what was found is told on standard error.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] for a prompt that the policy blocks or drops, and a sanitizer's failure.
pub(crate) fn clean_prompts(
    prompts: Vec<String>,
    sanitizers: &Sanitizers,
    output: &Output,
) -> Result<Vec<String>> {
    if sanitizers.is_empty() {
        return Ok(prompts);
    }
    let texts: TextBuffer = prompts.iter().collect();
    let cleaned = sanitizers.clean(texts.as_texts(), Stage::Prompt, None)?;
    let several = prompts.len() > 1;
    cleaned
        .into_iter()
        .zip(prompts)
        .enumerate()
        .map(|(index, (cleaned, prompt))| {
            let name = if several {
                format!("prompt {}", index + 1)
            } else {
                "the prompt".to_owned()
            };
            for finding in &cleaned.findings {
                output.warn(format!(
                    "{name} holds {} at line {}, column {} (rule {}, action {})",
                    finding.entity,
                    finding.line,
                    finding.column,
                    finding.rule,
                    finding.action.word()
                ));
            }
            cleaned.text(&prompt).map(str::to_owned).ok_or_else(|| {
                Error::data(format!("{name} holds what the policy drops"))
                    .hint("take it out of the prompt, or have the policy redact it")
            })
        })
        .collect()
}

/// Texts as an encoder may be given them; `first` is the number of the first one. What was found is added to `found`.
///
/// # Errors
/// As [`clean_prompts`].
pub(crate) fn clean_texts(
    texts: TextBuffer,
    first: u64,
    sanitizers: &Sanitizers,
    found: &mut Counts,
) -> Result<TextBuffer> {
    if sanitizers.is_empty() {
        return Ok(texts);
    }
    let cleaned = sanitizers.clean(texts.as_texts(), Stage::Prompt, None)?;
    let mut passed = TextBuffer::default();
    for ((index, text), cleaned) in (first..).zip(texts.as_texts().iter()).zip(&cleaned) {
        found.add(Stage::Prompt, &cleaned.findings);
        passed.push(cleaned.text(text).ok_or_else(|| {
            Error::data(format!("text {index} (from 0) holds what the policy drops"))
                .hint("take it out of the input, or have the policy redact it")
        })?);
    }
    Ok(passed)
}

/// What was found, for people: `3 × secret (rule github-token, action redact), …`; `None` where that is nothing.
pub(crate) fn told(found: &[Count]) -> Option<String> {
    let mut most: Vec<&Count> = found.iter().collect();
    most.sort_by_key(|it| std::cmp::Reverse(it.count));
    let mut list: Vec<String> = most
        .iter()
        .take(TOLD)
        .map(|it| {
            let (count, action) = (it.count, it.action.word());
            format!(
                "{count} × {} (rule {}, action {action})",
                it.entity, it.rule
            )
        })
        .collect();
    if let Some(more) = most.get(TOLD..).filter(|more| !more.is_empty()) {
        let count: u64 = more.iter().map(|it| it.count).sum();
        list.push(format!("{count} of {} more kinds", more.len()));
    }
    (!list.is_empty()).then(|| list.join(", "))
}

/// What was found in the training rows, as the event `sanitized` tells it. A token store that was made before is not
/// read again, so it is written down beside the store.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Failed`] naming the file.
pub(crate) fn ingest_counts(store: &Path, tally: &Tally) -> Result<Value> {
    let path = store.with_file_name("sanitized.json");
    if let Ok(text) = fs::read(&path)
        && let Ok(counts) = serde_json::from_slice(&text)
    {
        return Ok(counts);
    }
    let counts = tally.counts();
    let value = json!({"counts": counts.list(), "not_scanned": counts.not_scanned});
    fs::write(&path, value.to_string())
        .or_error(|| Error::failed(format!("cannot write {}", path.display())))?;
    Ok(value)
}
