//! `codex-ml tokenizer export`.

use std::path::PathBuf;

use codex_plugin_api::Result;
use serde_json::json;

use super::Chosen;
use crate::app::App;
use crate::exit::Exit;

/// Arguments of `tokenizer export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  codex-ml tokenizer export --tokenizer runs/first/model --output my-tokenizer\n\nOlder folders \
                  (vocab.txt; vocab.json with merges.txt) get a tokenizer.json this way."
)]
pub(super) struct Args {
    #[command(flatten)]
    from: Chosen,
    /// Where to write it; created when it is not there.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    output: PathBuf,
    /// Replace a tokenizer that is already in the folder.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let folder = args.from.folder()?;
    let tokenizer = folder.load_tokenizer(app)?;
    super::output_folder(&args.output, args.force)?;
    super::save(tokenizer.as_ref(), folder.tokenizer_name(), &args.output)?;
    let size = tokenizer.vocabulary()?.size;
    if app.output.is_json() {
        app.output
            .value(&json!({"tokenizer": args.output, "size": size}))?;
    } else {
        app.output
            .line(format!("{size} tokens saved in {}", args.output.display()))?;
    }
    Ok(Exit::Done)
}
