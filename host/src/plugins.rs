//! Plugins: [`search`] finds candidates, [`gates`] judge them without running anything, [`discover`] makes the
//! catalogue, [`registry`] loads on first use and creates components by kind and name. [`install`] copies plugins to
//! where the search finds them, [`probe`] tries them in a process of their own. What commands print about them is theirs.

pub(crate) mod build;
pub(crate) mod conformance;
mod context;
pub(crate) mod dev;
pub mod discover;
pub mod gates;
pub mod grants;
mod index;
pub mod install;
mod load;
mod named;
mod native;
pub mod nearest;
mod object_file;
pub mod package;
pub mod packages;
pub mod probe;
pub mod refusal;
pub mod registry;
pub mod runtime;
pub(crate) mod scaffold;
pub mod schema;
pub mod search;
pub(crate) mod trial;
pub(crate) mod trust;
mod wasm;

pub use discover::Plugin;
pub use refusal::{Refusal, Step};
pub use registry::Registry;
pub(crate) use wasm::unused_permissions;
