//! The stable interface between the codex-ml host and its plugins.
//!
//! A plugin is a library that offers *components* of eight kinds: [`Tokenizer`], [`Model`], [`Dataset`], [`Metric`],
//! [`Tracker`], [`Sanitizer`], [`Adapter`] and [`Command`]. An author implements one of these traits on a struct of
//! their own and names it in one [`plugin!`] line; the manifest `plugin.toml` beside `Cargo.toml` says what the plugin
//! is and what it asks for. The whole of a native metric:
//!
//! ```
//! use codex_plugin_api::{Metric, Needs, Result, Samples, Score};
//!
//! #[derive(Default)]
//! struct ShoutRate {
//!     upper: u64,
//!     letters: u64,
//! }
//!
//! impl Metric for ShoutRate {
//!     fn needs(&self) -> Needs {
//!         Needs { texts: true, ..Needs::default() }
//!     }
//!     fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
//!         for text in samples.texts.iter() {
//!             self.letters += text.chars().filter(|c| c.is_alphabetic()).count() as u64;
//!             self.upper += text.chars().filter(|c| c.is_uppercase()).count() as u64;
//!         }
//!         Ok(())
//!     }
//!     fn state(&self) -> Result<Vec<u8>> {
//!         Ok([self.upper.to_le_bytes(), self.letters.to_le_bytes()].concat())
//!     }
//!     fn merge(&mut self, state: &[u8]) -> Result<()> {
//!         let [upper, letters] = codex_plugin_api::counters(state)?;
//!         self.upper += upper;
//!         self.letters += letters;
//!         Ok(())
//!     }
//!     fn compute(&self) -> Result<Vec<Score>> {
//!         Ok(vec![Score::lower("shout_rate", self.upper as f64 / self.letters.max(1) as f64)])
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! followed by `codex_plugin_api::plugin! { metric "shout-rate" => ShoutRate }`.
//!
//! This crate holds contracts only: the safe traits, the frozen ABI (`abi::v1`), the manifest's types, errors, and the
//! conformance kit (feature `testing`). It does no I/O and knows no tensor library, no async runtime and no sandbox.
//! Nothing of the Rust ABI crosses a library's border; what crosses is described in [`abi::v1`].
#![deny(missing_docs)]

pub mod abi;
mod adapter;
mod batch;
mod command;
mod component;
mod dataset;
mod error;
mod host;
mod kind;
pub mod manifest;
mod metric;
mod model;
mod plugin_macro;
mod sanitizer;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod tokenizer;
mod tokens;
mod tracker;

pub use adapter::{Adapter, AdapterPlan, Init, Operation, Site, SiteOperation};
pub use batch::{Batch, Column, Field, FieldType, Values};
pub use command::{Arguments, Command, Completing};
#[doc(hidden)]
pub use component::create as create_component;
pub use component::{Component, Factory, FromConfig, NoConfig, components, schema_of};
pub use dataset::{Dataset, DatasetInfo};
pub use error::{Context, Error, ErrorKind, Result};
pub use host::{Host, HostRef, LogLevel, NoHost};
pub use kind::Kind;
pub use manifest::{Manifest, Permissions};
pub use metric::{Direction, Metric, Needs, Samples, Score, counters};
pub use model::{
    DeviceKind, GradientBuffer, GradientSummary, Loss, Model, ModelInfo, OptimizerStep, Parameter,
    ScoreRequest, Scores, TrainingPass, TrainingSettings,
};
pub use sanitizer::{Finding, Rule, Sanitizer, Severity, Stage};
pub use text::{TextBuffer, Texts};
pub use tokenizer::{EncodeOptions, Encoding, SpecialTokens, Tokenizer, Vocabulary};
pub use tokens::{IGNORE_LABEL, Ids, TokenBatch};
pub use tracker::{RunInfo, Tracker};

#[doc(hidden)]
pub use {abi_stable, inventory};
pub use {schemars, serde, serde_json};

/// The version of this interface: what a plugin states as `api` in its manifest is a requirement on this number.
pub const API_VERSION: &str = env!("CARGO_PKG_VERSION");
