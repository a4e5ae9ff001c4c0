//! English-like text from a probabilistic grammar that knows its own entropy.
//!
//! A dataset to learn from and to be judged by: every document comes with the exact natural-log probability of its text, so
//! a report can show how far a model is from the best that any model could do. [`english`] holds the rules and the argument
//! why a text has one derivation only, [`style`] the words, [`score`] an independent scorer, [`dataset`] the plugin's face.
//! Tokenizing, splitting and reporting are the host's.

pub mod dataset;
pub mod english;
#[cfg(test)]
mod first_follow;
pub mod grammar;
pub mod random;
pub mod score;
pub mod style;
pub mod surface;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

pub use dataset::{Config, GrammarDataset, RowsName, StyleName};

codex_plugin_api::plugin! { dataset "grammar" => GrammarDataset }
