//! `codex-ml tokenizer stats`.

use codex_plugin_api::{EncodeOptions, Error, ErrorKind, Result, TextBuffer, Tokenizer};
use serde::Serialize;

use super::Chosen;
use crate::app::App;
use crate::cli::settings::{self, Setting};
use crate::data::{DataSource, DocumentReader, Documents};
use crate::exit::Exit;

/// Text that one call of the tokenizer gets.
const BATCH_BYTES: u64 = 1 << 20;

/// Arguments of `tokenizer stats`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  codex-ml tokenizer stats --tokenizer my-tokenizer --data book.txt\n\nFewer tokens for a \
                  byte mean that a model reads more text at once; a tokenizer trained on similar text has fewer."
)]
pub(super) struct Args {
    #[command(flatten)]
    from: Chosen,
    /// The text to measure on: a file, a folder (./NAME), or a dataset's name.
    #[arg(long, value_name = "NAME|PATH", value_hint = clap::ValueHint::AnyPath)]
    data: String,
    /// Only the first so many documents.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_documents: Option<u64>,
    /// Keys of the dataset: data.KEY=VALUE.
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

/// What was counted, and what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Stats {
    documents: u64,
    bytes: u64,
    words: u64,
    tokens: u64,
    tokens_per_byte: f64,
    bytes_per_token: f64,
    tokens_per_word: f64,
    unknown_tokens: u64,
    unknown_rate: f64,
    vocabulary: u32,
    vocabulary_used: u64,
    /// Documents that do not come back as they were.
    changed_documents: u64,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let settings = Setting::parse_all(&args.settings)?;
    if let Some(setting) = settings.iter().find(|setting| setting.data_key().is_none()) {
        return Err(setting.unknown("data.KEY"));
    }
    let mut source = DataSource::from_argument(&args.data)?;
    settings::apply_data(&mut source, &settings)?;
    let tokenizer = args.from.load(app)?;
    let documents = source.open(app)?;
    let stats = measure(tokenizer.as_ref(), &documents, args.max_documents, app)?;
    if app.output.is_json() {
        app.output.value(&stats)?;
    } else {
        let share = |part: u64, whole: u64| {
            format!(
                "{part} ({:.3} %)",
                100.0 * part as f64 / whole.max(1) as f64
            )
        };
        let rows = [
            ("documents", stats.documents.to_string()),
            ("bytes", stats.bytes.to_string()),
            ("words", stats.words.to_string()),
            ("tokens", stats.tokens.to_string()),
            ("tokens per byte", format!("{:.4}", stats.tokens_per_byte)),
            ("bytes per token", format!("{:.3}", stats.bytes_per_token)),
            ("tokens per word", format!("{:.3}", stats.tokens_per_word)),
            ("unknown tokens", share(stats.unknown_tokens, stats.tokens)),
            (
                "vocabulary used",
                share(stats.vocabulary_used, u64::from(stats.vocabulary)),
            ),
            (
                "documents that change",
                share(stats.changed_documents, stats.documents),
            ),
        ];
        app.output.table(
            ["measure", "value"],
            rows.map(|(name, value)| [name.to_owned(), value]),
        )?;
    }
    Ok(Exit::Done)
}

fn measure(
    tokenizer: &dyn Tokenizer,
    documents: &Documents,
    limit: Option<u64>,
    app: &App,
) -> Result<Stats> {
    let vocabulary = tokenizer.vocabulary()?;
    let mut used = vec![false; vocabulary.size as usize];
    let mut stats = Stats {
        vocabulary: vocabulary.size,
        ..Stats::default()
    };
    let total = limit.unwrap_or(u64::MAX).min(documents.len());
    let bar = app.output.bar(
        total,
        "encoding {wide_bar} {human_pos}/{human_len} documents, {eta} left",
    );
    let mut reader = DocumentReader::new(documents, limit, BATCH_BYTES);
    while let Some(batch) = reader.read()? {
        if app.interrupt.requested() {
            return Err(Error::interrupted());
        }
        let texts: TextBuffer = batch.iter().map(|document| &document.text).collect();
        let encoding = tokenizer.encode(texts.as_texts(), EncodeOptions::default())?;
        for &id in &encoding.ids {
            let slot = used.get_mut(id as usize).ok_or_else(|| {
                let size = vocabulary.size;
                Error::new(
                    ErrorKind::Plugin,
                    format!("the tokenizer gave id {id} with a vocabulary of {size}"),
                )
            })?;
            *slot = true;
            stats.unknown_tokens += u64::from(Some(id) == vocabulary.special.unk);
        }
        let decoded = tokenizer.decode(encoding.sequences()?, false)?;
        let pairs = texts.as_texts().iter().zip(decoded.as_texts().iter());
        stats.changed_documents += pairs.filter(|(text, back)| text != back).count() as u64;
        for text in texts.as_texts().iter() {
            stats.bytes += text.len() as u64;
            stats.words += text.split_whitespace().count() as u64;
        }
        stats.tokens += encoding.ids.len() as u64;
        stats.documents += batch.len() as u64;
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    let ratio = |part: u64, whole: u64| part as f64 / whole as f64;
    stats.vocabulary_used = used.iter().filter(|&&used| used).count() as u64;
    stats.tokens_per_byte = ratio(stats.tokens, stats.bytes);
    stats.bytes_per_token = ratio(stats.bytes, stats.tokens);
    stats.tokens_per_word = ratio(stats.tokens, stats.words);
    stats.unknown_rate = ratio(stats.unknown_tokens, stats.tokens);
    Ok(stats)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::{ByteTokenizer, app, documents};

    #[test]
    fn a_byte_tokenizer_has_a_token_a_byte() {
        let documents = documents(["two words", "", "č"]);
        let stats = measure(&ByteTokenizer, &documents, None, &app()).unwrap();
        let expected = Stats {
            documents: 3,
            bytes: 11,
            words: 3,
            tokens: 11,
            tokens_per_byte: 1.0,
            bytes_per_token: 1.0,
            tokens_per_word: 11.0 / 3.0,
            vocabulary: 257,
            // t w o blank r d s and the two bytes of č; o comes twice.
            vocabulary_used: 9,
            ..Stats::default()
        };
        assert_eq!(stats, expected);
        let first = measure(&ByteTokenizer, &documents, Some(1), &app()).unwrap();
        assert_eq!((first.documents, first.bytes), (1, 9));
    }
}
