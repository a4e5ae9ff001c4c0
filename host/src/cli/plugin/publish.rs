//! `codex-ml plugin publish`.

use std::fs;
use std::path::{Path, PathBuf};

use codex_packages::client::Connection;
use codex_packages::registry::Registry;
use codex_packages::transport::Address;
use codex_plugin_api::{Context, Error, Result};
use serde_json::json;

use super::super::registry::named;
use super::super::signing::{SnapshotArgs, open_key};
use super::sign::{Signed, entry_path, sign, write};
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;

/// Arguments of `plugin publish`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Sign a package and add it to a registry in a folder, or lay out what the owner of a registry needs.\n\nA \
                  registry says something new only when its root key signs: --registry-key names that key where it is not \
                  the author's own. Without it, use --to-folder and hand the two files to the registry's owner, who runs \
                  codex-ml registry add.",
    after_help = "Examples:\n  codex-ml plugin publish shout-1.0.0.tar.zst --to file:///srv/plugins\n  codex-ml plugin publish \
                  shout-1.0.0.tar.zst --to work --key author --registry-key work-root\n  codex-ml plugin publish \
                  shout-1.0.0.tar.zst --to-folder upload"
)]
pub(super) struct Args {
    /// The package.
    #[arg(value_name = "PACKAGE", value_hint = clap::ValueHint::FilePath)]
    package: PathBuf,
    /// The registry: file:///…, a folder, or the name of one that is connected and is a folder.
    #[arg(long, value_name = "REGISTRY", required_unless_present = "to_folder")]
    to: Option<String>,
    /// Copy the package and its signed entry into this folder instead.
    #[arg(long, value_name = "DIR", conflicts_with = "to", value_hint = clap::ValueHint::DirPath)]
    to_folder: Option<PathBuf>,
    #[command(flatten)]
    sign: SnapshotArgs,
    /// The registry's root key [default: the key above].
    #[arg(long, value_name = "NAME|FILE", value_hint = clap::ValueHint::FilePath)]
    registry_key: Option<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let key = open_key(&args.sign.key.key, app)?;
    let signed = sign(&args.package, &key)?;
    if let Some(folder) = &args.to_folder {
        return lay_out(&args.package, &signed, folder, app);
    }
    let Connection { address, .. } = named(args.to.as_deref().unwrap_or_default(), None, app)?;
    let Address::Folder(root) = &address else {
        return Err(Error::config(format!(
            "registry {} is on a web server, which is not written to from here",
            address.url()
        ))
        .hint("--to-folder lays out the files for its owner"));
    };
    let registry = Registry::open(root)?;
    let root_key = match &args.registry_key {
        Some(text) => open_key(text, app)?,
        None => key,
    };
    registry.check_root(&root_key).map_err(|error| {
        error.hint("give the registry's root key with --registry-key, or hand the package to its owner: --to-folder DIR")
    })?;
    let added = registry.add(&args.package, &signed.line, &signed.key)?;
    if let Some(other) = &added.resembles {
        app.output.warn(plain(&format!(
            "the name {} could be mistaken for {other}, which is in the registry already",
            added.entry.name
        )));
    }
    let snapshot = registry.renew(&root_key, args.sign.expires())?;
    let entry = &added.entry;
    if app.output.is_json() {
        app.output.value(&json!({
            "id": entry.name, "version": entry.version, "registry": registry.about().name, "url": address.url(),
            "key": signed.key.id(), "again": added.again, "snapshot": snapshot.version, "expires": snapshot.expires,
        }))?;
        return Ok(Exit::Done);
    }
    let again = if added.again {
        " (it was there already)"
    } else {
        ""
    };
    app.output.line(plain(&format!(
        "published {} {}{again} in registry {}, signed with key {}\n  {}, snapshot {} until {}",
        entry.name,
        entry.version,
        registry.about().name,
        signed.key.id(),
        address.url(),
        snapshot.version,
        snapshot.expires,
    )))?;
    Ok(Exit::Done)
}

fn lay_out(package: &Path, signed: &Signed, folder: &Path, app: &App) -> Result<Exit> {
    let failed = || Error::failed(format!("cannot write into {}", folder.display()));
    fs::create_dir_all(folder).or_error(failed)?;
    let name = codex_packages::archive::file_name(&signed.entry.name, &signed.entry.version);
    let to = folder.join(name);
    fs::copy(package, &to).or_error(failed)?;
    let entry = entry_path(&to);
    write(&entry, signed)?;
    if app.output.is_json() {
        app.output.value(&json!({
            "id": signed.entry.name, "version": signed.entry.version, "key": signed.key.id(), "files": [to, entry],
        }))?;
        return Ok(Exit::Done);
    }
    app.output.line(plain(&format!(
        "laid out {} {} for a registry's owner, signed with key {}\n  {}\n  {}\n  codex-ml registry add DIR {}",
        signed.entry.name,
        signed.entry.version,
        signed.key.id(),
        to.display(),
        entry.display(),
        to.display(),
    )))?;
    Ok(Exit::Done)
}
