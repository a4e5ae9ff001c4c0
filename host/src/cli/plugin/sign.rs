//! `codex-ml plugin sign`.

use std::fs;
use std::path::{Path, PathBuf};

use codex_packages::archive::{EXTENSION, Limits, inspect};
use codex_packages::entry::{Entry, SignedEntry};
use codex_packages::index::Line;
use codex_packages::keys::{PublicKey, SecretKey};
use codex_plugin_api::{Context, Error, Result};
use serde_json::json;

use super::super::signing::{KeyArgs, open_key};
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;

/// What stands in place of a package's extension in the name of its signed entry.
const ENTRY: &str = ".entry.json";

/// Arguments of `plugin sign`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Sign what a registry will say of a package: name, version, the digest of the archive and of every built \
                  file, components, dependencies and permissions.\n\nThe result is a file beside the package, which the \
                  owner of a registry adds with it: codex-ml registry add."
)]
pub(super) struct Args {
    /// The package.
    #[arg(value_name = "PACKAGE", value_hint = clap::ValueHint::FilePath)]
    package: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let key = open_key(&args.key.key, app)?;
    let signed = sign(&args.package, &key)?;
    let path = entry_path(&args.package);
    write(&path, &signed)?;
    let entry = &signed.entry;
    if app.output.is_json() {
        app.output.value(&json!({
            "id": entry.name, "version": entry.version, "file": path, "key": key.public().id(), "entry": entry,
        }))?;
        return Ok(Exit::Done);
    }
    app.output.line(plain(&format!(
        "signed {} {} with key {} in {}",
        entry.name,
        entry.version,
        key.public().id(),
        path.display()
    )))?;
    Ok(Exit::Done)
}

/// A signed entry with the key that signed it.
pub(in crate::cli) struct Signed {
    pub(in crate::cli) entry: Entry,
    /// The line of the plugin's index.
    pub(in crate::cli) line: SignedEntry,
    pub(in crate::cli) key: PublicKey,
}

/// Checks a package and signs its entry.
pub(in crate::cli) fn sign(package: &Path, key: &SecretKey) -> Result<Signed> {
    let entry = inspect(package, None, &Limits::default())?.entry();
    let text =
        serde_json::to_string(&entry).or_error(|| Error::failed("cannot write the entry"))?;
    let comment = format!("codex-ml entry of {} {}", entry.name, entry.version);
    let signature = key.sign(text.as_bytes(), &comment)?;
    Ok(Signed {
        entry,
        line: SignedEntry {
            entry: text,
            signature,
        },
        key: key.public().clone(),
    })
}

/// Where the signed entry of a package lies.
pub(in crate::cli) fn entry_path(package: &Path) -> PathBuf {
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(EXTENSION).unwrap_or(&name);
    package.with_file_name(format!("{stem}{ENTRY}"))
}

/// Writes a signed entry as it will stand in an index.
pub(in crate::cli) fn write(path: &Path, signed: &Signed) -> Result<()> {
    let line = Line {
        entry: Some(signed.line.entry.clone()),
        signature: signed.line.signature.clone(),
        key: Some(signed.key.text()),
        rotation: None,
    };
    let failed = || Error::failed(format!("cannot write {}", path.display()));
    let text = serde_json::to_string(&line).or_error(failed)?;
    fs::write(path, format!("{text}\n")).or_error(failed)
}

/// Reads a signed entry; who uses it checks the signature.
pub(in crate::cli) fn read(path: &Path) -> Result<Signed> {
    let damaged = || {
        Error::data(format!("{} is no signed entry", path.display()))
            .hint("codex-ml plugin sign writes one")
    };
    let text = fs::read_to_string(path).or_error(|| {
        Error::config(format!("cannot read the signed entry {}", path.display()))
            .hint("its author makes it with codex-ml plugin sign; --sign signs with the registry's own key instead")
    })?;
    let line: Line = serde_json::from_str(&text).or_error(damaged)?;
    let (Some(entry), Some(key)) = (line.entry, line.key) else {
        return Err(damaged());
    };
    Ok(Signed {
        entry: serde_json::from_str(&entry).or_error(damaged)?,
        line: SignedEntry {
            entry,
            signature: line.signature,
        },
        key: PublicKey::parse(&key)?,
    })
}
