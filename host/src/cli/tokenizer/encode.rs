//! `codex-ml tokenizer encode`.

use codex_plugin_api::{EncodeOptions, Error, ErrorKind, Result, TextBuffer, Tokenizer};
use serde_json::{Value, json};

use super::Chosen;
use crate::app::App;
use crate::cli::input;
use crate::exit::Exit;

/// Arguments of `tokenizer encode`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Turn text into token ids.\n\nPrints the ids of each text on a line. With --json, prints one object a \
                  text: ids, tokens (as the vocabulary writes them), and byte_offsets (where in the text each token \
                  starts and ends).",
    after_help = "Examples:\n  codex-ml tokenizer encode --tokenizer my-tokenizer \"Hello world\"\n  codex-ml tokenizer \
                  encode --tokenizer my-tokenizer --lines --json < names.txt"
)]
pub(super) struct Args {
    #[command(flatten)]
    from: Chosen,
    /// The texts; standard input when there is none.
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Take every line of standard input for a text of its own.
    #[arg(long, conflicts_with = "texts")]
    lines: bool,
    /// Add the special tokens that the tokenizer puts around a text.
    #[arg(long)]
    special_tokens: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let tokenizer = args.from.load(app)?;
    let texts: TextBuffer = if args.texts.is_empty() {
        let text = input::read_text()?;
        if args.lines {
            text.lines().collect()
        } else {
            [text].into_iter().collect()
        }
    } else {
        args.texts.iter().collect()
    };
    let options = EncodeOptions {
        add_special_tokens: args.special_tokens,
        parse_special_tokens: args.special_tokens,
        byte_offsets: app.output.is_json(),
        max_length: 0,
    };
    let encoding = tokenizer.encode(texts.as_texts(), options)?;
    let sequences = encoding.sequences()?;
    if sequences.len() != texts.len()
        || (options.byte_offsets && encoding.byte_offsets.len() != 2 * encoding.ids.len())
    {
        return Err(Error::new(
            ErrorKind::Plugin,
            format!(
                "the tokenizer gave {} sequences and {} byte offsets for {} texts and {} ids",
                sequences.len(),
                encoding.byte_offsets.len(),
                texts.len(),
                encoding.ids.len()
            ),
        ));
    }
    let mut spans = encoding.byte_offsets.as_chunks::<2>().0.iter();
    for ids in sequences.iter() {
        if app.output.is_json() {
            let spans: Vec<&[u32; 2]> = spans.by_ref().take(ids.len()).collect();
            app.output.value(&json!({"ids": ids, "tokens": tokens(tokenizer.as_ref(), ids)?, "byte_offsets": spans}))?;
        } else {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            app.output.line(ids.join(" "))?;
        }
    }
    Ok(Exit::Done)
}

fn tokens(tokenizer: &dyn Tokenizer, ids: &[u32]) -> Result<Vec<Value>> {
    ids.iter()
        .map(|&id| Ok(tokenizer.token_text(id)?.into()))
        .collect()
}
