//! The limits of a plugin that are in force, where each comes from, and how the user's are written.

use std::str::FromStr;

use codex_plugin_api::manifest::{Limits, Size, Span};
use codex_plugin_api::{Error, Result};
use serde::Serialize;

use super::{Asker, Grants, Standing};
use crate::plugins::nearest::nearest;
use crate::plugins::wasm::Bounds;

/// Who set a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Nobody: the host's default.
    Default,
    /// The plugin's author.
    Manifest,
    /// The user.
    User,
}

impl Source {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Manifest => "manifest",
            Self::User => "user",
        }
    }
}

/// A limit in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Its name.
    pub key: &'static str,
    /// Its value, as the manifest writes it.
    pub value: String,
    /// Who set it.
    pub source: Source,
    /// What the manifest asks for in vain, because the user did not grant it or set another value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}

/// The limits of a plugin's components, in the order in which they are shown.
pub fn in_force<'a>(asker: impl Into<Asker<'a>>, grants: &Grants) -> Vec<Limit> {
    let asker = asker.into();
    let manifest = asker.manifest;
    let standing: Standing = grants.standing(asker);
    let user = grants.limits(&manifest.plugin.id);
    let lines = Bounds::new(manifest, &standing, user).lines();
    lines
        .into_iter()
        .map(|(key, value)| {
            let asked = value_of(&manifest.limits, key);
            let source = if user.is_some_and(|user| value_of(user, key).is_some()) {
                Source::User
            } else if asked.as_ref() == Some(&value) {
                Source::Manifest
            } else {
                Source::Default
            };
            let asked = asked.filter(|asked| *asked != value);
            Limit {
                key,
                value,
                source,
                asked,
            }
        })
        .collect()
}

fn value_of(limits: &Limits, key: &str) -> Option<String> {
    match key {
        "memory" => limits.memory.map(|size| size.to_string()),
        "time" => limits.time.map(|span| span.to_string()),
        "transfer" => limits.transfer.map(|size| size.to_string()),
        "table_elements" => limits.table_elements.map(|count| count.to_string()),
        "instances" => limits.instances.map(|count| count.to_string()),
        _ => None,
    }
}

/// Sets a limit from `KEY=VALUE`; `KEY=` takes it away.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] naming the key or the value.
pub fn set(limits: &mut Limits, text: &str) -> Result<()> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(Error::config(format!("{text:?} is no limit with a value"))
            .hint("write KEY=VALUE, or KEY= to take a limit away: memory=1GiB"));
    };
    match key {
        "memory" => limits.memory = parsed(key, value, |size: &Size| size.0 == 0)?,
        "time" => limits.time = parsed(key, value, |span: &Span| span.0.is_zero())?,
        "transfer" => limits.transfer = parsed(key, value, |size: &Size| size.0 == 0)?,
        "table_elements" => limits.table_elements = parsed(key, value, |_: &u64| false)?,
        "instances" => limits.instances = parsed(key, value, |count: &u64| *count == 0)?,
        _ => {
            let hint = match nearest(key, Limits::KEYS) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", Limits::KEYS.join(", ")),
            };
            return Err(Error::config(format!("there is no limit {key:?}")).hint(hint));
        }
    }
    Ok(())
}

/// The value of a limit, none where it is taken away.
fn parsed<T: FromStr>(key: &str, value: &str, is_zero: impl Fn(&T) -> bool) -> Result<Option<T>> {
    if value.is_empty() {
        return Ok(None);
    }
    let example = match key {
        "memory" | "transfer" => "64MiB",
        "time" => "30s",
        _ => "1000",
    };
    let hint = format!("write it so: {key}={example}");
    let Ok(parsed) = value.parse::<T>() else {
        return Err(Error::config(format!("limit {key} cannot be {value:?}")).hint(hint));
    };
    if is_zero(&parsed) {
        let message = format!("limit {key} cannot be {value:?}: nothing could run");
        return Err(Error::config(message).hint(hint));
    }
    Ok(Some(parsed))
}
