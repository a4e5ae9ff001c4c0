//! Which versions in use are not the newest.

use codex_plugin_api::Result;
use semver::Version;
use serde::Serialize;

use crate::lock::Lock;
use crate::resolve::Host;
use crate::source::Available;

/// A plugin that could be newer, or that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outdated {
    /// The plugin.
    pub name: String,
    /// What is in use.
    pub version: Version,
    /// What `plugin update` would take; none where it stays.
    pub update: Option<Version>,
    /// The newest release that runs here, whatever is asked for.
    pub newest: Option<Version>,
    /// Why the version in use was taken back, where it was.
    pub taken_back: Option<String>,
}

/// Compares what is in use with what an update would bring and with what there is.
///
/// # Errors
/// When a registry cannot be asked.
pub fn outdated(
    lock: &Lock,
    updated: &Lock,
    host: &Host,
    available: &dyn Available,
) -> Result<Vec<Outdated>> {
    let mut found = Vec::new();
    for locked in lock.plugins.values() {
        let offers = available.offers(&locked.name, Some(&locked.registry))?;
        let newest = offers
            .iter()
            .filter(|offer| offer.yanked.is_none() && offer.revoked.is_none())
            .filter(|offer| offer.version().pre.is_empty())
            .filter(|offer| offer.entry.api.matches(&host.api) && offer.entry.runs_on(&host.target))
            .map(crate::source::Offer::version)
            .max()
            .filter(|newest| **newest > locked.version)
            .cloned();
        let own = offers
            .iter()
            .find(|offer| *offer.version() == locked.version);
        let taken_back = own.and_then(|own| {
            let revoked = own
                .revoked
                .as_ref()
                .map(|reason| format!("revoked: {reason}"));
            revoked.or_else(|| {
                own.yanked
                    .as_ref()
                    .map(|reason| format!("yanked: {reason}"))
            })
        });
        let update = updated.plugins.get(&locked.name);
        let update = update
            .map(|updated| updated.version.clone())
            .filter(|version| *version != locked.version);
        if update.is_some() || newest.is_some() || taken_back.is_some() {
            found.push(Outdated {
                name: locked.name.clone(),
                version: locked.version.clone(),
                update,
                newest,
                taken_back,
            });
        }
    }
    Ok(found)
}
