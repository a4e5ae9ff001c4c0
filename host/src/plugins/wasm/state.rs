//! What the host keeps beside each instance: for whom it runs, what it may do, how much it has used.

use std::fmt;
use std::time::Instant;

use codex_plugin_api::{HostRef, Permissions};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::imports::wasi::System;
use super::limits::Limiter;
use crate::plugins::grants::Granted;

/// The data of a store.
pub(super) struct State {
    /// The plugin's id.
    pub(super) plugin: String,
    /// The host as the plugin sees it.
    pub(super) host: HostRef,
    /// What its manifest asks for.
    pub(super) asked: Permissions,
    /// What of it the user granted.
    pub(super) granted: Granted,
    /// What it has taken, and where it hit a limit.
    pub(super) limiter: Limiter,
    /// Host objects that the guest holds by number.
    pub(super) table: ResourceTable,
    /// Connections and components among them.
    pub(super) connections: usize,
    pub(super) created: usize,
    /// WASI, for guests whose language needs it.
    pub(super) system: System,
    /// When the current call must be over; host functions that wait look at it.
    pub(super) deadline: Instant,
    /// The last error that the guest logged: what a guest that stops itself said before.
    pub(super) last_words: Option<String>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.system.context,
            table: &mut self.table,
        }
    }
}
