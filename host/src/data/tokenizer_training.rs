//! Feeds documents to a tokenizer that learns. What it learns, and how, is the tokenizer plugin's.

use codex_plugin_api::{Error, Result, TextBuffer, Tokenizer};

use super::documents::Documents;
use super::encode::DocumentReader;
use crate::app::App;

/// Text that one call of the tokenizer gets.
const BATCH_BYTES: u64 = 1 << 20;

/// Trains an untrained tokenizer on documents from the beginning, until about `max_bytes` of text were seen; gives the
/// number of bytes. Of several columns each gives its share.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] when there is no text, [`codex_plugin_api::ErrorKind::Interrupted`], and what
/// dataset and tokenizer say.
pub fn train_tokenizer(
    columns: &[Documents],
    tokenizer: &mut dyn Tokenizer,
    max_bytes: u64,
    app: &App,
) -> Result<u64> {
    let total = columns.iter().map(Documents::len).sum();
    let bar = app.output.bar(
        total,
        "reading text for the tokenizer {wide_bar} {human_pos}/{human_len} documents",
    );
    let mut bytes = 0;
    for (at, documents) in columns.iter().enumerate() {
        // What a column leaves of its share is the next one's.
        let share = (max_bytes - bytes.min(max_bytes)) / (columns.len() - at) as u64;
        let until = bytes + share;
        let mut reader = DocumentReader::new(documents, None, BATCH_BYTES.min(share.max(1)));
        while bytes < until
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
    }
    bar.finish_and_clear();
    if bytes == 0 {
        let names: Vec<&str> = columns.iter().map(Documents::column).collect();
        return Err(Error::data(format!(
            "none of the {total} documents holds any text in column {:?}, so a tokenizer has nothing to learn from",
            names.join(", ")
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
