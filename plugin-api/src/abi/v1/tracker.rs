//! Trackers across the border.

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr};

use super::buffers::{argument, text, to_json};
use super::error::AbiResult;
use super::guard::guard;
use super::object::{Proxy, exclusive, object, release, table};
use crate::{Result, RunInfo, Tracker};

/// The functions of a tracker.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = TrackerTable, prefix_fields = TrackerTablePrefix)))]
pub struct TrackerFunctions {
    release: unsafe extern "C" fn(*mut ()),
    /// [`RunInfo`] as JSON.
    start: unsafe extern "C" fn(*mut (), RSlice<'_, u8>) -> AbiResult<()>,
    events: unsafe extern "C" fn(*mut (), RStr<'_>) -> AbiResult<()>,
    #[sabi(last_prefix_field)]
    finish: unsafe extern "C" fn(*mut ()) -> AbiResult<()>,
}

table! {
    TrackerTable of TrackerFunctions {
        release: release::<dyn Tracker>,
        start,
        events,
        finish,
    }
}

object! {
    /// A tracker.
    AbiTracker, TrackerTable, Tracker
}

// SAFETY of every function below: the table's contract. `this` is a live instance made with this table; functions that
// take `&mut self` in the trait are called by one thread at a time.

unsafe extern "C" fn start(this: *mut (), run: RSlice<'_, u8>) -> AbiResult<()> {
    guard(|| {
        let run: RunInfo = argument(run, "this description of a run")?;
        // SAFETY: see above.
        unsafe { exclusive::<dyn Tracker>(this) }.start(&run)
    })
}

unsafe extern "C" fn events(this: *mut (), ndjson: RStr<'_>) -> AbiResult<()> {
    // SAFETY: see above.
    guard(|| unsafe { exclusive::<dyn Tracker>(this) }.events(text(ndjson, "an event")?))
}

unsafe extern "C" fn finish(this: *mut ()) -> AbiResult<()> {
    // SAFETY: see above.
    guard(|| unsafe { exclusive::<dyn Tracker>(this) }.finish())
}

impl AbiTracker {
    /// The tracker as its trait.
    ///
    /// # Errors
    /// None today.
    pub fn import(self) -> Result<Box<dyn Tracker>> {
        Ok(Box::new(Proxy::new(self)))
    }
}

// SAFETY of every call below: the object owns a live instance of its own table, and `&mut self` keeps others away.
impl Tracker for Proxy<AbiTracker> {
    fn start(&mut self, run: &RunInfo) -> Result<()> {
        let run = to_json(run, "the description of the run")?;
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.start()(it.this, run.as_rslice()) })
    }

    fn events(&mut self, ndjson: &str) -> Result<()> {
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.events()(it.this, ndjson.into()) })
    }

    fn finish(&mut self) -> Result<()> {
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.finish()(it.this) })
    }
}
