//! `codex-ml registry mirror`.

use std::path::PathBuf;

use codex_plugin_api::Result;
use serde_json::json;

use super::looking;
use crate::app::App;
use crate::exit::Exit;

/// Arguments of `registry mirror`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Copy a registry into a folder, or bring an earlier copy up to date.\n\nThe copy is the same byte for byte, \
                  so the root key of the original vouches for it, and its users need nothing else. Every signature is \
                  checked on the way. It expires with the original: copy again before that."
)]
pub(super) struct Args {
    /// The registry: a URL, a folder, or the name of one that is connected.
    #[arg(value_name = "REGISTRY")]
    registry: String,
    /// The folder of the copy.
    #[arg(value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
    /// Copy the archives of this plugin only; repeatable.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Its root key, where it is not connected: without it, the key that it names itself is believed.
    #[arg(long, value_name = "KEY")]
    root_key: Option<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let (client, _folder) = looking(&args.registry, args.root_key.as_deref(), app)?;
    let mirrored = codex_packages::registry::mirror(&client, &args.dir, &args.only)?;
    if app.output.is_json() {
        app.output.value(&json!({
            "url": client.url(), "folder": args.dir, "snapshot": mirrored.snapshot, "plugins": mirrored.plugins,
            "copied": mirrored.copied, "kept": mirrored.kept, "bytes": mirrored.bytes,
        }))?;
        return Ok(Exit::Done);
    }
    app.output.line(format!(
        "{} has snapshot {} of {}: {} plugins, {} archives copied ({} bytes), {} kept",
        args.dir.display(),
        mirrored.snapshot,
        client.url(),
        mirrored.plugins,
        mirrored.copied,
        mirrored.bytes,
        mirrored.kept
    ))?;
    Ok(Exit::Done)
}
