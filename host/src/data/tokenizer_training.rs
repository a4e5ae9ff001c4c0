//! Feeds documents to a tokenizer that learns. What it learns, and how, is the tokenizer plugin's.

use codex_plugin_api::{Error, Result, TextBuffer, Tokenizer};

use super::documents::Documents;
use super::encode::DocumentReader;
use crate::app::App;

/// Text that one call of the tokenizer gets.
const BATCH_BYTES: u64 = 1 << 20;

/// Trains an untrained tokenizer on documents from the beginning, until about `max_bytes` of text were seen; gives the
/// number of bytes.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] when there is no text, [`codex_plugin_api::ErrorKind::Interrupted`], and what
/// dataset and tokenizer say.
pub fn train_tokenizer(
    documents: &Documents,
    tokenizer: &mut dyn Tokenizer,
    max_bytes: u64,
    app: &App,
) -> Result<u64> {
    let bar = app.output.bar(
        documents.len(),
        "reading text for the tokenizer {wide_bar} {human_pos}/{human_len} documents",
    );
    let mut reader = DocumentReader::new(documents, None, BATCH_BYTES.min(max_bytes.max(1)));
    let mut bytes = 0;
    while bytes < max_bytes
        && let Some(batch) = reader.read()?
    {
        if app.interrupt.requested() {
            return Err(Error::interrupted());
        }
        let texts: TextBuffer = batch
            .iter()
            .map(|document| &document.text)
            .filter(|text| !text.is_empty())
            .collect();
        bytes += texts.as_texts().bytes().len() as u64;
        tokenizer.feed(texts.as_texts())?;
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    if bytes == 0 {
        return Err(Error::data(format!(
            "none of the {} documents holds any text in column {:?}, so a tokenizer has nothing to learn from",
            documents.len(),
            documents.column()
        )));
    }
    let spinner = app
        .output
        .bar(0, "training the tokenizer {spinner} {elapsed}");
    let done = tokenizer.finish_training();
    spinner.finish_and_clear();
    done?;
    Ok(bytes)
}
