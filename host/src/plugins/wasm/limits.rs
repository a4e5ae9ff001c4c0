//! How much an instance may use. The defaults are here; the manifest and the user may set each otherwise.

use std::time::Duration;

use codex_plugin_api::Manifest;
use codex_plugin_api::manifest::{Limits, Size, Span};
use wasmtime::ResourceLimiter;

use crate::plugins::grants::Standing;

/// The limits that hold where nobody set others: enough for a Python guest with some hundred thousand numbers.
const MEMORY: u64 = 256 << 20;
const TIME: Duration = Duration::from_secs(30);
const TRANSFER: u64 = 128 << 20;
const TABLE_ELEMENTS: u64 = 100_000;
const INSTANCES: u64 = 200;

/// The limits of one plugin's instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes of memory of one component.
    pub(crate) memory: u64,
    /// Time of one call.
    pub(crate) time: Duration,
    /// Bytes that one call may hand over to the host.
    pub(crate) transfer: u64,
    /// Elements of all tables.
    pub(crate) table_elements: u64,
    /// Modules, memories and tables inside one component, each.
    pub(crate) instances: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            memory: MEMORY,
            time: TIME,
            transfer: TRANSFER,
            table_elements: TABLE_ELEMENTS,
            instances: INSTANCES,
        }
    }
}

impl Bounds {
    /// The user's word before the manifest's before the defaults. A manifest may always ask for less; more than the
    /// default takes effect once the user granted what the plugin asks for.
    pub(crate) fn new(manifest: &Manifest, standing: &Standing, user: Option<&Limits>) -> Self {
        let usual = Self::default();
        let asked = Self::default().with(&manifest.limits);
        let trusted = standing.grants_limits();
        let allowed = if trusted {
            asked
        } else {
            Self {
                memory: asked.memory.min(usual.memory),
                time: asked.time.min(usual.time),
                transfer: asked.transfer.min(usual.transfer),
                table_elements: asked.table_elements.min(usual.table_elements),
                instances: asked.instances.min(usual.instances),
            }
        };
        user.map_or(allowed, |user| allowed.with(user))
    }

    fn with(self, limits: &Limits) -> Self {
        Self {
            memory: limits.memory.map_or(self.memory, |size| size.0),
            time: limits.time.map_or(self.time, |span| span.0),
            transfer: limits.transfer.map_or(self.transfer, |size| size.0),
            table_elements: limits.table_elements.unwrap_or(self.table_elements),
            instances: limits.instances.unwrap_or(self.instances),
        }
    }

    /// The limits a manifest asks for beyond the defaults: what a user has to grant.
    pub(crate) fn beyond_default(manifest: &Manifest) -> Vec<(&'static str, String)> {
        let (usual, asked) = (Self::default(), Self::default().with(&manifest.limits));
        let mut more = Vec::new();
        if asked.memory > usual.memory {
            more.push(("memory", Size(asked.memory).to_string()));
        }
        if asked.time > usual.time {
            more.push(("time", Span(asked.time).to_string()));
        }
        if asked.transfer > usual.transfer {
            more.push(("transfer", Size(asked.transfer).to_string()));
        }
        if asked.table_elements > usual.table_elements {
            more.push(("table_elements", asked.table_elements.to_string()));
        }
        if asked.instances > usual.instances {
            more.push(("instances", asked.instances.to_string()));
        }
        more
    }

    /// Every limit with its value, in the manifest's words.
    pub(crate) fn lines(&self) -> [(&'static str, String); 5] {
        [
            ("memory", Size(self.memory).to_string()),
            ("time", Span(self.time).to_string()),
            ("transfer", Size(self.transfer).to_string()),
            ("table_elements", self.table_elements.to_string()),
            ("instances", self.instances.to_string()),
        ]
    }
}

/// Counts what an instance takes and remembers which limit it met.
#[derive(Debug)]
pub(super) struct Limiter {
    bounds: Bounds,
    /// Bytes of all memories and elements of all tables together.
    memory: u64,
    elements: u64,
    /// The limit that was met last, by its key.
    pub(super) met: Option<&'static str>,
}

impl Limiter {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            memory: 0,
            elements: 0,
            met: None,
        }
    }

    /// Bytes of memory that the instance holds.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add((desired - current) as u64);
        if total > self.bounds.memory || maximum.is_some_and(|maximum| desired > maximum) {
            self.met = Some("memory");
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.elements.saturating_add((desired - current) as u64);
        if total > self.bounds.table_elements || maximum.is_some_and(|maximum| desired > maximum) {
            self.met = Some("table_elements");
            return Ok(false);
        }
        self.elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        usize::try_from(self.bounds.instances).unwrap_or(usize::MAX)
    }

    fn tables(&self) -> usize {
        self.instances()
    }

    fn memories(&self) -> usize {
        self.instances()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const MANIFEST: &str = "[plugin]\nid = \"a\"\nversion = \"0.1.0\"\napi = \"1\"\ndescription = \"d\"\n[[component]]\nkind = \"metric\"\nname = \"a\"\n[limits]\n";

    #[test]
    fn a_manifest_may_ask_for_less_and_needs_a_grant_for_more() {
        let manifest =
            |limits: &str| Manifest::parse(&format!("{MANIFEST}{limits}"), "test").unwrap();
        let less = manifest("memory = \"1MiB\"\ntime = \"1s\"\n");
        let bounds = Bounds::new(&less, &Standing::NothingAsked, None);
        assert_eq!((bounds.memory, bounds.time.as_secs()), (1 << 20, 1));
        let more = manifest("memory = \"1GiB\"\n");
        assert_eq!(
            Bounds::beyond_default(&more),
            [("memory", "1GiB".to_owned())]
        );
        let undecided = Bounds::new(&more, &Standing::Undecided, None);
        assert_eq!(undecided.memory, MEMORY);
        let granted = Standing::Granted(crate::plugins::grants::Granted {
            limits: true,
            ..Default::default()
        });
        assert_eq!(Bounds::new(&more, &granted, None).memory, 1 << 30);
        let user = Limits {
            memory: Some(Size(5)),
            ..Limits::default()
        };
        assert_eq!(Bounds::new(&more, &granted, Some(&user)).memory, 5);
    }

    #[test]
    fn all_memories_count_together() {
        let mut limiter = Limiter::new(Bounds {
            memory: 100,
            ..Bounds::default()
        });
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 50, None).unwrap());
        assert_eq!((limiter.memory(), limiter.met), (60, Some("memory")));
    }
}
