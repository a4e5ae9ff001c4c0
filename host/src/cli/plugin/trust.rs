//! `codex-ml plugin trust`, and how `distrust` shows what is known of a name.

use codex_packages::keys::{self, PublicKey};
use codex_packages::trust::pins::Pin;
use codex_packages::trust::{AUTHORITY, Change, Trust};
use codex_plugin_api::{Error, Result};
use serde_json::{Value, json};

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::nearest::nearest;
use crate::plugins::trust::open;

/// Arguments of `plugin trust`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Show and decide whom you trust with a plugin's name.\n\nWithout a name: every name that is known, with its \
                  key and its registry. With a name: show what is known of it, and trust it again if you did not. With \
                  options: pin a key to it, even before it is installed, or let its native code run. Every change is \
                  added to trust.log in the data folder.",
    after_help = "Examples:\n  codex-ml plugin trust\n  codex-ml plugin trust word-list --native\n  codex-ml plugin trust \
                  word-list --key author.pub"
)]
pub(super) struct Args {
    /// The plugin's name; it need not be installed.
    name: Option<String>,
    /// Let its native code run: it has your full authority then.
    #[arg(long, requires = "name")]
    native: bool,
    /// The public key that signs it from now on: the text or a file. What another key signed is not accepted any more.
    #[arg(long, value_name = "KEY", requires = "name")]
    key: Option<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let mut trust = open(app.folders.data()?)?;
    let Some(name) = &args.name else {
        return list(&trust, app);
    };
    if let Some(key) = &args.key {
        let key = PublicKey::read(key)?;
        trust.change(name, Change::Key(&key.text()))?;
    }
    if args.native {
        trust.change(name, Change::Native(true))?;
        app.output.warn(format!("{name}: {AUTHORITY}"));
    }
    let pin = pinned(&trust, name)?;
    if pin.distrusted {
        trust.change(name, Change::Trust)?;
    }
    show(name, &trust, app)
}

/// What is known of a name.
pub(super) fn pinned<'a>(trust: &'a Trust, name: &str) -> Result<&'a Pin> {
    let known = &trust.pins().plugins;
    known.get(name).ok_or_else(|| {
        let error = Error::config(format!("nothing is known of a plugin {name:?}"));
        match nearest(name, known.keys().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("codex-ml plugin trust lists the names that are known; --key and --native make a name known"),
        }
    })
}

fn list(trust: &Trust, app: &App) -> Result<Exit> {
    let pins = &trust.pins().plugins;
    if app.output.is_json() {
        let rows: Vec<Value> = pins.iter().map(|(name, pin)| value(name, pin)).collect();
        app.output.value(&rows)?;
        return Ok(Exit::Done);
    }
    if pins.is_empty() {
        app.output
            .note("no name is pinned yet; that happens when a plugin is installed from a registry");
        return Ok(Exit::Done);
    }
    app.output.table(
        ["name", "key", "registry", "native", "state", "versions"],
        pins.iter().map(|(name, pin)| {
            let versions: Vec<String> = pin.accepted.keys().map(ToString::to_string).collect();
            let registry = pin.source.as_ref().map(|source| source.registry.clone());
            [
                name.clone(),
                key_id(pin).unwrap_or_else(|| "none yet".into()),
                plain(&registry.unwrap_or_else(|| "any".into())),
                if pin.native { "allowed" } else { "no" }.to_owned(),
                state(pin).to_owned(),
                versions.join(", "),
            ]
        }),
    )?;
    Ok(Exit::Done)
}

/// Shows what is known of a name.
pub(super) fn show(name: &str, trust: &Trust, app: &App) -> Result<Exit> {
    let pin = pinned(trust, name)?;
    if app.output.is_json() {
        app.output.value(&value(name, pin))?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![format!("{name} is {}", state(pin))];
    let mut row = |what: &str, value: String| lines.push(format!("  {what:9} {value}"));
    match (&pin.key, key_id(pin)) {
        (Some(key), Some(id)) => row("key", format!("{id} ({key})")),
        _ => row("key", "none yet: the first one is pinned".into()),
    }
    if let Some(source) = &pin.source {
        row("registry", format!("{} ({})", source.registry, source.url));
    }
    let native = if pin.native {
        "allowed: it has your full authority"
    } else {
        "not allowed"
    };
    row("native", native.into());
    for (version, archive) in &pin.accepted {
        row("accepted", format!("{version} {archive}"));
    }
    app.output.line(plain(&lines.join("\n")))?;
    Ok(Exit::Done)
}

fn key_id(pin: &Pin) -> Option<String> {
    keys::key_id(pin.key.as_deref()?).ok()
}

fn state(pin: &Pin) -> &'static str {
    if pin.distrusted {
        "distrusted"
    } else {
        "trusted"
    }
}

fn value(name: &str, pin: &Pin) -> Value {
    json!({
        "name": name, "state": state(pin), "key": pin.key, "key_id": key_id(pin), "registry": pin.source,
        "by_registry": pin.by_registry, "native": pin.native, "accepted": pin.accepted,
    })
}
