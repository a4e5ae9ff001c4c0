//! What the fuzz targets call: the host's own files, taken in by their paths. So nothing of the host need be public for
//! them, and of its dependencies only those are compiled that stand at the border.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "whole files of the host, of which a part is called"
)]

// The gates name this of the crate that installs packages, and of the search for plugins what stands in `search` below:
// little enough to say again, where the crate itself would bring a hundred others.
#[cfg(feature = "host")]
extern crate self as codex_packages;

/// As in `host/packages/src/entry.rs`.
#[cfg(feature = "host")]
pub mod entry {
    pub const ANY_TARGET: &str = "wasm";
}

#[cfg(feature = "host")]
#[path = "../../../host/src/plugins"]
mod plugins {
    pub mod gates;
    mod object_file;
    pub mod refusal;

    /// As in `host/src/plugins/search.rs`.
    pub mod search {
        pub const MANIFEST: &str = "plugin.toml";

        pub struct Candidate {
            pub path: std::path::PathBuf,
            pub is_folder: bool,
        }
    }

    pub mod wasm {
        mod convert;
        mod engine;
        pub(in crate::plugins) mod file;
        mod files;

        #[path = "../../../../tests/fuzz/src/border.rs"]
        pub mod border;
        #[path = "../../../../tests/fuzz/src/returned.rs"]
        pub mod returned;

        /// The types that cross; the host's own bindings name the objects behind its imports too.
        #[allow(ambiguous_associated_items, reason = "generated, as in the host")]
        mod bindings {
            wasmtime::component::bindgen!({
                path: "../../plugin-api/wit/v1",
                world: "all-kinds",
            });
        }
    }
}

mod sanitizer;

pub use sanitizer::sanitizer;

#[cfg(feature = "host")]
pub use plugins::wasm::border::{compile, gates, manifest};
#[cfg(feature = "host")]
pub use plugins::wasm::returned::{Returned, returned};
