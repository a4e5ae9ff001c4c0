//! The judgement of one version that a registry offers, step by step.

use codex_plugin_api::{Error, ErrorKind, Result};

use super::pins::Pin;
use super::policy::{Subject, same_address};
use super::{Decision, Level, Published, Trust, Wishes, rotation};
use crate::entry::{ANY_TARGET, Entry};
use crate::source::Offer;
use crate::{keys, names};

pub(super) fn refuse(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::Plugin, message).hint(hint)
}

/// The sentence that a user should have read before native code runs.
pub const AUTHORITY: &str =
    "native code runs with your full authority: it can read, change and send whatever you can";

/// What to do when a registry contradicts itself.
const LIES: &str =
    "the registry is broken or lies: do not install from it before its keeper explained it";

pub(super) fn decide(
    trust: &Trust,
    name: &str,
    offer: &Offer,
    published: &Published,
    wishes: &Wishes,
) -> Result<Decision> {
    names::check(name)?;
    let entry = signed_entry(name, offer)?;
    let unknown = Pin::default();
    let pin = trust.pins.plugins.get(name).unwrap_or(&unknown);
    check_pin(name, pin, offer)?;
    let (key, key_id) = signer(name, offer, pin, published)?;
    check_revoked(trust, offer, published, &key_id)?;
    let rotated_from = check_key(name, pin, published, &key, &entry)?;
    check_version(name, pin, &entry, wishes)?;
    let level = if key == published.root {
        Level::RegistrySigned
    } else {
        Level::PinnedKey
    };
    trust.policy.check(&Subject {
        name,
        level,
        native: entry.is_native(),
        permissions: &entry.permissions,
        origin: Some((&offer.source, &key)),
    })?;
    let allows_native = entry.is_native() && !pin.native;
    if allows_native && !wishes.allow_native.iter().any(|allowed| allowed == name) {
        return Err(native_refused(name, &entry, &key_id));
    }
    let first_use = pin.key.is_none();
    Ok(Decision {
        name: name.to_owned(),
        warnings: warnings(
            trust,
            name,
            offer,
            &key_id,
            first_use,
            rotated_from.as_deref(),
            wishes,
        ),
        version: entry.version,
        level,
        key,
        key_id,
        source: (*offer.source).clone(),
        archive: entry.archive.sha256,
        native: entry.artifacts.keys().all(|target| target != ANY_TARGET),
        first_use,
        rotated_from,
        allows_native,
    })
}

fn native_refused(name: &str, entry: &Entry, key_id: &str) -> Error {
    refuse(
        format!(
            "{name} {} is native code, which is not allowed for it: {AUTHORITY}",
            entry.version
        ),
        format!(
            "if you trust whoever holds key {key_id} that far: codex-ml plugin install {name} --allow-native {name}"
        ),
    )
}

/// The entry as it was signed, when it is for the plugin that was asked for.
fn signed_entry(name: &str, offer: &Offer) -> Result<Entry> {
    let from = &offer.source.registry;
    let entry: Entry = serde_json::from_str(&offer.signed.entry).map_err(|error| {
        refuse(
            format!("registry {from} offers an entry for {name} that cannot be read"),
            "tell whoever keeps the registry",
        )
        .because(&error)
    })?;
    if entry.name != name || entry != offer.entry {
        return Err(refuse(
            format!(
                "registry {from} offers for {name} an entry that was signed for {} {}",
                names_plainly(&entry.name),
                entry.version
            ),
            LIES,
        ));
    }
    Ok(entry)
}

/// A stranger's text without what would steer a terminal.
fn names_plainly(name: &str) -> String {
    name.chars()
        .take(names::MAX_NAME)
        .flat_map(char::escape_default)
        .collect()
}

/// Whether the name may come from this registry at all.
fn check_pin(name: &str, pin: &Pin, offer: &Offer) -> Result<()> {
    if pin.distrusted {
        return Err(refuse(
            format!("you do not trust {name} any more"),
            format!("codex-ml plugin trust {name} takes that back"),
        ));
    }
    match &pin.source {
        Some(bound) if !same_address(&bound.url, &offer.source.url) => Err(refuse(
            format!(
                "{name} is bound to registry {} ({}), and {} ({}) offers another plugin of that name",
                bound.registry, bound.url, offer.source.registry, offer.source.url
            ),
            format!(
                "nothing has to be done to keep the one you have; if it moved, forget it first: codex-ml plugin distrust {name} --forget"
            ),
        )),
        _ => Ok(()),
    }
}

/// The key that signed the entry, with its id: a pinned one, or one that the registry publishes.
fn signer(name: &str, offer: &Offer, pin: &Pin, published: &Published) -> Result<(String, String)> {
    let pinned = pin.key.iter().chain(&pin.former_keys);
    let mut candidates = pinned.chain(&published.keys).chain([&published.root]);
    let text = offer.signed.entry.as_bytes();
    let found = candidates.find(|key| keys::verify(key, text, &offer.signed.signature).is_ok());
    let Some(key) = found else {
        return Err(refuse(
            format!(
                "the signature of {name} {} in registry {} is by no key of {name}",
                offer.entry.version, offer.source.registry
            ),
            "its entry was changed after it was signed, or somebody else signed it: tell its author, and do not install it",
        ));
    };
    let id = keys::key_id(key)?;
    if id != offer.key_id {
        return Err(refuse(
            format!(
                "{} is signed with key {id}, and its index says {}",
                offer.title(),
                offer.key_id.escape_debug()
            ),
            LIES,
        ));
    }
    Ok((key.clone(), id))
}

fn check_revoked(trust: &Trust, offer: &Offer, published: &Published, key_id: &str) -> Result<()> {
    let noted = trust.pins.revoked.get(&offer.source.url);
    if let Some(why) = &offer.revoked {
        return Err(revoked_by(offer, "that version", why));
    }
    for revoked in std::iter::once(&published.revoked).chain(noted) {
        let found = revoked
            .keys
            .get(key_id)
            .map(|why| (format!("key {key_id}"), why))
            .or_else(|| {
                let archive = &offer.entry.archive.sha256;
                let why = revoked.archives.get(archive)?;
                Some((
                    format!("its archive {}", archive.get(..16).unwrap_or(archive)),
                    why,
                ))
            });
        if let Some((what, why)) = found {
            return Err(revoked_by(offer, &what, why));
        }
    }
    Ok(())
}

fn revoked_by(offer: &Offer, what: &str, why: &str) -> Error {
    refuse(
        format!(
            "{} is revoked by registry {}: {what}: {}",
            offer.title(),
            offer.source.registry,
            why.escape_debug()
        ),
        "choose another version, or ask its author",
    )
}

/// Whether the key may sign this name; gives the id of the key that handed the name over, if one did.
fn check_key(
    name: &str,
    pin: &Pin,
    published: &Published,
    key: &str,
    entry: &Entry,
) -> Result<Option<String>> {
    let Some(pinned) = &pin.key else {
        return Ok(None);
    };
    let accepted = || pin.accepted.get(&entry.version) == Some(&entry.archive.sha256);
    if pinned == key
        || pin.by_registry && key == published.root
        || pin.former_keys.iter().any(|former| former == key) && accepted()
    {
        return Ok(None);
    }
    let (old, new) = (keys::key_id(pinned)?, keys::key_id(key)?);
    if rotation::leads(name, pinned, key, &published.rotations)? {
        return Ok(Some(old));
    }
    if rotation::leads(name, key, pinned, &published.rotations)? {
        return Err(refuse(
            format!(
                "{name} {} is signed with key {new}, which handed the name to key {old}",
                entry.version
            ),
            "a key that was given up signs no more: choose a version that the present key signed",
        ));
    }
    Err(refuse(
        format!(
            "{name} {} is signed with key {new}, but {name} is pinned to key {old}, which did not hand it over",
            entry.version
        ),
        format!(
            "ask the author whether the key changed, not over the registry; if so: codex-ml plugin trust {name} --key {key}"
        ),
    ))
}

/// Versions do not change and do not go back unasked.
fn check_version(name: &str, pin: &Pin, entry: &Entry, wishes: &Wishes) -> Result<()> {
    let version = &entry.version;
    if let Some(before) = pin.accepted.get(version)
        && *before != entry.archive.sha256
    {
        let short = |digest: &str| digest.get(..16).unwrap_or(digest).to_owned();
        return Err(refuse(
            format!(
                "{name} {version} has other content now ({}) than when it was accepted ({})",
                short(&entry.archive.sha256),
                short(before)
            ),
            "a published version never changes: tell whoever keeps the registry, and take another version",
        ));
    }
    match pin.accepted.last_key_value() {
        Some((highest, _)) if version < highest && !wishes.older => Err(refuse(
            format!("{name} {version} is older than {highest}, which was used before"),
            format!(
                "newer versions may have been taken out of sight; if the older one is meant: codex-ml plugin install {name}@={version}"
            ),
        )),
        _ => Ok(()),
    }
}

fn warnings(
    trust: &Trust,
    name: &str,
    offer: &Offer,
    key_id: &str,
    first_use: bool,
    rotated_from: Option<&str>,
    wishes: &Wishes,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if first_use {
        let known = wishes.known.iter().chain(trust.pins.plugins.keys());
        if let Some(other) = names::resembles(name, known.map(String::as_str)) {
            warnings.push(format!(
                "{name} looks like {other}: be sure that it is the one you mean"
            ));
        }
        warnings.push(format!(
            "{name} from registry {} is signed with key {key_id}, which is pinned to that name from now on",
            offer.source.registry
        ));
    }
    if let Some(old) = rotated_from {
        warnings.push(format!("key {old} handed {name} to key {key_id}"));
    }
    warnings
}
