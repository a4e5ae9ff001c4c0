//! Carrying a plan out: versions into the store, then the project file, then the history, and the lock at the end.

use codex_plugin_api::{Error, Result};
use semver::Version;

use super::{Plan, Session};
use crate::digest::sha256;
use crate::durable;
use crate::history::State;
use crate::lock::{Change, Locked};
use crate::source::Offer;
use crate::store::damages;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The versions that came, went and changed.
    pub changes: Vec<Change>,
    /// The versions that were fetched and unpacked.
    pub installed: Vec<(String, Version)>,
    /// What the user should read.
    pub warnings: Vec<String>,
    /// Whether what is asked for changes.
    pub project_changes: bool,
    /// Whether the lock's text changes.
    pub lock_changes: bool,
}

impl Plan {
    /// What carrying it out comes to, as far as that is known beforehand: nothing was fetched yet.
    ///
    /// # Errors
    /// When the lock cannot be written as text.
    pub fn outline(&self) -> Result<Applied> {
        let after = self.after()?;
        Ok(Applied {
            changes: self.changes.clone(),
            warnings: self.remarks.clone(),
            project_changes: after.project != self.before.project,
            lock_changes: after.lock != self.before.lock,
            ..Applied::default()
        })
    }

    /// The scope's files as they will be.
    fn after(&self) -> Result<State> {
        Ok(State {
            project: Some(self.project.text())
                .filter(|text| !text.is_empty() || self.project.before().is_some()),
            lock: match (&self.before.lock, self.lock.plugins.is_empty()) {
                (None, true) => None,
                _ => Some(self.lock.text()?),
            },
        })
    }
}

impl Session<'_> {
    /// Carries a plan out. `told` hears of each version before it is fetched. The caller has the store's turn, and had it
    /// when the plan was made.
    ///
    /// # Errors
    /// When a version is refused, cannot be had or written. What was in use stays in use.
    pub fn apply(&self, mut plan: Plan, told: &mut dyn FnMut(&Locked)) -> Result<Applied> {
        let mut applied = plan.outline()?;
        for locked in plan.lock.plugins.values() {
            if let Some(obstacle) = locked.obstacle(self.host) {
                return Err(Error::config(obstacle).hint(format!(
                    "codex-ml plugin update {} looks for a version that can run here",
                    locked.name
                )));
            }
            let changed = plan.changes.iter().any(|change| change.name == locked.name);
            if !self.is_there(locked, plan.thorough || changed) {
                self.install(locked, &plan, &mut applied, told)?;
            }
        }
        let after = plan.after()?;
        if after == plan.before {
            return Ok(applied);
        }
        self.history()
            .push(&plan.before, &plan.what, &after, plan.parent)?;
        plan.project.save()?;
        if let Some(text) = after
            .lock
            .filter(|text| plan.before.lock.as_ref() != Some(text))
        {
            durable::write_file(&self.scope.lock_file(), text.as_bytes())?;
        }
        Ok(applied)
    }

    /// Whether a locked version lies in the store, whole as far as looked.
    fn is_there(&self, locked: &Locked, thorough: bool) -> bool {
        let folder = self.folder(locked);
        self.supply.accepted(&folder).as_ref() == Some(&locked.entry)
            && (!thorough || damages(&folder).is_ok_and(|damages| damages.is_empty()))
    }

    /// Where a locked version lies.
    fn folder(&self, locked: &Locked) -> std::path::PathBuf {
        self.store
            .folder(&locked.name, &locked.version, &locked.archive.sha256)
    }

    fn install(
        &self,
        locked: &Locked,
        plan: &Plan,
        applied: &mut Applied,
        told: &mut dyn FnMut(&Locked),
    ) -> Result<()> {
        let offers = self.supply.offers(&locked.name, Some(&locked.registry))?;
        let offer = find(locked, &offers)?;
        // A version that the registry itself has newer ones of is older because somebody chose so; a registry that shows
        // nothing newer may be held back by somebody.
        let newer = offers.iter().any(|other| *other.version() > locked.version);
        let kept = plan.changes.iter().all(|change| change.name != locked.name);
        let pinned = plan.project.pins()?.contains_key(&locked.name);
        let older = plan.older || newer || kept || pinned || plan.named.contains(&locked.name);
        let decision = self.supply.judge(offer, older)?;
        applied.warnings.extend(decision.warnings.iter().cloned());
        let folder = self.folder(locked);
        let whole = damages(&folder).is_ok_and(|damages| damages.is_empty());
        // A version whose acceptance was not written down before the process died needs only that.
        if !(whole && receipt_of(&folder).as_ref() == Some(&locked.entry)) {
            told(locked);
            self.store
                .place(&folder, |into| self.supply.unpack(offer, &decision, into))
                .map_err(|error| in_front(&locked.title(), error))?;
        }
        self.supply.record(&decision)?;
        applied
            .installed
            .push((locked.name.clone(), locked.version.clone()));
        Ok(())
    }
}

/// The offer that a lock means: the very text that was signed.
fn find<'a>(locked: &Locked, offers: &'a [Offer]) -> Result<&'a Offer> {
    let same = |offer: &&Offer| sha256(offer.signed.entry.as_bytes()) == locked.entry;
    let Some(offer) = offers.iter().find(same) else {
        let there = offers
            .iter()
            .any(|offer| *offer.version() == locked.version);
        let message = if there {
            format!(
                "{} of registry {} is not the one in the lock: its entry is another",
                locked.title(),
                locked.registry
            )
        } else {
            format!(
                "registry {} has no {}, which the lock names",
                locked.registry,
                locked.title()
            )
        };
        return Err(Error::data(message).hint(format!(
            "the lock or the registry was changed: restore the lock from version control, or take what the registry has now: codex-ml plugin update {}; the lock names the registry's address {}",
            locked.name, locked.url
        )));
    };
    // The lock repeats these for those who read it without a registry; they are no other truth.
    let expected = Locked::of(offer, &locked.url);
    if (Locked {
        registry: locked.registry.clone(),
        ..expected
    }) != *locked
    {
        return Err(Error::data(format!("what the lock says of {} is not what was signed", locked.title()))
            .hint("the lock was changed by hand: restore it from version control, or delete it and run codex-ml plugin sync"));
    }
    Ok(offer)
}

/// SHA-256 of the entry in a folder's receipt.
fn receipt_of(folder: &std::path::Path) -> Option<String> {
    let receipt = crate::trust::Receipt::read(folder).ok()?;
    Some(sha256(receipt.signed.entry.as_bytes()))
}

/// Names the version that could not be installed, and says that nothing was lost by it.
fn in_front(title: &str, error: Error) -> Error {
    let error = match error.hint_text() {
        Some(_) => error,
        None => error.hint("what was in use is still in use: mend the cause (free some space, say), and do it again"),
    };
    let message = error.message().to_owned();
    if message.contains(title) {
        return error;
    }
    error.with_message(format!("{title}: {message}"))
}
