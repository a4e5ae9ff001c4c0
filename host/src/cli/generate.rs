//! `codex-ml generate`: continues prompts with a model folder.

use std::path::PathBuf;

use codex_plugin_api::{Error, Result};

use super::input;
use crate::app::App;
use crate::exit::Exit;
use crate::generate::{Sampling, Settings, generate, prompt_ids};
use crate::model_folder::ModelFolder;

/// Arguments of `generate`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Continue texts with a model.\n\nPrints each prompt followed by its continuation, as it is generated \
                  when there is one prompt. With --json, prints one object a prompt: text (the continuation alone), \
                  tokens, and finish_reason: eos (the model ended the text), length (--max-new-tokens or the model's \
                  longest sequence was reached) or stop (a --stop text came).",
    after_help = "Examples:\n  codex-ml generate --model runs/first/model --prompt \"The old man\"\n  codex-ml generate \
                  --model runs/first/model --prompt \"The old man\" --temperature 0 --json\n  cat letter.txt | codex-ml \
                  generate --model runs/first/model --prompt - --stop \"\\n\\n\""
)]
pub(super) struct Args {
    /// The model: a folder that training exported (runs/NAME/model), or a Hugging Face model's.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    model: PathBuf,
    /// The text to continue; repeatable; - reads it from standard input; "" lets the model begin.
    #[arg(
        long,
        value_name = "TEXT|-",
        required = true,
        allow_hyphen_values = true
    )]
    prompt: Vec<String>,
    /// Generate at most so many tokens for each prompt.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..))]
    max_new_tokens: u64,
    /// How daring to be: 0 always takes the likeliest token, 1 draws as the model says.
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.8,
        allow_negative_numbers = true
    )]
    temperature: f64,
    /// Draw from the K likeliest tokens only; 0 from all.
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Draw from the likeliest tokens that together have the probability P; 1 from all.
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.95,
        allow_negative_numbers = true
    )]
    top_p: f64,
    /// Another seed gives another text; the same seed the same.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Stop where this text would come, without it; repeatable; \n and \t are understood.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    stop: Vec<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        seed: args.seed,
    };
    sampling.check()?;
    let texts = prompts(&args.prompt)?;
    let folder = ModelFolder::open(&args.model)?;
    let tokenizer = folder.load_tokenizer(app)?;
    // Our own models saw every document begin with the tokenizer's first token; others were made by their own rules.
    let prompts = texts
        .iter()
        .map(|text| prompt_ids(tokenizer.as_ref(), text, !folder.is_export()))
        .collect::<Result<Vec<_>>>()?;
    let settings = Settings {
        sampling,
        max_new_tokens: args.max_new_tokens,
        stop: args.stop.iter().map(|stop| unescape(stop)).collect(),
        end_tokens: folder.end_tokens(tokenizer.as_ref())?,
    };
    let mut model = folder.load_model(app)?;

    let output = &app.output;
    let streaming = !output.is_json() && texts.len() == 1;
    let mut begun = false;
    let mut show = |_: usize, text: &str| {
        if streaming {
            if !begun {
                output.write(&texts[0])?;
                begun = true;
            }
            output.write(text)?;
        }
        Ok(())
    };
    let completions = generate(
        model.as_mut(),
        tokenizer.as_ref(),
        &prompts,
        &settings,
        app,
        &mut show,
    );
    if streaming && completions.is_ok() {
        // The text may have ended without a single character.
        show(0, "")?;
    }
    if begun {
        // The line ends whatever happened, so that an error does not stand behind half a text.
        output.write("\n")?;
    }
    let completions = completions?;
    for (index, (prompt, completion)) in texts.iter().zip(&completions).enumerate() {
        if output.is_json() {
            output.value(completion)?;
        } else if !streaming {
            let gap = if index > 0 { "\n" } else { "" };
            output.line(format!("{gap}{prompt}{}", completion.text))?;
        }
    }
    Ok(Exit::Done)
}

fn prompts(given: &[String]) -> Result<Vec<String>> {
    if given.iter().filter(|prompt| *prompt == "-").count() > 1 {
        return Err(Error::config(
            "--prompt - is given twice, and standard input can be read once",
        ));
    }
    given
        .iter()
        .map(|prompt| {
            if prompt == "-" {
                input::read_prompt()
            } else {
                Ok(prompt.clone())
            }
        })
        .collect()
}

/// Line breaks and tabs as one writes them in a shell.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('\\') | None => plain.push('\\'),
            Some(other) => plain.extend(['\\', other]),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_texts_may_hold_line_breaks() {
        for (given, expected) in [
            ("\\n\\n", "\n\n"),
            ("a\\tb", "a\tb"),
            ("\\\\n", "\\n"),
            ("C:\\x", "C:\\x"),
            ("end\\", "end\\"),
        ] {
            assert_eq!(unescape(given), expected);
        }
    }

    #[test]
    fn standard_input_is_read_once() {
        let given = ["-".to_owned(), "a".to_owned(), "-".to_owned()];
        assert!(prompts(&given).is_err());
    }
}
