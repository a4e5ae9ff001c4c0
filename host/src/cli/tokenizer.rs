//! `codex-ml tokenizer`: train, use and examine tokenizers.

mod decode;
mod encode;
mod export;
mod inspect;
mod stats;
mod train;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use codex_plugin_api::{Context, Error, Result, Tokenizer};
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::model_folder::{ModelFolder, NOTE};

/// Arguments of `tokenizer`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Train, use and examine tokenizers.\n\nA tokenizer cuts text into tokens, the numbered pieces that a \
                  model reads and writes. Its folder holds tokenizer.json; every exported model's folder and every \
                  Hugging Face model's folder is one."
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Learn a vocabulary from text.
    Train(train::Args),
    #[command(about = "Turn text into token ids")]
    Encode(encode::Args),
    #[command(about = "Turn token ids into text")]
    Decode(decode::Args),
    /// Measure how well a tokenizer suits some data: tokens a byte and a word, unknown tokens, what does not come back.
    Stats(stats::Args),
    /// Show the vocabulary, the special tokens, and the first and last tokens.
    Inspect(inspect::Args),
    /// Write a tokenizer to another folder, in the form that Hugging Face's readers open.
    Export(export::Args),
}

/// Which tokenizer.
#[derive(Debug, clap::Args)]
struct Chosen {
    /// The tokenizer's folder (with tokenizer.json): an exported model's, or a Hugging Face model's.
    #[arg(long, visible_alias = "model", value_name = "DIR", value_hint = clap::ValueHint::AnyPath)]
    tokenizer: PathBuf,
}

impl Chosen {
    fn folder(&self) -> Result<ModelFolder> {
        ModelFolder::open_tokenizer_folder(&self.tokenizer)
    }

    fn load(&self, app: &App) -> Result<Box<dyn Tokenizer>> {
        self.folder()?.load_tokenizer(app)
    }
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    match &args.command {
        Action::Train(args) => train::run(args, app),
        Action::Encode(args) => encode::run(args, app),
        Action::Decode(args) => decode::run(args, app),
        Action::Stats(args) => stats::run(args, app),
        Action::Inspect(args) => inspect::run(args, app),
        Action::Export(args) => export::run(args, app),
    }
}

/// A folder to save a tokenizer in: created when it is not there, refused when it has one, unless `force`.
fn output_folder(path: &Path, force: bool) -> Result<()> {
    let there = ["tokenizer.json", NOTE]
        .into_iter()
        .find(|name| path.join(name).exists());
    if let Some(name) = there
        && !force
    {
        return Err(
            Error::config(format!("{} already has {name}", path.display()))
                .hint("choose another folder, or add --force to replace the tokenizer in it"),
        );
    }
    fs::create_dir_all(path)
        .or_error(|| Error::failed(format!("cannot create the folder {}", path.display())))
}

/// Saves, with a note for other commands where the plugin is not the one they would take.
fn save(tokenizer: &dyn Tokenizer, name: &str, path: &Path) -> Result<()> {
    let text = path.to_str().ok_or_else(|| {
        Error::config(format!(
            "the path {} is not UTF-8, which plugins cannot take",
            path.display()
        ))
    })?;
    tokenizer.save(text)?;
    let note = path.join(NOTE);
    if name != "hf" && !note.exists() {
        let content = json!({"version": env!("CARGO_PKG_VERSION"), "tokenizer": {"name": name}});
        fs::write(&note, format!("{content:#}\n"))
            .or_error(|| Error::failed(format!("cannot write {}", note.display())))?;
    }
    Ok(())
}
