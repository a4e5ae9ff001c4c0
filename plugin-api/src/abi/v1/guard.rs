//! Catches panics before they reach the border, and keeps them from printing.
//!
//! A panic that leaves an `extern "C"` function ends the process, and each native library has a panic runtime of its
//! own, so the side that panics must catch. [`guard`] runs every call; a hook, installed once a library, takes text and
//! place of a panic on a guarded thread and leaves those of other threads to the hook that was there before.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use abi_stable::std_types::{RErr, ROk};

use super::error::AbiResult;
use crate::{Error, ErrorKind, Result};

thread_local! {
    /// How many guards this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the latest panic of this thread happened, and what it said.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs one call and turns a panic into an error of kind [`ErrorKind::Panic`].
///
/// An error of that kind which the call *returns* comes from a component behind it and is passed on as
/// [`ErrorKind::Plugin`]: so the kind always speaks of the component that was called.
pub(super) fn guard<T>(work: impl FnOnce() -> Result<T>) -> AbiResult<T> {
    match guarded(work) {
        Ok(value) => ROk(value),
        Err(error) => RErr(error.into()),
    }
}

/// As [`guard`], with a result of this side.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    install_hook();
    let enter = |by: i64| {
        let _ = DEPTH.try_with(|depth| depth.set((i64::from(depth.get()) + by) as u32));
    };
    enter(1);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let answer = match outcome {
        Ok(Err(error)) if error.kind() == ErrorKind::Panic => {
            Err(error.with_kind(ErrorKind::Plugin))
        }
        Ok(result) => result,
        Err(payload) => Err(describe(payload)),
    };
    enter(-1);
    answer
}

fn install_hook() {
    // Changing the hook while panicking would end the process; then the next call installs it.
    if HOOK.is_completed() || std::thread::panicking() {
        return;
    }
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
                previous(info);
                return;
            }
            let text = one_line(text_of(info.payload()));
            let described = match info.location() {
                Some(place) => format!("{text} (at {place})"),
                None => text,
            };
            let _ = CAUGHT.try_with(|caught| caught.replace(Some(described)));
        }));
    });
}

fn describe(payload: Box<dyn Any + Send>) -> Error {
    // A panic that was caught on another thread and resumed here never passed this thread's hook.
    let caught = CAUGHT
        .try_with(|caught| caught.borrow_mut().take())
        .unwrap_or(None);
    let text = caught.unwrap_or_else(|| one_line(text_of(payload.as_ref())));
    // The payload is the panicking code's own value, so dropping it may panic too.
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(second);
    }
    let _ = CAUGHT.try_with(|caught| caught.borrow_mut().take());
    Error::new(ErrorKind::Panic, text)
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_text_and_place() {
        let error = guarded::<()>(|| panic!("row {}", 7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panic);
        assert!(error.message().starts_with("row 7 (at "), "{error}");
        assert!(error.message().contains("guard.rs:"), "{error}");
        let error = guarded(|| {
            assert_eq!(1, 2);
            Ok(())
        })
        .unwrap_err();
        assert!(!error.message().contains('\n'), "{error}");
        assert!(error.message().contains("left: 1, right: 2"), "{error}");
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_survived() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let error = guarded::<()>(|| std::panic::panic_any(Bomb)).unwrap_err();
        assert!(
            error.message().starts_with("a panic without a text"),
            "{error}"
        );
        assert_eq!(guarded(|| Ok(1)).unwrap(), 1);
    }

    #[test]
    fn a_panic_of_another_thread_keeps_its_text() {
        let error = guarded::<()>(|| {
            let worker = std::thread::spawn(|| {
                // Not through panic!, so that the test prints nothing.
                std::panic::resume_unwind(Box::new("from a worker"));
            });
            std::panic::resume_unwind(worker.join().unwrap_err());
        })
        .unwrap_err();
        assert_eq!(error.message(), "from a worker");
    }

    #[test]
    fn the_panic_of_a_component_behind_is_not_the_callers() {
        let error =
            guarded::<()>(|| Err(Error::new(ErrorKind::Panic, "plugin x panicked"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin);
    }
}
