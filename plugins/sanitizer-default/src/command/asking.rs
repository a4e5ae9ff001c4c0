//! The sanitizers, the policy and the key of a call.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use codex_plugin_api::{Context, Error, HostRef, LogLevel, Result, Sanitizer};
use codex_redaction::{
    FileSanitizer, Key, POLICY_VARIABLE, Policy, SWITCH_VARIABLE, Sanitizers, Switch,
};
use serde_json::json;

use super::folders;
use super::settings::Settings;
use crate::DefaultSanitizer;

/// How this plugin is called in reports, as the host calls it.
pub(super) const TITLE: &str = concat!("sanitizer-default ", env!("CARGO_PKG_VERSION"));

/// The name under which this plugin's own rules are asked.
const OWN: &str = "default";

/// Sets everything up. `key` is a baseline's, where there is one.
pub(super) fn sanitizers(
    settings: &Settings,
    key: Option<Key>,
    host: &HostRef,
) -> Result<Sanitizers> {
    switched_off(host)?;
    let mut own: Vec<(String, Arc<dyn FileSanitizer>)> = Vec::new();
    let mut others: Vec<(String, Arc<dyn Sanitizer>)> = Vec::new();
    if settings.sanitizers.is_empty() || settings.sanitizers.iter().any(|name| name == OWN) {
        let sanitizer = DefaultSanitizer::new(&settings.own)?;
        own.push((TITLE.to_owned(), Arc::new(sanitizer)));
    }
    for name in settings.sanitizers.iter().filter(|name| *name != OWN) {
        let sanitizer = host.create_sanitizer(name, &json!({}))?;
        others.push((name.clone(), Arc::from(sanitizer)));
    }
    let data = folders::data();
    let key = match (key, &settings.key) {
        (Some(key), _) => key,
        (None, Some(path)) => key_in(path)?,
        (None, None) => Key::kept_in(data.as_deref())?,
    };
    Sanitizers::with_files(own, others, policy(settings, data.as_deref())?, key)
}

fn policy(settings: &Settings, data: Option<&Path>) -> Result<Policy> {
    let variable = folders::variable(POLICY_VARIABLE);
    let given = match (&settings.policy, &variable) {
        (Some(path), _) => Some(path.as_path()),
        (None, Some(path)) => Some(Path::new(path)),
        (None, None) => None,
    };
    let policy = Policy::of_user(given, data)?;
    Ok(match settings.mode {
        Some(mode) => policy.in_mode(mode),
        None => policy,
    })
}

fn key_in(path: &Path) -> Result<Key> {
    let secret = fs::read(path).or_error(|| {
        Error::config(format!("cannot read the key {}", path.display()))
            .hint("head -c 32 /dev/urandom > FILE makes one")
    })?;
    Key::new(&secret)
}

/// The switch is for borders that nobody asked for; who calls the command asks for it.
fn switched_off(host: &HostRef) -> Result<()> {
    let value = folders::variable(SWITCH_VARIABLE);
    let value = value.map(|value| value.to_string_lossy().into_owned());
    if Switch::from_value(value.as_deref())? == Switch::Off {
        host.log(
            LogLevel::Warning,
            &format!("{SWITCH_VARIABLE}=off does not hold for sanitize: it scans"),
        );
    }
    Ok(())
}
