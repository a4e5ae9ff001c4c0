//! `codex-ml plugin key`: the keys that packages and registries are signed with.

use std::fs;
use std::path::PathBuf;

use codex_packages::keys::{PublicKey, SecretKey};
use codex_packages::trust::{Rotation, SignedRotation};
use codex_plugin_api::{Context, Error, Result};
use serde_json::json;

use super::super::signing::{KeyArgs, key_file, key_folder, new_password, open_key};
use crate::app::App;
use crate::exit::Exit;

/// Arguments of `plugin key`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a key: a secret one, and a public one beside it.
    New(NewArgs),
    /// Show a public key and its id.
    Show(ShowArgs),
    #[command(about = "Hand a plugin's name from one key to another: the old key signs")]
    Rotate(RotateArgs),
}

/// Arguments of `plugin key new`.
#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Its name, or a file.
    #[arg(value_name = "NAME|FILE", default_value = "default")]
    key: String,
    /// Do not protect it with a password: for machines that nobody sits at.
    #[arg(long)]
    no_password: bool,
}

/// Arguments of `plugin key show`.
#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Its name, a file, or the public key itself; without one, all keys that have names.
    #[arg(value_name = "NAME|FILE")]
    key: Option<String>,
}

/// Arguments of `plugin key rotate`.
#[derive(Debug, clap::Args)]
struct RotateArgs {
    /// The plugin.
    name: String,
    /// The new public key: a file, or its text.
    #[arg(long, value_name = "FILE|KEY")]
    to: String,
    #[command(flatten)]
    key: KeyArgs,
    /// The file to write [default: <name>.rotation.json].
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    match &args.command {
        Action::New(args) => new(args, app),
        Action::Show(args) => show(args, app),
        Action::Rotate(args) => rotate(args, app),
    }
}

fn new(args: &NewArgs, app: &App) -> Result<Exit> {
    let path = key_file(&args.key, app)?;
    if path.exists() {
        return Err(
            Error::config(format!("there is a key {} already", path.display()))
                .hint("a key is never overwritten: give another name"),
        );
    }
    let password = if args.no_password {
        None
    } else {
        Some(new_password()?)
    };
    let public = SecretKey::create(&path, password.as_deref())?;
    if app.output.is_json() {
        app.output.value(&json!({
            "id": public.id(), "public_key": public.text(), "secret_file": path, "public_file": path.with_extension("pub"),
            "protected": password.is_some(),
        }))?;
        return Ok(Exit::Done);
    }
    app.output.line(format!(
        "made key {}\n  public key   {}\n  secret file  {}\n  public file  {}\nkeep a copy of the secret file: who loses it cannot publish under the same names any more",
        public.id(),
        public.text(),
        path.display(),
        path.with_extension("pub").display()
    ))?;
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, app: &App) -> Result<Exit> {
    let keys = match &args.key {
        Some(text) => vec![(text.clone(), public(text, app)?)],
        None => named(app)?,
    };
    if app.output.is_json() {
        let keys: Vec<_> = keys
            .iter()
            .map(|(name, key)| json!({"name": name, "id": key.id(), "public_key": key.text()}))
            .collect();
        app.output.value(&keys)?;
        return Ok(Exit::Done);
    }
    if keys.is_empty() {
        app.output
            .note("there are no keys yet; codex-ml plugin key new makes one");
        return Ok(Exit::Done);
    }
    app.output.table(
        ["name", "id", "public key"],
        keys.into_iter()
            .map(|(name, key)| [name, key.id(), key.text()]),
    )?;
    Ok(Exit::Done)
}

/// A public key given by name, by file, or as it is. The secret file is not opened: its public half lies beside it.
fn public(text: &str, app: &App) -> Result<PublicKey> {
    let file = key_file(text, app)?.with_extension("pub");
    if file.is_file() {
        return PublicKey::read(&file.to_string_lossy());
    }
    PublicKey::read(text)
}

fn named(app: &App) -> Result<Vec<(String, PublicKey)>> {
    let folder = key_folder(app)?;
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(Vec::new());
    };
    let mut keys = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "pub") {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            keys.push((name, PublicKey::read(&path.to_string_lossy())?));
        }
    }
    keys.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(keys)
}

fn rotate(args: &RotateArgs, app: &App) -> Result<Exit> {
    codex_packages::names::check(&args.name)?;
    let old = open_key(&args.key.key, app)?;
    let new = public(&args.to, app)?;
    if new == *old.public() {
        return Err(Error::config(format!(
            "key {} would be handed to itself",
            new.id()
        )));
    }
    let rotation = Rotation {
        name: args.name.clone(),
        old_key_id: old.public().id(),
        new_key: new.text(),
    };
    let failed = || Error::failed("cannot write the rotation");
    let text = serde_json::to_string(&rotation).or_error(failed)?;
    let signature = old.sign(
        text.as_bytes(),
        &format!("codex-ml rotation of {}", args.name),
    )?;
    let signed = SignedRotation {
        rotation: text,
        signature,
    };
    let path = args
        .output
        .clone()
        .unwrap_or_else(|| format!("{}.rotation.json", args.name).into());
    let text = serde_json::to_string(&signed).or_error(failed)?;
    fs::write(&path, text + "\n")
        .or_error(|| Error::failed(format!("cannot write {}", path.display())))?;
    if app.output.is_json() {
        app.output.value(&json!({"name": args.name, "old_key": old.public().id(), "new_key": new.id(), "file": path}))?;
        return Ok(Exit::Done);
    }
    app.output.line(format!(
        "{} goes from key {} to key {}\n  codex-ml registry rotate DIR {}",
        args.name,
        old.public().id(),
        new.id(),
        path.display()
    ))?;
    Ok(Exit::Done)
}
