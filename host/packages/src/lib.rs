//! Packages of plugins: archives, registries, resolution, the store and trust.
//!
//! Nothing here loads a plugin or prints; the host's commands do. Nothing here asks the network unless a caller hands in
//! a transport that does.

pub mod entry;
