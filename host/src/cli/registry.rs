//! `codex-ml registry`: folders of packages, for who runs one and who uses one. One file a subcommand.

mod add;
mod change;
mod connect;
mod disconnect;
mod init;
mod list;
mod mirror;
mod verify;

use std::time::SystemTime;

use codex_packages::client::{Client, Connection, Options};
use codex_packages::project::ProjectFile;
use codex_packages::scope::Scope;
use codex_packages::transport::Address;
use codex_plugin_api::{Context, Error, Result};

use crate::app::App;
use crate::exit::Exit;
use crate::plugins::packages::{Room, Which};

/// Arguments of `registry`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = "Use a registry: check it, pin its key, and name it")]
    Connect(connect::Args),
    /// List the registries in use, in the order in which they are asked.
    List,
    /// Use a registry no longer.
    Disconnect(disconnect::Args),
    /// Check a whole registry: every signature, every archive (exit code 4 when something is wrong).
    Verify(verify::Args),
    #[command(about = "Copy a registry into a folder, or bring a copy up to date")]
    Mirror(mirror::Args),
    #[command(about = "Make a registry in a folder")]
    Init(init::Args),
    #[command(about = "Add packages to a registry")]
    Add(add::Args),
    #[command(about = "Take a version back for those who do not use it yet")]
    Yank(change::YankArgs),
    /// Give a yanked version back.
    Unyank(change::UnyankArgs),
    #[command(about = "Forbid a version, or everything signed with a key")]
    Revoke(change::RevokeArgs),
    #[command(
        about = "Hand a plugin's name to another key, with what codex-ml plugin key rotate wrote"
    )]
    Rotate(change::RotateArgs),
    #[command(about = "Sign the registry as it is, so that its users go on believing it")]
    Renew(change::RenewArgs),
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    match &args.command {
        Command::Connect(args) => connect::run(args, app),
        Command::List => list::run(app),
        Command::Disconnect(args) => disconnect::run(args, app),
        Command::Verify(args) => verify::run(args, app),
        Command::Mirror(args) => mirror::run(args, app),
        Command::Init(args) => init::run(args, app),
        Command::Add(args) => add::run(args, app),
        Command::Yank(args) => change::yank(args, app),
        Command::Unyank(args) => change::unyank(args, app),
        Command::Revoke(args) => change::revoke(args, app),
        Command::Rotate(args) => change::rotate(args, app),
        Command::Renew(args) => change::renew(args, app),
    }
}

/// The registries that count here, the project's first, each with the scope that names it.
fn connected(app: &App) -> Result<Vec<(Scope, Connection)>> {
    let mut found: Vec<(Scope, Connection)> = Vec::new();
    let nearest = Room::open(app, Which::Nearest)?.scope;
    let user = Room::open(app, Which::User)?.scope;
    let mut scopes = vec![nearest];
    if scopes[0] != user {
        scopes.push(user);
    }
    for scope in scopes {
        for named in ProjectFile::open(&scope.project_file())?.registries()? {
            // What a project calls by a name hides what its user does.
            if found.iter().all(|(_, other)| other.name != named.name) {
                let connection =
                    Connection::new(&named.name, &named.url, named.key.as_deref(), &scope.folder)?;
                found.push((scope.clone(), connection));
            }
        }
    }
    Ok(found)
}

/// A registry given by the name of one that is connected, by URL, or by folder.
pub(in crate::cli) fn named(text: &str, key: Option<&str>, app: &App) -> Result<Connection> {
    let plain = !text.contains(['/', '\\', ':', '.']);
    if plain
        && let Some((_, connection)) = connected(app)?
            .into_iter()
            .find(|(_, one)| one.name == text)
    {
        return Ok(connection);
    }
    let here =
        std::env::current_dir().or_error(|| Error::failed("there is no working directory"))?;
    if plain && !here.join(text).is_dir() {
        return Err(Error::config(format!(
            "there is no registry {text:?}: neither a folder nor a name that is connected"
        ))
        .hint("codex-ml registry list shows the names; codex-ml registry connect adds one"));
    }
    Connection::new("given", text, key, &here)
}

/// A client with the user's own cache and memory.
fn client(connection: Connection, app: &App) -> Result<Client> {
    let options = Options {
        cache: app.folders.cache()?.to_owned(),
        data: app.folders.data()?.to_owned(),
        offline: false,
        now: SystemTime::now(),
    };
    Ok(Client::new(connection, options))
}

/// A client for a registry that is only looked at: a name that is connected is held to its pinned key; of an address
/// nothing is remembered.
fn looking(
    text: &str,
    key: Option<&str>,
    app: &App,
) -> Result<(Client, Option<tempfile::TempDir>)> {
    let connection = named(text, key, app)?;
    if connection.name != "given" {
        return Ok((client(connection, app)?, None));
    }
    let folder =
        tempfile::tempdir().or_error(|| Error::failed("cannot create a temporary folder"))?;
    let options = Options {
        cache: folder.path().join("cache"),
        data: folder.path().join("data"),
        offline: false,
        now: SystemTime::now(),
    };
    Ok((Client::new(connection, options), Some(folder)))
}

/// The folder of a registry that is changed.
fn folder(text: &str, app: &App) -> Result<std::path::PathBuf> {
    match named(text, None, app)?.address {
        Address::Folder(path) => Ok(path),
        Address::Web(url) => Err(Error::config(format!("registry {url} is on a web server"))
            .hint("a registry is changed in the folder that the server serves")),
    }
}
