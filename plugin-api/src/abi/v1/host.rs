//! The host context across the border, the other way round: the host's object, used by the plugin.

use std::sync::Arc;

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr, RVec};
use serde_json::Value;

use super::adapter::AbiAdapter;
use super::buffers::{argument, text, to_json};
use super::dataset::AbiDataset;
use super::error::AbiResult;
use super::guard::{guard, guarded};
use super::metric::AbiMetric;
use super::model::AbiModel;
use super::object::{Proxy, into_raw, release, shared, table};
use super::sanitizer::AbiSanitizer;
use super::tokenizer::AbiTokenizer;
use crate::{
    Adapter, Dataset, Host, HostRef, LogLevel, Metric, Model, Result, Sanitizer, Tokenizer,
};

/// The levels by their number.
const LEVELS: [LogLevel; 4] = [
    LogLevel::Debug,
    LogLevel::Info,
    LogLevel::Warning,
    LogLevel::Error,
];

/// The functions of the host context.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostTable, prefix_fields = HostTablePrefix)))]
pub struct HostFunctions {
    release: unsafe extern "C" fn(*mut ()),
    /// The level is 0 debug, 1 info, 2 warning, 3 error.
    log: unsafe extern "C" fn(*mut (), u8, RStr<'_>),
    progress: unsafe extern "C" fn(*mut (), RStr<'_>, u64, u64),
    threads: unsafe extern "C" fn(*mut ()) -> u64,
    /// 1 when the user asked to stop.
    interrupted: unsafe extern "C" fn(*mut ()) -> u8,
    print: unsafe extern "C" fn(*mut (), RStr<'_>) -> AbiResult<()>,
    read_file: unsafe extern "C" fn(*mut (), RStr<'_>, u64, u64) -> AbiResult<RVec<u8>>,
    /// Here and below: the component's name and its configuration as JSON.
    create_tokenizer:
        unsafe extern "C" fn(*mut (), RStr<'_>, RSlice<'_, u8>) -> AbiResult<AbiTokenizer>,
    create_model: unsafe extern "C" fn(*mut (), RStr<'_>, RSlice<'_, u8>) -> AbiResult<AbiModel>,
    create_dataset:
        unsafe extern "C" fn(*mut (), RStr<'_>, RSlice<'_, u8>) -> AbiResult<AbiDataset>,
    create_metric: unsafe extern "C" fn(*mut (), RStr<'_>, RSlice<'_, u8>) -> AbiResult<AbiMetric>,
    create_sanitizer:
        unsafe extern "C" fn(*mut (), RStr<'_>, RSlice<'_, u8>) -> AbiResult<AbiSanitizer>,
    #[sabi(last_prefix_field)]
    create_adapter:
        unsafe extern "C" fn(*mut (), RStr<'_>, RSlice<'_, u8>) -> AbiResult<AbiAdapter>,
}

table! {
    HostTable of HostFunctions {
        release: release::<HostRef>,
        log,
        progress,
        threads,
        interrupted,
        print,
        read_file,
        create_tokenizer,
        create_model,
        create_dataset,
        create_metric,
        create_sanitizer,
        create_adapter,
    }
}

/// The host context.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiHost {
    this: *mut (),
    table: HostTable,
}

// SAFETY: [`Host`] requires both of the instance, and the table is constant.
unsafe impl Send for AbiHost {}
// SAFETY: as above.
unsafe impl Sync for AbiHost {}

impl Drop for AbiHost {
    fn drop(&mut self) {
        // SAFETY: the object owns the instance, and the pointer came with this table.
        unsafe { (self.table.release())(self.this) }
    }
}

// SAFETY of every function below: the table's contract. `this` is a live instance made with this table.

unsafe extern "C" fn log(this: *mut (), level: u8, message: RStr<'_>) {
    let _ = guard(|| {
        let level = LEVELS.get(usize::from(level)).copied();
        // SAFETY: see above.
        unsafe { shared::<HostRef>(this) }.log(
            level.unwrap_or(LogLevel::Error),
            text(message, "a log line")?,
        );
        Ok(())
    });
}

unsafe extern "C" fn progress(this: *mut (), label: RStr<'_>, done: u64, total: u64) {
    let _ = guard(|| {
        // SAFETY: see above.
        unsafe { shared::<HostRef>(this) }.progress(text(label, "a label")?, done, total);
        Ok(())
    });
}

unsafe extern "C" fn threads(this: *mut ()) -> u64 {
    // SAFETY: see above.
    guarded(|| Ok(unsafe { shared::<HostRef>(this) }.threads() as u64)).unwrap_or(1)
}

unsafe extern "C" fn interrupted(this: *mut ()) -> u8 {
    // SAFETY: see above.
    u8::from(guarded(|| Ok(unsafe { shared::<HostRef>(this) }.interrupted())).unwrap_or(false))
}

unsafe extern "C" fn print(this: *mut (), output: RStr<'_>) -> AbiResult<()> {
    // SAFETY: see above.
    guard(|| unsafe { shared::<HostRef>(this) }.print(text(output, "the output")?))
}

unsafe extern "C" fn read_file(
    this: *mut (),
    path: RStr<'_>,
    offset: u64,
    length: u64,
) -> AbiResult<RVec<u8>> {
    guard(|| {
        // SAFETY: see above.
        let host = unsafe { shared::<HostRef>(this) };
        host.read_file(text(path, "a path")?, offset, length)
            .map(RVec::from)
    })
}

macro_rules! create {
    ($($function:ident: $object:ident),* $(,)?) => {$(
        unsafe extern "C" fn $function(
            this: *mut (),
            name: RStr<'_>,
            config: RSlice<'_, u8>,
        ) -> AbiResult<$object> {
            guard(|| {
                let config: Value = argument(config, "this configuration")?;
                // SAFETY: see above.
                let host = unsafe { shared::<HostRef>(this) };
                let component = host.$function(text(name, "a component's name")?, &config)?;
                Ok($object::export(component, Some(Arc::clone(host))))
            })
        }
    )*};
}

create! {
    create_tokenizer: AbiTokenizer,
    create_model: AbiModel,
    create_dataset: AbiDataset,
    create_metric: AbiMetric,
    create_sanitizer: AbiSanitizer,
    create_adapter: AbiAdapter,
}

impl AbiHost {
    /// Wraps a host for a plugin.
    pub fn export(host: HostRef) -> Self {
        Self {
            this: into_raw(Box::new(host), None),
            table: TABLE,
        }
    }

    /// The host as plugins hold it.
    pub fn import(self) -> HostRef {
        Arc::new(Proxy::new(self))
    }
}

macro_rules! created {
    ($($function:ident: $trait:ident),* $(,)?) => {$(
        fn $function(&self, name: &str, config: &Value) -> Result<Box<dyn $trait>> {
            let config = to_json(config, "a configuration")?;
            // SAFETY: see above.
            self.call(|it| unsafe {
                it.table.$function()(it.this, name.into(), config.as_rslice())
            })?
            .import()
        }
    )*};
}

// SAFETY of every call below: the object owns a live instance of its own table, and hosts are shared between threads.
impl Host for Proxy<AbiHost> {
    fn log(&self, level: LogLevel, message: &str) {
        let number = LEVELS.iter().position(|&known| known == level);
        let number = number.unwrap_or(LEVELS.len()) as u8;
        let it = self.object();
        // SAFETY: see above.
        unsafe { it.table.log()(it.this, number, message.into()) }
    }

    fn progress(&self, label: &str, done: u64, total: u64) {
        let it = self.object();
        // SAFETY: see above.
        unsafe { it.table.progress()(it.this, label.into(), done, total) }
    }

    fn threads(&self) -> usize {
        let it = self.object();
        // SAFETY: see above.
        let threads = unsafe { it.table.threads()(it.this) };
        usize::try_from(threads).unwrap_or(1).max(1)
    }

    fn interrupted(&self) -> bool {
        let it = self.object();
        // SAFETY: see above.
        unsafe { it.table.interrupted()(it.this) != 0 }
    }

    fn print(&self, text: &str) -> Result<()> {
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.print()(it.this, text.into()) })
    }

    fn read_file(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.read_file()(it.this, path.into(), offset, length) })
            .map(RVec::into_vec)
    }

    created! {
        create_tokenizer: Tokenizer,
        create_model: Model,
        create_dataset: Dataset,
        create_metric: Metric,
        create_sanitizer: Sanitizer,
        create_adapter: Adapter,
    }
}
