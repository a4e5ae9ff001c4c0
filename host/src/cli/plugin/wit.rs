//! `codex-ml plugin wit`.

use std::path::PathBuf;

use codex_plugin_api::{Kind, Result};
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::build::{c, wit};

/// Arguments of `plugin wit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder to write into.
    #[arg(short, long, value_name = "DIR", default_value = "wit", value_hint = clap::ValueHint::DirPath)]
    output: PathBuf,
    /// Write the C bindings for a plugin of these kinds too, into the folder c below; several with commas.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    c: Vec<Kind>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    wit::write(&args.output)?;
    let mut files: Vec<PathBuf> = wit::FILES
        .iter()
        .map(|(name, _)| args.output.join(name))
        .collect();
    let mut header = None;
    if !args.c.is_empty() {
        let mut kinds = args.c.clone();
        kinds.sort_unstable();
        kinds.dedup();
        let folder = args.output.join("c");
        let name = c::write_bindings(&kinds, &folder)?;
        files.push(folder.join(&name));
        header = Some(folder.join(name));
    }
    if app.output.is_json() {
        app.output.value(&json!({"files": files}))?;
        return Ok(Exit::Done);
    }
    let wrote = |what: String| app.output.line(plain(&format!("wrote {what}")));
    wrote(format!(
        "{} files into {}",
        wit::FILES.len(),
        args.output.display()
    ))?;
    if let Some(header) = header {
        wrote(format!("the C bindings {}", header.display()))?;
    }
    Ok(Exit::Done)
}
