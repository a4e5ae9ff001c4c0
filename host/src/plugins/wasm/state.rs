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
    /// Whether a sleep of the current call was cut to the time that is left of it.
    pub(super) cut_short: bool,
    /// The last error that the guest logged: what a guest that stops itself said before.
    pub(super) last_words: Option<String>,
}

impl State {
    /// Whether the guest would still sleep, had the current call more time.
    pub(super) fn overslept(&self) -> bool {
        self.cut_short && Instant::now() >= self.deadline
    }
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
