//! `codex-ml tokenizer decode`.

use codex_plugin_api::{Error, Ids, Result};
use serde_json::json;

use super::Chosen;
use crate::app::App;
use crate::cli::input;
use crate::exit::Exit;

/// Arguments of `tokenizer decode`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Turn token ids into text.\n\nIds on the command line are one text; of standard input every line is \
                  one. With --json, prints one object a text: text.",
    after_help = "Examples:\n  codex-ml tokenizer decode --tokenizer my-tokenizer 15496 995\n  codex-ml tokenizer encode \
                  --tokenizer my-tokenizer \"Hello\" | codex-ml tokenizer decode --tokenizer my-tokenizer"
)]
pub(super) struct Args {
    #[command(flatten)]
    from: Chosen,
    /// The ids, with blanks or commas between; standard input when there is none.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Leave special tokens out of the text.
    #[arg(long)]
    skip_special_tokens: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let tokenizer = args.from.load(app)?;
    let lines: Vec<String> = if args.ids.is_empty() {
        input::read_text()?.lines().map(str::to_owned).collect()
    } else {
        vec![args.ids.join(" ")]
    };
    let (mut ids, mut offsets) = (Vec::new(), vec![0]);
    for line in &lines {
        parse(line, &mut ids)?;
        offsets.push(ids.len() as u64);
    }
    let texts = tokenizer.decode(Ids::new(&ids, &offsets)?, args.skip_special_tokens)?;
    for text in texts.as_texts().iter() {
        if app.output.is_json() {
            app.output.value(&json!({"text": text}))?;
        } else {
            app.output.line(text)?;
        }
    }
    Ok(Exit::Done)
}

fn parse(line: &str, ids: &mut Vec<u32>) -> Result<()> {
    let words = line.split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']'));
    for word in words.filter(|word| !word.is_empty()) {
        let id = word.parse().map_err(|_| {
            Error::config(format!("{word:?} is not a token id"))
                .hint("ids are whole numbers from 0")
        })?;
        ids.push(id);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn ids_come_in_any_usual_spelling() {
        for line in ["1 2 3", "1,2,3", "[1, 2, 3]", " 1\t2  3 "] {
            let mut ids = Vec::new();
            parse(line, &mut ids).unwrap();
            assert_eq!(ids, [1, 2, 3], "{line}");
        }
        for line in ["one", "-1", "1.5", "99999999999"] {
            let error = parse(line, &mut Vec::new()).unwrap_err();
            assert!(error.message().contains("is not a token id"), "{error}");
        }
    }
}
