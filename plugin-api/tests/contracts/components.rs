//! One honest component a kind. Each knows the names of promises that it can be told to break.

pub(crate) mod bigram;
pub(crate) mod bytes;
pub(crate) mod loss;
pub(crate) mod numbers;
pub(crate) mod small;

use std::sync::atomic::{AtomicU64, Ordering};

/// The promise that a component breaks; empty for none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fault(pub(crate) &'static str);

impl Fault {
    pub(crate) fn is(self, promise: &str) -> bool {
        self.0 == promise
    }
}

/// A number that no two calls share: what makes a component differ from itself.
pub(crate) fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Whether this is the thread that a test began on; the kit's own threads have no name.
pub(crate) fn main_thread() -> bool {
    std::thread::current().name().is_some()
}
