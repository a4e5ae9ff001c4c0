//! What a user decides about trust by hand. Every change is in the log before it is in force.

use std::path::Path;

use codex_plugin_api::{Error, Result};

use super::log::Event;
use super::pins::{self, LocalFile, Pins};
use super::{Changes, Revocations, Trust};
use crate::{keys, names};

/// Writes into the log what was decided about plugins elsewhere: grants and limits have a file of their own.
///
/// # Errors
/// When the log cannot be written, or is not whole.
pub fn note(data: &Path, events: Changes) -> Result<()> {
    pins::update(data, |_| Ok(events)).map(drop)
}

/// A change of what is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// This public key signs the name, whatever was pinned before; what an earlier key signed is not accepted any more.
    Key(&'a str),
    /// Its native code may run, or may not.
    Native(bool),
    /// It is trusted again.
    Trust,
    /// It is not run any more; what is known of it stays.
    Distrust,
    /// All that is known of the name is forgotten: the next use is its first.
    Forget,
}

impl Trust {
    /// Makes a change of the user's.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for what is no name or key, or when nothing is known of the name and the
    /// change needs that; [`codex_plugin_api::ErrorKind::Failed`] when a file cannot be written.
    pub fn change(&mut self, name: &str, change: Change<'_>) -> Result<()> {
        names::check(name)?;
        self.update(|pins| apply(pins, name, change))
    }

    /// Writes into the log that the root key of a registry was pinned, in place of another one or at its first use. The
    /// pin itself is kept with what else is known of that registry.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn record_registry(&mut self, url: &str, key_id: &str, before: Option<&str>) -> Result<()> {
        let line = match before {
            Some(before) => (Event::Repinned, format!("{before} {key_id}")),
            None => (Event::Pinned, key_id.to_owned()),
        };
        self.update(|_| Ok(vec![(line.0, url.to_owned(), line.1)]))
    }

    /// Writes down the library that `plugin install PATH` put in place.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn record_local(&mut self, library: &Path, id: &str, sha256: &str) -> Result<()> {
        let file = LocalFile {
            id: id.to_owned(),
            sha256: sha256.to_owned(),
        };
        let place = library.display().to_string();
        self.update(|pins| {
            if pins.local.get(&place) == Some(&file) {
                return Ok(Vec::new());
            }
            let detail = format!("{sha256} {place}");
            pins.local.insert(place, file);
            Ok(vec![(Event::LocalInstalled, id.to_owned(), detail)])
        })
    }

    /// Forgets the libraries below a folder, or the library itself: they were removed.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn forget_local(&mut self, path: &Path) -> Result<()> {
        let below = |place: &str| Path::new(place).starts_with(path);
        if !self.pins.local.keys().any(|place| below(place)) {
            return Ok(());
        }
        self.update(|pins| {
            let gone = pins.local.iter().filter(|(place, _)| below(place));
            let events = gone
                .map(|(place, file)| (Event::LocalRemoved, file.id.clone(), place.clone()))
                .collect();
            pins.local.retain(|place, _| !below(place));
            Ok(events)
        })
    }

    /// Keeps what a registry took back. What was taken back once stays so.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn note_revoked(&mut self, url: &str, revoked: &Revocations) -> Result<()> {
        if let Some(pins) = self.keep_revoked(url, revoked)? {
            self.pins = pins;
        }
        Ok(())
    }

    /// As [`Self::note_revoked`], and gives the pins where they changed: what was read before stays as it is here.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn keep_revoked(&self, url: &str, revoked: &Revocations) -> Result<Option<Pins>> {
        let known = self.pins.revoked.get(url);
        let new = |known: Option<&Revocations>| {
            let old = known.cloned().unwrap_or_default();
            let fresh = |(what, _): &(&String, &String),
                         old: &std::collections::BTreeMap<String, String>| {
                !old.contains_key(*what)
            };
            let keys = revoked.keys.iter().filter(|pair| fresh(pair, &old.keys));
            let archives = revoked
                .archives
                .iter()
                .filter(|pair| fresh(pair, &old.archives));
            let pairs = keys.chain(archives);
            pairs
                .map(|(what, why)| (what.clone(), why.clone()))
                .collect::<Vec<_>>()
        };
        if new(known).is_empty() {
            return Ok(None);
        }
        pins::update(&self.data, |pins| {
            let events = new(pins.revoked.get(url))
                .into_iter()
                .map(|(what, why)| (Event::Revoked, url.to_owned(), format!("{what} {why}")))
                .collect();
            let noted = pins.revoked.entry(url.to_owned()).or_default();
            for (what, why) in &revoked.keys {
                noted
                    .keys
                    .entry(what.clone())
                    .or_insert_with(|| why.clone());
            }
            for (what, why) in &revoked.archives {
                noted
                    .archives
                    .entry(what.clone())
                    .or_insert_with(|| why.clone());
            }
            Ok(events)
        })
        .map(Some)
    }

    pub(super) fn update(
        &mut self,
        change: impl FnOnce(&mut Pins) -> Result<Changes>,
    ) -> Result<()> {
        self.pins = pins::update(&self.data, change)?;
        Ok(())
    }
}

fn apply(pins: &mut Pins, name: &str, change: Change<'_>) -> Result<Changes> {
    let event = |event, detail: &str| Ok(vec![(event, name.to_owned(), detail.to_owned())]);
    match change {
        Change::Key(key) => {
            let key = keys::PublicKey::parse(key)?.text();
            let pin = pins.plugins.entry(name.to_owned()).or_default();
            if pin.key.as_ref() == Some(&key) && !pin.distrusted {
                return Ok(Vec::new());
            }
            let before = pin.key.replace(key.clone()).unwrap_or_default();
            if before != key {
                pin.former_keys.clear();
                pin.accepted.clear();
                pin.by_registry = false;
            }
            pin.distrusted = false;
            event(Event::Repinned, format!("{before} {key}").trim_start())
        }
        Change::Native(allowed) => {
            let pin = if allowed {
                pins.plugins.entry(name.to_owned()).or_default()
            } else {
                known(pins, name)?
            };
            if pin.native == allowed {
                return Ok(Vec::new());
            }
            pin.native = allowed;
            let what = if allowed {
                Event::NativeAllowed
            } else {
                Event::NativeDenied
            };
            event(what, "")
        }
        Change::Trust | Change::Distrust => {
            let distrusted = change == Change::Distrust;
            let pin = if distrusted {
                pins.plugins.entry(name.to_owned()).or_default()
            } else {
                known(pins, name)?
            };
            if pin.distrusted == distrusted {
                return Ok(Vec::new());
            }
            pin.distrusted = distrusted;
            let what = if distrusted {
                Event::Distrusted
            } else {
                Event::Trusted
            };
            event(what, "")
        }
        Change::Forget => {
            let pin = known(pins, name)?.clone();
            pins.plugins.remove(name);
            event(Event::Forgotten, &pin.key.unwrap_or_default())
        }
    }
}

fn known<'a>(pins: &'a mut Pins, name: &str) -> Result<&'a mut pins::Pin> {
    pins.plugins.get_mut(name).ok_or_else(|| {
        Error::config(format!("nothing is known of a plugin {name:?}"))
            .hint("codex-ml plugin trust lists the names that are pinned")
    })
}
