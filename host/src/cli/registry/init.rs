//! `codex-ml registry init`.

use std::path::{Path, PathBuf};

use codex_packages::registry::Registry;
use codex_packages::transport::Address;
use codex_plugin_api::Result;
use serde_json::json;

use super::super::signing::{SnapshotArgs, open_key};
use crate::app::App;
use crate::exit::Exit;

/// Arguments of `registry init`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Make a registry in a folder.\n\nThe key becomes its root key: it signs everything that the registry says, \
                  and users pin it. Serve the folder with any web server, or share it as it is."
)]
pub(super) struct Args {
    /// The folder.
    #[arg(value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
    /// What the registry calls itself [default: the folder's name].
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    sign: SnapshotArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let key = open_key(&args.sign.key.key, app)?;
    let address = Address::parse(
        &args.dir.to_string_lossy(),
        &std::env::current_dir().unwrap_or_default(),
    )?;
    let root = match &address {
        Address::Folder(root) => root.as_path(),
        Address::Web(_) => args.dir.as_path(),
    };
    let usual = || {
        root.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase()
    };
    let name = args.name.clone().unwrap_or_else(usual);
    Registry::init(root, &name, &key, args.sign.expires())?;
    report(
        &name,
        root,
        &address,
        &key.public().id(),
        &key.public().text(),
        app,
    )
}

fn report(
    name: &str,
    root: &Path,
    address: &Address,
    id: &str,
    text: &str,
    app: &App,
) -> Result<Exit> {
    let url = address.url();
    if app.output.is_json() {
        app.output.value(
            &json!({"name": name, "folder": root, "url": url, "key": id, "public_key": text}),
        )?;
        return Ok(Exit::Done);
    }
    app.output.line(format!(
        "made registry {name} in {}, root key {id}\n  codex-ml plugin publish PACKAGE --to {url}\n  codex-ml registry connect {name} {url} --key {text}",
        root.display()
    ))?;
    Ok(Exit::Done)
}
