//! What the Rust guests share: the types of the WIT, packed numbers, ragged texts and ids, errors, the one component of
//! an instance.
//!
//! A guest needs none of this, only `wit_bindgen::generate!`; with it, the guests' own files hold what they are about.

mod component;
mod error;
mod packed;
mod ragged;

/// Rust types and functions for what the WIT's package `codex:plugin` imports.
#[allow(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated from the WIT, which has the documentation"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../plugin-api/wit/v1",
        world: "imports",
    });
}

pub use bindings::codex::plugin::{files, host, terminal, types};
pub use component::Component;
pub use packed::{Number, Numbers, pack, unpack};
pub use ragged::{TextsBuilder, sequences, texts};
pub use types::Error;

/// What every call of a component answers.
pub type Result<T> = std::result::Result<T, Error>;
