//! `codex-ml registry yank`, `unyank`, `revoke`, `rotate` and `renew`: each makes one change and signs what is there.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use codex_packages::registry::Registry;
use codex_packages::trust::{Rotation, SignedRotation};
use codex_plugin_api::{Context, Error, Result};
use semver::Version;
use serde_json::{Value, json};

use super::super::signing::{SnapshotArgs, open_key};
use super::folder;
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;

/// A registry, and how it is signed.
#[derive(Debug, clap::Args)]
struct Where {
    /// The registry's folder.
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    registry: String,
    #[command(flatten)]
    snapshot: SnapshotArgs,
}

/// Arguments of `registry yank`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Take a version back for those who do not use it yet: nobody gets it newly, and who has it in a lock keeps \
                  it and is told by codex-ml plugin outdated and audit. The archive stays."
)]
pub(super) struct YankArgs {
    #[command(flatten)]
    place: Where,
    /// The version.
    #[arg(value_name = "NAME@VERSION", value_parser = version)]
    version: (String, Version),
    /// Why, in one line that users read.
    #[arg(long)]
    reason: String,
}

/// Arguments of `registry unyank`.
#[derive(Debug, clap::Args)]
pub(super) struct UnyankArgs {
    #[command(flatten)]
    place: Where,
    /// The version.
    #[arg(value_name = "NAME@VERSION", value_parser = version)]
    version: (String, Version),
}

/// Arguments of `registry revoke`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Forbid a version, or everything signed with a key: it is neither installed nor loaded any more by who sees \
                  the new snapshot. There is no way back."
)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    place: Where,
    /// The version.
    #[arg(value_name = "NAME@VERSION", value_parser = version, required_unless_present = "author_key", conflicts_with = "author_key")]
    version: Option<(String, Version)>,
    /// The id of an author's key.
    #[arg(long, value_name = "ID")]
    author_key: Option<String>,
    /// Why, in one line that users read.
    #[arg(long)]
    reason: String,
}

/// Arguments of `registry rotate`.
#[derive(Debug, clap::Args)]
pub(super) struct RotateArgs {
    #[command(flatten)]
    place: Where,
    /// What the owner of the name signed: codex-ml plugin key rotate.
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    rotation: PathBuf,
}

/// Arguments of `registry renew`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Sign the registry as it is.\n\nA snapshot expires, so that nobody can serve an old one for ever: renew it \
                  before that, from a timer say. It is also how a change that was cut off is finished."
)]
pub(super) struct RenewArgs {
    #[command(flatten)]
    place: Where,
}

fn version(text: &str) -> Result<(String, Version), String> {
    let (name, version) = text.split_once('@').ok_or("it is not NAME@VERSION")?;
    let version = Version::parse(version).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), version))
}

pub(super) fn yank(args: &YankArgs, app: &App) -> Result<Exit> {
    let (name, version) = &args.version;
    let reason = reason(&args.reason)?;
    change(&args.place, app, |registry| {
        registry.yank(name, version, reason, SystemTime::now())?;
        Ok((
            format!("yanked {name} {version}"),
            json!({"yanked": name, "version": version, "reason": reason}),
        ))
    })
}

pub(super) fn unyank(args: &UnyankArgs, app: &App) -> Result<Exit> {
    let (name, version) = &args.version;
    change(&args.place, app, |registry| {
        let was = registry.unyank(name, version)?;
        let said = if was { "gave back" } else { "was not yanked:" };
        Ok((
            format!("{said} {name} {version}"),
            json!({"unyanked": name, "version": version, "was_yanked": was}),
        ))
    })
}

pub(super) fn revoke(args: &RevokeArgs, app: &App) -> Result<Exit> {
    let reason = reason(&args.reason)?;
    change(&args.place, app, |registry| {
        match (&args.version, &args.author_key) {
            (Some((name, version)), _) => {
                registry.revoke_version(name, version, reason, SystemTime::now())?;
                Ok((
                    format!("revoked {name} {version}"),
                    json!({"revoked": name, "version": version, "reason": reason}),
                ))
            }
            (None, Some(id)) => {
                registry.revoke_key(id, reason, SystemTime::now())?;
                Ok((
                    format!("revoked key {id}"),
                    json!({"revoked_key": id, "reason": reason}),
                ))
            }
            (None, None) => Err(Error::config("nothing to revoke was named")),
        }
    })
}

pub(super) fn rotate(args: &RotateArgs, app: &App) -> Result<Exit> {
    let damaged = || {
        Error::data(format!("{} is no rotation", args.rotation.display()))
            .hint("codex-ml plugin key rotate writes one")
    };
    let text = fs::read_to_string(&args.rotation)
        .or_error(|| Error::config(format!("cannot read {}", args.rotation.display())))?;
    let signed: SignedRotation = serde_json::from_str(&text).or_error(damaged)?;
    let rotation: Rotation = serde_json::from_str(&signed.rotation).or_error(damaged)?;
    change(&args.place, app, |registry| {
        registry.rotate(&rotation.name, &signed)?;
        let new = codex_packages::keys::key_id(&rotation.new_key)?;
        let said = format!(
            "{} goes from key {} to key {new}",
            rotation.name, rotation.old_key_id
        );
        Ok((
            said,
            json!({"rotated": rotation.name, "old_key": rotation.old_key_id, "new_key": new}),
        ))
    })
}

pub(super) fn renew(args: &RenewArgs, app: &App) -> Result<Exit> {
    change(&args.place, app, |registry| {
        Ok((
            format!("renewed registry {}", registry.about().name),
            json!({}),
        ))
    })
}

/// A reason is shown to strangers, on their terminals.
fn reason(text: &str) -> Result<&str> {
    if text.trim().is_empty() || text.len() > 500 || text.chars().any(char::is_control) {
        return Err(Error::config(
            "--reason must be one line of at most 500 bytes",
        ));
    }
    Ok(text)
}

/// Makes a change, signs, and tells both. The key is looked at first: without it nothing is changed.
fn change(
    place: &Where,
    app: &App,
    make: impl FnOnce(&Registry) -> Result<(String, Value)>,
) -> Result<Exit> {
    let key = open_key(&place.snapshot.key.key, app)?;
    let registry = Registry::open(&folder(&place.registry, app)?)?;
    registry.check_root(&key)?;
    let (said, mut value) = make(&registry)?;
    let snapshot = registry.renew(&key, place.snapshot.expires())?;
    if app.output.is_json() {
        value["registry"] = json!(registry.about().name);
        value["snapshot"] = json!(snapshot.version);
        value["expires"] = json!(snapshot.expires);
        app.output.value(&value)?;
    } else {
        app.output.line(plain(&said))?;
        app.output.note(format!(
            "snapshot {} until {}",
            snapshot.version, snapshot.expires
        ));
    }
    Ok(Exit::Done)
}
