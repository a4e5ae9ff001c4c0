//! ABI version 1.
#![allow(unsafe_code, reason = "this is the border")]
#![allow(missing_docs, reason = "wip")]

mod adapter;
mod arrow;
mod bootstrap;
mod buffers;
mod command;
mod dataset;
mod error;
mod guard;
mod host;
mod metric;
mod model;
mod object;
mod root;
mod sanitizer;
mod tokenizer;
mod tracker;

pub use adapter::*;
pub use arrow::*;
pub use bootstrap::Bootstrap;
pub use buffers::{AbiIds, AbiTextBuffer, AbiTexts, AbiTokenBatch};
pub use command::*;
pub use dataset::*;
pub use error::{AbiError, AbiResult};
pub use host::*;
pub use metric::*;
pub use model::*;
pub use root::*;
pub use sanitizer::*;
pub use tokenizer::*;
pub use tracker::*;

/// Major version of the ABI.
pub const MAJOR: u16 = 1;

/// Minor version of the ABI.
pub const MINOR: u16 = 0;

#[cfg(feature = "testing")]
pub(crate) use {adapter::check_plan, guard::guarded, sanitizer::check_findings};
