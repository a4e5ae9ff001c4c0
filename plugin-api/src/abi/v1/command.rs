//! Commands across the border.

use std::sync::Arc;

use abi_stable::StableAbi;
use abi_stable::std_types::RSlice;

use super::buffers::{argument, to_json};
use super::error::AbiResult;
use super::guard::guard;
use super::host::AbiHost;
use super::object::{Proxy, exclusive, object, release, table};
use crate::{Arguments, Command, HostRef, Result};

/// The functions of a command.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = CommandTable, prefix_fields = CommandTablePrefix)))]
pub struct CommandFunctions {
    release: unsafe extern "C" fn(*mut ()),
    /// The arguments are a JSON object; the answer is the exit code.
    #[sabi(last_prefix_field)]
    run: unsafe extern "C" fn(*mut (), RSlice<'_, u8>, AbiHost) -> AbiResult<i32>,
}

table! {
    CommandTable of CommandFunctions {
        release: release::<dyn Command>,
        run,
    }
}

object! {
    /// A command.
    AbiCommand, CommandTable, Command
}

/// # Safety
/// The table's contract: `this` is a live instance made with this table that only this call uses.
unsafe extern "C" fn run(
    this: *mut (),
    arguments: RSlice<'_, u8>,
    host: AbiHost,
) -> AbiResult<i32> {
    guard(|| {
        let arguments = Arguments(argument(arguments, "these arguments")?);
        // SAFETY: the caller's promise.
        unsafe { exclusive::<dyn Command>(this) }.run(&arguments, &host.import())
    })
}

impl AbiCommand {
    /// The command as its trait.
    ///
    /// # Errors
    /// None today.
    pub fn import(self) -> Result<Box<dyn Command>> {
        Ok(Box::new(Proxy::new(self)))
    }
}

impl Command for Proxy<AbiCommand> {
    fn run(&mut self, arguments: &Arguments, host: &HostRef) -> Result<i32> {
        let arguments = to_json(&arguments.0, "the arguments")?;
        let host = AbiHost::export(Arc::clone(host));
        // SAFETY: the object owns a live instance of its own table, and `&mut self` keeps others away.
        self.call(|it| unsafe { it.table.run()(it.this, arguments.as_rslice(), host) })
    }
}
