//! `codex-ml registry connect`.

use codex_packages::client::{Connection, Known};
use codex_packages::keys::{PublicKey, key_id};
use codex_packages::project::{Connected, ProjectFile};
use codex_packages::transport::Address;
use codex_plugin_api::{Context, Error, Result};
use serde_json::json;

use super::client;
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::packages::{Room, Which};
use crate::plugins::trust;

/// Arguments of `registry connect`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Use a registry: check its snapshot, pin its root key, and name it in codex-plugins.toml.\n\nWithout --key the \
                  key that the registry has now is pinned: compare its id with what the owner says. With --key it must be \
                  that one, also in place of a key that was pinned before. Registries are asked in the order of the file, \
                  the project's before yours.",
    after_help = "Examples:\n  codex-ml registry connect work https://plugins.example.org\n  codex-ml registry connect lab \
                  /srv/plugins --key RWQ… --project"
)]
pub(super) struct Args {
    /// What to call it.
    name: String,
    /// https://…, file:///… or a folder.
    #[arg(value_name = "ADDRESS", value_hint = clap::ValueHint::DirPath)]
    address: String,
    /// Its root key: the public key, or a file with it.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Name it in the project's file instead of yours.
    #[arg(long)]
    project: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let here =
        std::env::current_dir().or_error(|| Error::failed("there is no working directory"))?;
    let key = args.key.as_deref().map(PublicKey::read).transpose()?;
    let connection = Connection::new(
        &args.name,
        &args.address,
        key.as_ref().map(PublicKey::text).as_deref(),
        &here,
    )?;
    let data = app.folders.data()?;
    let before = Known::read(data, &connection.address)?;
    let replaced = before
        .as_ref()
        .filter(|known| key.as_ref().is_some_and(|key| key.text() != known.key));
    let client = checked(connection.clone(), replaced.is_some(), app)?;
    let believed = client.snapshot()?;
    if believed.first_use {
        let before = replaced.map(|known| key_id(&known.key)).transpose()?;
        trust::open(data)?.record_registry(
            &client.url(),
            &believed.root.id(),
            before.as_deref(),
        )?;
    }
    let room = Room::open(
        app,
        if args.project {
            Which::Project
        } else {
            Which::User
        },
    )?;
    let mut file = ProjectFile::open(&room.scope.project_file())?;
    // A relative path means the same to everybody who has the project only where it starts at the project's folder.
    let relative = matches!(connection.address, Address::Folder(_))
        && args.project
        && room.scope.folder == here;
    let url = if relative {
        args.address.clone()
    } else {
        client.url()
    };
    file.connect(&Connected {
        name: args.name.clone(),
        url: url.clone(),
        key: key.as_ref().map(PublicKey::text),
    });
    file.save()?;
    let id = believed.root.id();
    if app.output.is_json() {
        app.output.value(&json!({
            "name": args.name, "url": client.url(), "key": id, "public_key": believed.root.text(),
            "first_use": believed.first_use && key.is_none(), "replaced": replaced.is_some(), "plugins": client.names()?.len(),
            "snapshot": believed.snapshot.version, "expires": believed.snapshot.expires, "file": room.scope.project_file(),
        }))?;
        return Ok(Exit::Done);
    }
    app.output.line(plain(&format!(
        "connected {} ({}): {} plugins, root key {id}\n  named in {}",
        args.name,
        client.url(),
        client.names()?.len(),
        room.scope.project_file().display()
    )))?;
    if believed.first_use && key.is_none() {
        app.output.note(format!(
            "key {id} is pinned because it is the first one seen: compare it with what the registry's owner says"
        ));
    }
    Ok(Exit::Done)
}

/// A client that has believed the registry. Where the user named another key than the pinned one, the new one must be
/// proven before the old one is forgotten.
fn checked(
    connection: Connection,
    replaces: bool,
    app: &App,
) -> Result<codex_packages::client::Client> {
    if replaces {
        let folder =
            tempfile::tempdir().or_error(|| Error::failed("cannot create a temporary folder"))?;
        let options = codex_packages::client::Options {
            cache: folder.path().join("cache"),
            data: folder.path().join("data"),
            offline: false,
            now: std::time::SystemTime::now(),
        };
        codex_packages::client::Client::new(connection.clone(), options).snapshot()?;
        Known::forget(app.folders.data()?, &connection.address)?;
    }
    let client = client(connection, app)?;
    client.snapshot()?;
    Ok(client)
}
