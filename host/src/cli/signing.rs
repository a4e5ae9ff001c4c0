//! Keys as commands take them: by name or by file, with a password where one protects them.

use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use codex_packages::keys::SecretKey;
use codex_packages::registry::USUAL_SPAN;
use codex_packages::snapshot::later;
use codex_plugin_api::{Context, Error, Result};

use crate::app::App;

/// The environment variable with the password of a secret key, for machines that nobody sits at.
const PASSWORD: &str = "CODEX_ML_KEY_PASSWORD";

/// With which key to sign.
#[derive(Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// The secret key: a name given to codex-ml plugin key new, or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "default", value_hint = clap::ValueHint::FilePath)]
    pub(super) key: String,
}

/// How a registry's snapshot is signed.
#[derive(Debug, clap::Args)]
pub(super) struct SnapshotArgs {
    #[command(flatten)]
    pub(super) key: KeyArgs,
    /// When the snapshot expires: a time such as 30days from now, or 2027-01-31T00:00:00Z [default: 90days].
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    expires: Option<SystemTime>,
}

impl SnapshotArgs {
    pub(super) fn expires(&self) -> SystemTime {
        self.expires
            .unwrap_or_else(|| later(SystemTime::now(), USUAL_SPAN))
    }
}

/// Where keys are kept by name.
pub(super) fn key_folder(app: &App) -> Result<PathBuf> {
    Ok(app.folders.data()?.join("keys"))
}

/// The file of a key that was given by name or by file.
pub(super) fn key_file(text: &str, app: &App) -> Result<PathBuf> {
    let path = Path::new(text);
    if path.components().count() > 1 || path.extension().is_some() || path.is_file() {
        return Ok(path.to_owned());
    }
    Ok(key_folder(app)?.join(format!("{text}.key")))
}

/// Opens a secret key.
pub(super) fn open_key(text: &str, app: &App) -> Result<SecretKey> {
    let path = key_file(text, app)?;
    if !path.is_file() {
        return Err(
            Error::config(format!("there is no secret key {}", path.display()))
                .hint("codex-ml plugin key new makes one; --key names another"),
        );
    }
    SecretKey::read(&path, || {
        password(&format!("password of {}: ", path.display()))
    })
}

/// Asks for a password, or takes it from the environment.
fn password(prompt: &str) -> Result<String> {
    if let Ok(password) = std::env::var(PASSWORD) {
        return Ok(password);
    }
    if !stdin().is_terminal() {
        return Err(
            Error::config("the secret key needs its password, and there is nobody to ask")
                .hint(format!("set {PASSWORD}, or run this on a terminal")),
        );
    }
    rpassword::prompt_password(prompt).or_error(|| Error::failed("cannot read the password"))
}

/// Asks for a new password twice, or takes it from the environment.
pub(super) fn new_password() -> Result<String> {
    let first = password("new password of the key: ")?;
    if first.is_empty() {
        return Err(
            Error::config("the password is empty").hint("--no-password makes a key without one")
        );
    }
    if std::env::var_os(PASSWORD).is_none() && password("the same again: ")? != first {
        return Err(Error::config("the two passwords are different"));
    }
    Ok(first)
}

fn expiry(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time);
    }
    let span: Duration = humantime::parse_duration(text).map_err(|_| {
        "it is neither a span such as 30days nor a time such as 2027-01-31T00:00:00Z".to_owned()
    })?;
    Ok(later(SystemTime::now(), span))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_a_span_or_a_time() {
        let in_a_day = expiry("1day")
            .unwrap()
            .duration_since(SystemTime::now())
            .unwrap();
        assert!(in_a_day > Duration::from_hours(23) && in_a_day <= Duration::from_hours(24));
        assert_eq!(
            expiry("1970-01-02T00:00:00Z").unwrap(),
            SystemTime::UNIX_EPOCH + Duration::from_hours(24)
        );
        assert!(expiry("soon").unwrap_err().contains("neither a span"));
    }
}
