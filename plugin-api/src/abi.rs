//! What crosses a native library's border, one frozen version a module, and the stamp that says which one a file has.
//!
//! Authors need nothing of this: [`crate::plugin!`] writes it. The host's loader is the other reader.

pub mod stamp;
pub mod v1;

/// The compiler that built this copy of the interface (`rustc 1.95.0 (…)`).
pub const RUSTC: &str = env!("CODEX_PLUGIN_RUSTC");

/// The target that this copy of the interface was built for.
pub const TARGET: &str = env!("CODEX_PLUGIN_TARGET");
