//! An instance and the calls into it: each within its time, memory and transfer limits, and whatever goes wrong becomes
//! an error that says which limit was met and how to raise it. An instance that was stopped stays stopped: nobody knows
//! in which state it was left.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use codex_plugin_api::manifest::{Size, Span};
use codex_plugin_api::{Error, ErrorKind, HostRef, Result};
use wasmtime::component::{Instance, InstancePre, ResourceTable};
use wasmtime::{Store, Trap};

use super::About;
use super::bindings::codex::plugin::types;
use super::engine;
use super::imports::host::printable;
use super::imports::wasi::System;
use super::limits::{Bounds, Limiter};
use super::state::State;
use crate::plugins::grants::{self, Granted, Standing};

/// An instance of its own for one component. Calls come one at a time; whoever comes second waits.
pub(super) struct Guest {
    inner: Mutex<Inner>,
    about: Arc<About>,
}

struct Inner {
    store: Store<State>,
    instance: Instance,
    /// Why it was stopped.
    stopped: Option<String>,
}

impl Guest {
    /// Makes an instance, unless the user still has to decide what the plugin may do. `exports` looks up the interface
    /// that will be called.
    pub(super) fn new<K>(
        pre: &InstancePre<State>,
        about: &Arc<About>,
        host: HostRef,
        exports: impl FnOnce(&InstancePre<State>) -> wasmtime::Result<K>,
    ) -> Result<(Self, K)> {
        let manifest = &about.manifest;
        let id = &manifest.plugin.id;
        let granted = match &about.standing {
            Standing::NothingAsked => Granted::default(),
            Standing::Granted(granted) => granted.clone(),
            Standing::Undecided => return Err(undecided(about, "asks for")),
            Standing::AsksForOther => {
                return Err(undecided(
                    about,
                    "now asks for something else than you granted:",
                ));
            }
        };
        let system = System::new(manifest, &granted)?;
        let state = State {
            plugin: id.clone(),
            host,
            asked: manifest.permissions.clone(),
            granted,
            limiter: Limiter::new(about.bounds),
            table: ResourceTable::new(),
            connections: 0,
            created: 0,
            system,
            deadline: Instant::now(),
            cut_short: false,
            last_words: None,
        };
        let exports = exports(pre).map_err(|error| {
            Error::failed(format!("it lacks an export: {}", engine::root(&error)))
        })?;
        let mut store = Store::new(pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(usize::try_from(about.bounds.transfer).unwrap_or(usize::MAX));
        begin(&mut store, &about.bounds);
        let instance = pre.instantiate(&mut store).map_err(|error| {
            tell(&mut store);
            explain(&store, about, &error)
        })?;
        let inner = Inner {
            store,
            instance,
            stopped: None,
        };
        let guest = Self {
            inner: Mutex::new(inner),
            about: Arc::clone(about),
        };
        Ok((guest, exports))
    }

    /// Makes one call. The outer result is the sandbox's, the inner the guest's own.
    pub(super) fn call<T>(
        &self,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<Result<T, types::Error>>,
    ) -> Result<T> {
        self.call_plain(|store, _| call(store))?.map_err(error)
    }

    /// As [`Self::call`] for what the guest answers without a result of its own.
    pub(super) fn call_plain<T>(
        &self,
        call: impl FnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner {
            store,
            instance,
            stopped,
        } = &mut *inner;
        if let Some(reason) = stopped {
            return Err(Error::failed(format!("it was stopped before: {reason}")));
        }
        begin(store, &self.about.bounds);
        let result = match call(store, instance) {
            // It was woken to be stopped, and answered before the clock ticked.
            Ok(_) if store.data().overslept() => Err(Trap::Interrupt.into()),
            result => result,
        };
        tell(store);
        result.map_err(|cause| {
            let error = explain(store, &self.about, &cause);
            *stopped = Some(error.message().to_owned());
            error
        })
    }
}

/// Names the call of an error that comes while a component is created, which would else be blamed on `create` alone.
pub(super) fn asked_for<T>(call: &str, result: Result<T>) -> Result<T> {
    result.map_err(|error| {
        let message = format!("{}, when asked for its {call}", error.message());
        error.with_message(message)
    })
}

/// What a limit beyond the clock's range comes to.
const FOR_EVER: Duration = Duration::from_hours(100 * 365 * 24);

fn begin(store: &mut Store<State>, bounds: &Bounds) {
    store.set_epoch_deadline(engine::ticks(bounds.time));
    let state = store.data_mut();
    let now = Instant::now();
    state.deadline = now.checked_add(bounds.time).unwrap_or(now + FOR_EVER);
    state.limiter.met = None;
    state.cut_short = false;
    state.last_words = None;
}

/// Passes on what the guest printed by way of WASI.
fn tell(store: &mut Store<State>) {
    let state = store.data_mut();
    let said = state.system.tell(&state.host, state.granted.terminal);
    if said.is_some() {
        state.last_words = said;
    }
}

fn undecided(about: &About, how: &str) -> Error {
    let id = &about.manifest.plugin.id;
    let asked: Vec<String> = grants::requests(&about.manifest)
        .into_iter()
        .map(|request| format!("{} ({})", request.what, request.reason))
        .collect();
    let line = grants::command_line(&about.manifest);
    let error = Error::denied(format!("plugin {id} {how} {}", asked.join(", ")));
    match &about.problem {
        // Where decisions cannot be read, deciding again is no help.
        Some(problem) => error.because(problem),
        None => error.hint(format!(
            "{line}, or use it without: codex-ml plugin grant {id} --none"
        )),
    }
}

/// What ended a call, in the words of the limit that was met.
fn explain(store: &Store<State>, about: &About, error: &wasmtime::Error) -> Error {
    let state = store.data();
    let (id, bounds) = (&state.plugin, &about.bounds);
    // An error of a host function passes through the guest as it is.
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.clone();
    }
    let raise = |key: &str, value: String| {
        format!("if it is meant to, raise the limit: codex-ml plugin limit {id} {key}={value}")
    };
    let root = engine::root(error);
    let trap = error.downcast_ref::<Trap>().copied();
    let limited = match (trap, state.limiter.met) {
        (Some(Trap::Interrupt), _) => Some((
            format!("it ran longer than its limit of {}", Span(bounds.time)),
            raise("time", Span(bounds.time.saturating_mul(2)).to_string()),
        )),
        (Some(Trap::StackOverflow), _) => Some((
            "it exhausted its stack".to_owned(),
            "this is a fault of the plugin, most likely a recursion without end: tell its authors"
                .to_owned(),
        )),
        (_, Some("memory")) => Some((
            format!(
                "it needs more memory than its limit of {} (it had {})",
                Size(bounds.memory),
                Size(state.limiter.memory())
            ),
            raise("memory", Size(bounds.memory.saturating_mul(2)).to_string()),
        )),
        (_, Some(key)) => Some((
            format!(
                "it needs more {key} than its limit of {}",
                bounds.table_elements
            ),
            raise(key, bounds.table_elements.saturating_mul(2).to_string()),
        )),
        _ if root.contains("fuel allocated for hostcalls") => Some((
            format!(
                "it handed over more than its limit of {} in one call",
                Size(bounds.transfer)
            ),
            raise(
                "transfer",
                Size(bounds.transfer.saturating_mul(2)).to_string(),
            ),
        )),
        _ if root.contains("resource limit exceeded") => Some((
            format!(
                "it consists of more parts than its limit of {}: {root}",
                bounds.instances
            ),
            raise("instances", bounds.instances.saturating_mul(2).to_string()),
        )),
        _ => None,
    };
    let error = if let Some((message, hint)) = limited {
        Error::failed(message).hint(hint)
    } else {
        let message = match (trap, &state.last_words) {
            (Some(Trap::UnreachableCodeReached), Some(words)) => {
                return Error::new(ErrorKind::Panic, words.clone());
            }
            (Some(Trap::MemoryOutOfBounds), _) => {
                // Compilers for WebAssembly keep a stack of their own at the beginning of memory.
                "it reached beyond its memory, most likely by a recursion without end".to_owned()
            }
            (Some(Trap::UnreachableCodeReached), None) => {
                "it stopped itself (a panic, an assertion or an abort)".to_owned()
            }
            _ => root,
        };
        Error::new(ErrorKind::Panic, message)
    };
    match &state.last_words {
        Some(words) => error.with_causes([words.clone()]),
        None => error,
    }
}

/// An error as the guest reports it.
pub(super) fn error(error: types::Error) -> Error {
    let kind = match error.kind {
        types::ErrorKind::Config => ErrorKind::Config,
        types::ErrorKind::Data => ErrorKind::Data,
        types::ErrorKind::Unsupported => ErrorKind::Unsupported,
        types::ErrorKind::Denied => ErrorKind::Denied,
        types::ErrorKind::Interrupted => ErrorKind::Interrupted,
        types::ErrorKind::Failed => ErrorKind::Failed,
    };
    let line = |text: String| printable(&text);
    let found =
        Error::new(kind, line(error.message)).with_causes(error.causes.into_iter().map(line));
    match error.hint {
        Some(hint) => found.hint(line(hint)),
        None => found,
    }
}

/// An error of the host as a guest sees it.
pub(super) fn error_to(error: &Error) -> types::Error {
    let kind = match error.kind() {
        ErrorKind::Config => types::ErrorKind::Config,
        ErrorKind::Data => types::ErrorKind::Data,
        ErrorKind::Unsupported => types::ErrorKind::Unsupported,
        ErrorKind::Denied => types::ErrorKind::Denied,
        ErrorKind::Interrupted => types::ErrorKind::Interrupted,
        _ => types::ErrorKind::Failed,
    };
    types::Error {
        kind,
        message: error.message().to_owned(),
        hint: error.hint_text().map(str::to_owned),
        causes: error.causes().to_vec(),
    }
}
