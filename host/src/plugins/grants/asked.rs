//! What a manifest asks for as it is recorded: without the reasons, which no sandbox can hold a plugin to, and in an
//! order of its own, so that a manifest written otherwise asks for the same.

use std::collections::{BTreeMap, BTreeSet};

use codex_plugin_api::manifest::Limits;
use codex_plugin_api::{Kind, Manifest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Granted;
use crate::plugins::wasm::Bounds;

/// How a folder is used; writing includes reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Access {
    Read,
    Write,
}

/// Everything that a plugin asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    folders: BTreeMap<String, Access>,
    environment: BTreeSet<String>,
    network: BTreeSet<String>,
    components: BTreeSet<Kind>,
    clock: bool,
    random: bool,
    terminal: bool,
    /// Those beyond the default; others need no grant.
    limits: Limits,
}

impl Asked {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let permissions = &manifest.permissions;
        let mut folders = BTreeMap::new();
        for folder in &permissions.folders {
            let access = if folder.write {
                Access::Write
            } else {
                Access::Read
            };
            let known = folders.entry(folder.path.clone()).or_insert(access);
            *known = access.max(*known);
        }
        Self {
            folders,
            environment: permissions
                .environment
                .iter()
                .map(|asked| asked.key.clone())
                .collect(),
            network: permissions
                .network
                .iter()
                .map(|asked| asked.host.clone())
                .collect(),
            components: permissions
                .components
                .iter()
                .map(|asked| asked.kind)
                .collect(),
            clock: permissions.clock.is_some(),
            random: permissions.random.is_some(),
            terminal: permissions.terminal.is_some(),
            limits: beyond_default(manifest),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The SHA-256 of its JSON, which is canonical: fields in the order of the type, everything else sorted.
    pub(super) fn digest(&self) -> String {
        // Plain maps, sets and texts cannot fail to become JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        crate::data::hex(&Sha256::digest(json))
    }

    /// Whether it asks for all that `other` asks for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // A permission that is not asked for comes before one that is: None < Some, false < true.
        let folders = other
            .folders
            .iter()
            .all(|(name, access)| self.folders.get(name) >= Some(access));
        folders
            && other.environment.is_subset(&self.environment)
            && other.network.is_subset(&self.network)
            && other.components.is_subset(&self.components)
            && other.clock <= self.clock
            && other.random <= self.random
            && other.terminal <= self.terminal
            && self.covers_limits(other)
    }

    fn covers_limits(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.limits, &other.limits);
        theirs.memory <= ours.memory
            && theirs.time <= ours.time
            && theirs.transfer <= ours.transfer
            && theirs.table_elements <= ours.table_elements
            && theirs.instances <= ours.instances
    }

    /// What of a grant that was made for this may hold for a plugin that asks for `now`.
    pub(super) fn carried(&self, granted: &Granted, now: &Self) -> Granted {
        let folder = |name: &str| {
            let access = now.folders.get(name);
            access.is_some() && self.folders.get(name) >= access
        };
        Granted {
            folders: granted
                .folders
                .iter()
                .filter(|(name, _)| folder(name))
                .map(|(name, path)| (name.clone(), path.clone()))
                .collect(),
            environment: &(&granted.environment & &self.environment) & &now.environment,
            network: &(&granted.network & &self.network) & &now.network,
            components: &(&granted.components & &self.components) & &now.components,
            clock: granted.clock && self.clock && now.clock,
            random: granted.random && self.random && now.random,
            terminal: granted.terminal && self.terminal && now.terminal,
            limits: granted.limits && !now.limits.is_empty() && self.covers_limits(now),
        }
    }
}

fn beyond_default(manifest: &Manifest) -> Limits {
    let more = Bounds::beyond_default(manifest);
    let beyond = |key: &str| more.iter().any(|(name, _)| *name == key);
    let limits = &manifest.limits;
    Limits {
        memory: limits.memory.filter(|_| beyond("memory")),
        time: limits.time.filter(|_| beyond("time")),
        transfer: limits.transfer.filter(|_| beyond("transfer")),
        table_elements: limits.table_elements.filter(|_| beyond("table_elements")),
        instances: limits.instances.filter(|_| beyond("instances")),
    }
}
