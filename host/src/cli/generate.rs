//! `codex-ml generate`: continues prompts with a model folder.

use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};
use indicatif::ProgressBar;

use super::adapters::AdapterArgs;
use super::input;
use crate::app::App;
use crate::exit::Exit;
use crate::generate::{Sampling, Settings, generate, prompt_ids};
use crate::sanitize::clean_prompts;
use crate::task::Task;

/// Arguments of `generate`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Continue texts with a model.\n\nPrints each prompt followed by its continuation, as it is generated \
                  when there is one prompt. With --json, prints one object a prompt: text (the continuation alone), \
                  tokens, and finish_reason: eos (the model ended the text), length (--max-new-tokens or the model's \
                  longest sequence was reached), stop (a --stop text came) or blocked (every token would have completed a \
                  --block text).\n\nA prompt is continued alike alone and \
                  together with others; the same prompt given twice is continued in two ways. What is left to draw from \
                  is narrowed in this order: repetition penalty, temperature, top-k, top-p, min-p.",
    after_help = "Examples:\n  codex-ml generate --model runs/first/model --prompt \"The old man\"\n  codex-ml generate \
                  --model runs/first/model --prompt \"The old man\" --temperature 0 --json\n  cat letter.txt | codex-ml \
                  generate --model runs/first/model --prompt - --stop \"\\n\\n\"\n  codex-ml generate --model runs/first/model \
                  --adapter runs/tuned/model --adapter-weight 0.5 --prompt \"The\""
)]
pub(super) struct Args {
    /// The model, or an adapter of it: a folder that training exported (runs/NAME/model), or a Hugging Face model's.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    model: PathBuf,
    #[command(flatten)]
    adapters: AdapterArgs,
    /// The text to continue; repeatable; - reads it from standard input; "" lets the model begin.
    #[arg(
        long,
        value_name = "TEXT|-",
        required_unless_present = "prompts",
        allow_hyphen_values = true
    )]
    prompt: Vec<String>,
    /// Continue every line of this file, or of standard input (-).
    #[arg(long, value_name = "FILE|-", value_hint = clap::ValueHint::FilePath)]
    prompts: Option<PathBuf>,
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
    /// Draw from tokens with at least P times the likeliest one's probability only; 0 from all.
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    min_p: f64,
    /// Make tokens that prompt and continuation hold less likely (above 1); 1 changes nothing.
    #[arg(
        long,
        value_name = "R",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    repetition_penalty: f64,
    /// Another seed gives another text; the same seed the same.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Stop where this text would come, without it; repeatable; \n and \t are understood.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    stop: Vec<String>,
    /// Never generate this text: tokens that would complete it are not drawn; repeatable; \n and \t are understood.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    block: Vec<String>,
    /// Never generate any line of this file.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    block_file: Vec<PathBuf>,
    /// Let ASCII letters in blocked texts stand for both cases.
    #[arg(long)]
    block_ignore_case: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        min_p: args.min_p,
        repetition_penalty: args.repetition_penalty,
        seed: args.seed,
    };
    sampling.check()?;
    let sanitizers = app.sanitizers()?;
    let texts = prompts(&args.prompt, args.prompts.as_deref())?;
    let texts = clean_prompts(texts, &sanitizers, &app.output)?;
    let folder = args.adapters.open(&args.model)?;
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
        blocked: blocked(&args.block, &args.block_file)?,
        blocked_ignore_case: args.block_ignore_case,
    };
    // A bare decoder gives embeddings where nobody asks for anything else, and asked for it can often continue texts; a
    // model with another head says itself that it cannot.
    let mut model = match folder.task()? {
        Task::CausalLm => folder.load_model_for(Task::CausalLm, app)?,
        _ => folder.load_model(app)?,
    };

    let output = &app.output;
    let streaming = !output.is_json() && texts.len() == 1;
    let mut begun = false;
    let begin = |begun: &mut bool, bar: &ProgressBar| -> Result<()> {
        if !*begun {
            bar.finish_and_clear();
            output.write(&texts[0])?;
            *begun = true;
        }
        Ok(())
    };
    // Until text comes: sanitizers hold back what may yet become a finding.
    let bar = output.bar(
        args.max_new_tokens * texts.len() as u64,
        "generating {wide_bar} {human_pos}/{human_len} tokens, {eta} left",
    );
    let mut show = |_: usize, text: &str| {
        if !begun {
            bar.inc(1);
        }
        if streaming && !text.is_empty() {
            begin(&mut begun, &bar)?;
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
        begin(&mut begun, &bar)?;
    }
    bar.finish_and_clear();
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

/// All blocked texts: those of the command line, then the lines of the files. Empty lines block nothing.
fn blocked(given: &[String], files: &[PathBuf]) -> Result<Vec<String>> {
    let mut blocked: Vec<String> = given.iter().map(|text| unescape(text)).collect();
    for file in files {
        let text = std::fs::read_to_string(file).or_error(|| {
            Error::config(format!("cannot read the blocked texts {}", file.display()))
                .hint("it must be a readable text in UTF-8 with a text to block on every line")
        })?;
        let lines = text.lines().filter(|line| !line.is_empty());
        blocked.extend(lines.map(str::to_owned));
    }
    Ok(blocked)
}

/// All prompts: those of the command line, then the lines of a file.
fn prompts(given: &[String], file: Option<&Path>) -> Result<Vec<String>> {
    let standard = file.is_some_and(|file| file == Path::new("-"));
    let times = given.iter().filter(|prompt| *prompt == "-").count() + usize::from(standard);
    if times > 1 {
        return Err(
            Error::config("standard input is asked for twice, and it can be read once")
                .hint("give - to one of --prompt and --prompts, once"),
        );
    }
    let mut prompts = given
        .iter()
        .map(|prompt| {
            if prompt == "-" {
                input::read_prompt()
            } else {
                Ok(prompt.clone())
            }
        })
        .collect::<Result<Vec<_>>>()?;
    if let Some(file) = file {
        let text = if standard {
            input::read_text()?
        } else {
            std::fs::read_to_string(file).or_error(|| {
                Error::data(format!("cannot read the prompts {}", file.display()))
                    .hint("it must be a readable text in UTF-8 with a prompt on every line")
            })?
        };
        prompts.extend(text.lines().map(str::to_owned));
    }
    if prompts.is_empty() {
        return Err(Error::data("there is no prompt in the input")
            .hint("write one prompt on each line; an empty line lets the model begin"));
    }
    Ok(prompts)
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
#[allow(clippy::unwrap_used, reason = "tests")]
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
    fn lines_of_a_file_are_blocked_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("blocked.txt");
        std::fs::write(&file, "one two\r\n\nthree\n").unwrap();
        let found = blocked(&["a\\tb".to_owned()], std::slice::from_ref(&file)).unwrap();
        assert_eq!(found, ["a\tb", "one two", "three"]);
        let error = blocked(&[], &[folder.path().join("none")]).unwrap_err();
        assert!(
            error.message().contains("cannot read the blocked texts"),
            "{error}"
        );
    }

    #[test]
    fn standard_input_is_read_once() {
        let given = ["-".to_owned(), "a".to_owned(), "-".to_owned()];
        assert!(prompts(&given, None).is_err());
        assert!(prompts(&given[..1], Some(Path::new("-"))).is_err());
    }

    #[test]
    fn every_line_of_a_file_is_a_prompt() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prompts.txt");
        std::fs::write(&file, "one\r\n\nthree\n").unwrap();
        let found = prompts(&["zero".to_owned()], Some(&file)).unwrap();
        assert_eq!(found, ["zero", "one", "", "three"]);
        std::fs::write(&file, "").unwrap();
        assert!(prompts(&[], Some(&file)).is_err());
        assert!(prompts(&[], Some(&folder.path().join("none"))).is_err());
    }
}
