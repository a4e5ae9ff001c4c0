//! `codex-ml registry add`.

use std::path::PathBuf;

use codex_packages::registry::Registry;
use codex_plugin_api::Result;
use serde_json::json;

use super::super::plugin::sign::{entry_path, read, sign};
use super::super::signing::{SnapshotArgs, open_key};
use super::folder;
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;

/// Arguments of `registry add`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Add packages to a registry.\n\nEach package comes with the entry that its author signed (codex-ml plugin \
                  sign), beside it as <package>.entry.json. With --sign the registry's root key signs instead: the registry \
                  vouches for the package itself. Adding the same again changes nothing; a version never changes."
)]
pub(super) struct Args {
    /// The registry's folder.
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    registry: String,
    /// The packages.
    #[arg(value_name = "PACKAGE", required = true, value_hint = clap::ValueHint::FilePath)]
    packages: Vec<PathBuf>,
    /// Sign the entries with the registry's root key.
    #[arg(long)]
    sign: bool,
    #[command(flatten)]
    snapshot: SnapshotArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let key = open_key(&args.snapshot.key.key, app)?;
    let registry = Registry::open(&folder(&args.registry, app)?)?;
    registry.check_root(&key)?;
    let mut rows = Vec::new();
    let mut added = || -> Result<()> {
        for package in &args.packages {
            let signed = if args.sign {
                sign(package, &key)?
            } else {
                read(&entry_path(package))?
            };
            let added = registry.add(package, &signed.line, &signed.key)?;
            if let Some(other) = &added.resembles {
                app.output.warn(plain(&format!(
                    "the name {} could be mistaken for {other}, which is in the registry already",
                    added.entry.name
                )));
            }
            rows.push((added, signed.key.id()));
        }
        Ok(())
    };
    let result = added();
    // What was added before an error stays, so it must be signed.
    let snapshot = registry.renew(&key, args.snapshot.expires())?;
    if app.output.is_json() {
        let rows: Vec<_> = rows
            .iter()
            .map(|(added, key)| {
                json!({"id": added.entry.name, "version": added.entry.version, "key": key, "again": added.again})
            })
            .collect();
        if result.is_ok() {
            app.output.value(
                &json!({"added": rows, "snapshot": snapshot.version, "expires": snapshot.expires}),
            )?;
        }
    } else {
        for (added, key) in &rows {
            let entry = &added.entry;
            let again = if added.again {
                " (it was there already)"
            } else {
                ""
            };
            app.output.line(plain(&format!(
                "added {} {}{again}, signed with key {key}",
                entry.name, entry.version
            )))?;
        }
        app.output.note(format!(
            "snapshot {} until {}",
            snapshot.version, snapshot.expires
        ));
    }
    result.map(|()| Exit::Done)
}
