//! `codex-ml tokenizer train`.

use std::path::PathBuf;

use codex_plugin_api::Result;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::cli::settings::{self, Setting};
use crate::data::{DataSource, train_tokenizer};
use crate::exit::Exit;

/// Arguments of `tokenizer train`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  codex-ml tokenizer train --data book.txt --output my-tokenizer vocab_size=8000\n  codex-ml \
                  tokenizer train --data reviews.csv --output my-tokenizer data.text_column=body algorithm=unigram\n\nKeys \
                  without data. are the tokenizer plugin's; a wrong one is answered with those that exist."
)]
pub(super) struct Args {
    /// The text to learn from: a file, a folder (./NAME), or a dataset's name.
    #[arg(long, value_name = "NAME|PATH", value_hint = clap::ValueHint::AnyPath)]
    data: String,
    /// Where to save the tokenizer; created when it is not there.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    output: PathBuf,
    /// The tokenizer plugin.
    #[arg(long, value_name = "NAME", default_value = "hf")]
    name: String,
    /// Read at most about so many bytes of text.
    #[arg(long, value_name = "N", default_value_t = 50_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    max_bytes: u64,
    /// Replace a tokenizer that is already in the folder.
    #[arg(long)]
    force: bool,
    /// Keys of the tokenizer (KEY=VALUE) and of the dataset (data.KEY=VALUE).
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let settings = Setting::parse_all(&args.settings)?;
    let options: Map<String, Value> = settings
        .iter()
        .filter(|setting| setting.data_key().is_none())
        .map(|setting| {
            // `tokenizer.vocab_size` is what a run's config calls it.
            let key = setting
                .key
                .strip_prefix("tokenizer.")
                .unwrap_or(&setting.key);
            (key.to_owned(), setting.value.clone())
        })
        .collect();
    let mut tokenizer = app
        .registry()?
        .create_tokenizer(&args.name, &Value::Object(options))?;
    let mut source = DataSource::from_argument(&args.data)?;
    settings::apply_data(&mut source, &settings)?;
    let documents = source.open(app)?;
    super::output_folder(&args.output, args.force)?;
    let bytes = train_tokenizer(&[documents], tokenizer.as_mut(), args.max_bytes, app)?;
    super::save(tokenizer.as_ref(), &args.name, &args.output)?;
    let vocabulary = tokenizer.vocabulary()?;
    if app.output.is_json() {
        app.output.value(&json!({
            "tokenizer": args.output,
            "size": vocabulary.size,
            "bytes": bytes,
            "fingerprint": vocabulary.fingerprint,
        }))?;
    } else {
        let size = vocabulary.size;
        let output = args.output.display();
        app.output.line(format!(
            "{size} tokens learned from {bytes} bytes of {}, saved in {output}",
            source.label()
        ))?;
    }
    Ok(Exit::Done)
}
