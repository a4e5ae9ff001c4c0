//! Packages of plugins: archives, registries, resolution, the store and trust.
//!
//! Nothing here loads a plugin or prints; the host's commands do. Nothing here asks the network unless a caller hands in
//! a transport that does.

pub mod archive;
pub mod clean;
pub mod client;
pub mod digest;
pub mod durable;
pub mod entry;
pub mod graph;
pub mod history;
pub mod index;
pub mod keys;
pub mod lock;
pub mod names;
pub mod native_library;
pub mod outdated;
pub mod project;
pub mod registries;
pub mod registry;
pub mod resolve;
pub mod scope;
pub mod session;
pub mod snapshot;
pub mod source;
pub mod store;
pub mod transport;
pub mod trust;

#[cfg(test)]
mod testing;
