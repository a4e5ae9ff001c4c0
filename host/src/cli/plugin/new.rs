//! `codex-ml plugin new`.

use std::path::PathBuf;

use codex_plugin_api::{Error, Kind, Result};
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::scaffold::{Form, Request, scaffold};

/// Arguments of `plugin new`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  codex-ml plugin new word-rate --kind metric --lang python\n  codex-ml plugin new ngrams --kind \
                  model\n  codex-ml plugin new fast-rate --kind metric --native"
)]
pub(super) struct Args {
    /// The plugin's name: lower-case letters, digits and hyphens.
    name: String,
    /// What it is: metric, dataset, tokenizer, model, tracker, sanitizer, adapter or command.
    #[arg(long, value_name = "KIND")]
    kind: Kind,
    /// The language to write it in.
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    lang: Language,
    /// For the sandbox: one file for every system, that may touch only what its user grants (the default).
    #[arg(long, conflicts_with = "native")]
    wasm: bool,
    /// Native code, in Rust alone: built for each system, with the whole authority of its user.
    #[arg(long)]
    native: bool,
    /// The folder to make [default: the plugin's name].
    #[arg(short, long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    output: Option<PathBuf>,
    /// For native plugins: a clone of codex-ml's repository or its git URL, where the crate codex-plugin-api is [default: the
    /// clone that the project lies in or beside, or that this program was built from].
    #[arg(long, value_name = "DIR|URL", value_hint = clap::ValueHint::DirPath)]
    api: Option<String>,
}

/// What templates are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    #[default]
    Rust,
    C,
    Python,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let form = match (args.lang, args.native) {
        (Language::Rust, true) => Form::Native,
        (Language::Rust, false) => Form::Rust,
        (Language::C, false) => Form::C,
        (Language::Python, false) => Form::Python,
        (Language::C | Language::Python, true) => {
            return Err(Error::config("there are native templates in Rust only")
                .hint("leave --native out to write it for the sandbox, or take --lang rust"));
        }
    };
    let folder = match &args.output {
        Some(folder) => folder.clone(),
        None => PathBuf::from(&args.name),
    };
    let request = Request {
        name: &args.name,
        kind: args.kind,
        form,
        folder: &folder,
        api: args.api.as_deref(),
    };
    let made = scaffold(request, app.registry()?.catalog())?;
    if app.output.is_json() {
        app.output.value(&json!({
            "id": args.name, "kind": args.kind, "folder": made.folder, "files": made.files,
            "runtime": if form == Form::Native { "native" } else { "wasm" },
        }))?;
        return Ok(Exit::Done);
    }
    let folder = made.folder.display();
    let lines = [
        format!("made {folder}: {}", made.files.join(", ")),
        format!("  cd {folder}"),
        "  codex-ml plugin build".to_owned(),
        format!("  codex-ml plugin test .{}", made.test_options),
        "  codex-ml plugin install .".to_owned(),
    ];
    let use_it = made.use_it.lines().map(|line| format!("  {line}"));
    let lines: Vec<String> = lines.into_iter().chain(use_it).collect();
    app.output.line(plain(&lines.join("\n")))?;
    Ok(Exit::Done)
}
