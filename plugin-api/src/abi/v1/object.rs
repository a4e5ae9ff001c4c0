//! How an instance crosses the border: a pointer and a table of functions, on one side made from a boxed trait object,
//! on the other used through a proxy that implements the same trait.
//!
//! The table of each kind is a prefix type: later 1.N append functions, and a reader asks whether one is there.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::AbiResult;
use super::guard::{guard, guarded};
use crate::{Error, ErrorKind, HostRef, LogLevel, Result};

/// What an object's pointer points to.
struct Slot<T: ?Sized> {
    inner: Box<T>,
    /// Where a panic of the destructor is reported, as a destructor cannot answer.
    host: Option<HostRef>,
}

/// Gives the instance away as a pointer that [`release`] with the same `T` takes back.
pub(super) fn into_raw<T: ?Sized>(inner: Box<T>, host: Option<HostRef>) -> *mut () {
    Box::into_raw(Box::new(Slot { inner, host })).cast()
}

/// The instance behind a pointer.
///
/// # Safety
/// `this` came from [`into_raw`] with the same `T`, was not released, and no exclusive borrow of it exists.
pub(super) unsafe fn shared<'a, T: ?Sized>(this: *mut ()) -> &'a T {
    // SAFETY: the caller promises a live slot of this type.
    unsafe { &(*this.cast::<Slot<T>>()).inner }
}

/// The instance behind a pointer, exclusively.
///
/// # Safety
/// `this` came from [`into_raw`] with the same `T`, was not released, and no other borrow of it exists.
pub(super) unsafe fn exclusive<'a, T: ?Sized>(this: *mut ()) -> &'a mut T {
    // SAFETY: the caller promises a live slot of this type that nobody else uses.
    unsafe { &mut (*this.cast::<Slot<T>>()).inner }
}

/// Ends the instance: the `release` of every table.
///
/// # Safety
/// `this` came from [`into_raw`] with the same `T` and is not used again.
pub(super) unsafe extern "C" fn release<T: ?Sized>(this: *mut ()) {
    let _ = guard(|| {
        // SAFETY: the caller gives the slot back, so the box is whole and ours.
        let Slot { inner, host } = *unsafe { Box::from_raw(this.cast::<Slot<T>>()) };
        if let Err(panic) = guarded(move || {
            drop(inner);
            Ok(())
        }) && let Some(host) = host
        {
            let line = format!(
                "panicked while an instance was dropped: {}",
                panic.message()
            );
            host.log(LogLevel::Warning, &line);
        }
        Ok(())
    });
}

/// The using side of an object. After a panic the instance is not entered again: its state may be half-changed.
pub(super) struct Proxy<O> {
    object: O,
    poisoned: AtomicBool,
}

impl<O> Proxy<O> {
    pub(super) fn new(object: O) -> Self {
        Self {
            object,
            poisoned: AtomicBool::new(false),
        }
    }

    /// The object, for calls that cannot fail.
    pub(super) fn object(&self) -> &O {
        &self.object
    }

    /// One call.
    pub(super) fn call<T>(&self, call: impl FnOnce(&O) -> AbiResult<T>) -> Result<T> {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Error::failed("not called again after it panicked"));
        }
        let answer = call(&self.object).into_result().map_err(Error::from);
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Panic
        {
            self.poisoned.store(true, Ordering::Relaxed);
        }
        answer
    }
}

/// Declares the object of a kind: pointer, table, how it is made and how it ends.
macro_rules! object {
    ($(#[$doc:meta])* $object:ident, $table:ident, $trait:ident) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        pub struct $object {
            this: *mut (),
            table: $table,
        }

        // SAFETY: the trait requires it of the instance, and the table is constant.
        unsafe impl Send for $object {}

        impl $object {
            /// Wraps an instance. A panic of its destructor is logged to `host`.
            pub fn export(inner: Box<dyn crate::$trait>, host: Option<crate::HostRef>) -> Self {
                Self {
                    this: super::object::into_raw(inner, host),
                    table: TABLE,
                }
            }
        }

        impl Drop for $object {
            fn drop(&mut self) {
                // SAFETY: the object owns the instance, and the pointer came with this table.
                unsafe { (self.table.release())(self.this) }
            }
        }
    };
}
pub(super) use object;

/// Declares the one table of a kind, `TABLE`.
macro_rules! table {
    ($table:ident of $functions:ident { $($name:ident $(: $function:expr)?),* $(,)? }) => {
        impl $functions {
            abi_stable::staticref!(const WHOLE: abi_stable::prefix_type::WithMetadata<Self> =
                abi_stable::prefix_type::WithMetadata::new(Self { $($name $(: $function)?),* }));
        }

        const TABLE: $table = $table($functions::WHOLE.as_prefix());
    };
}
pub(super) use table;
