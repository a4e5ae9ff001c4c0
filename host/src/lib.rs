//! The codex-ml host: it finds plugins, runs the training loop, evaluates, generates and talks to the user. It holds no
//! tensors and knows no plugin by more than its kind and name.
//!
//! Rooms: [`cli`] (one command a file) calls [`train`], [`evaluate`], [`generate`], [`embed`]; those get components from [`plugins`],
//! rows from [`data`], settings from [`config`]; everything a user sees goes through [`output`].

pub mod app;
pub mod cli;
pub mod config;
pub mod data;
pub mod embed;
pub mod evaluate;
pub mod exit;
pub mod folders;
pub mod generate;
pub mod interrupt;
pub mod model_folder;
pub mod output;
pub mod plugins;
mod random;
mod sanitize;
pub mod task;
#[cfg(test)]
mod testing;
pub mod train;

pub use codex_plugin_api::{Error, ErrorKind, Result};
