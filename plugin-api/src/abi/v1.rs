//! Version 1 of the ABI: what crosses between a host and a native plugin, in both directions. Frozen: it only grows.
//!
//! **Finding.** A plugin library carries a [stamp](super::stamp) in a section of its own, which the host reads from the
//! file without running anything. The stamp names the one symbol that the library exports: a [`Bootstrap`], constant
//! data in plain C. Its fields are checked in the order in which each vouches for the next: magic, ABI version, the
//! size of the bootstrap, the sizes of key structs, the version of `abi_stable`'s own layout; then `abi_stable`
//! compares the layout of the root module and of everything that it mentions, type by type. After that a call can be
//! trusted to mean the same on both sides. The compiler's version is told for errors, it need not agree.
//!
//! **Objects.** An instance is two pointers: the instance and a table of `extern "C"` functions ([`AbiMetric`],
//! [`AbiHost`] …), beginning with `release`. Tables are prefix types: each says how many functions it holds. `export`
//! makes an object from a boxed trait object; `import` makes the boxed trait object from an object, on the other side.
//! So the same code carries a plugin's components to the host, the host's context to the plugin, and components that the
//! host lends to a plugin. The root module ([`Plugin`]) lists components with their schemas and creates them.
//!
//! **Values.** Buffers pass as pointer and length (`RSlice`, borrowed during the call) or as an owned vector with the
//! functions that free it (`RVec`); texts and ids as a buffer and `u64` offsets; a dataset's rows as an
//! [Arrow C stream](ArrowArrayStream). What is rare and structured (descriptions, settings, plans, configurations) is
//! JSON, because it may gain keys. Flags are bits of a `u64`; unknown bits are refused. There are no enums with data but
//! `RResult` and `ROption`, and no callbacks but the host's object.
//!
//! **Errors and panics.** Every call answers an [`AbiResult`]. Panics are caught on the side where they happen, also
//! when an instance is created or dropped; text and place go into an error of kind `Panic`, and the using side never
//! enters that instance again. Answers are checked by whoever receives them: lengths, offsets, UTF-8, spans, sites. An
//! answer that breaks the contract is an error, never undefined behaviour; what cannot be checked (that a pointer is
//! valid) is trusted, as native code has the process anyway.
//!
//! **Threads.** As the traits say: functions that take `&self` in a `Sync` trait may be called from several threads at
//! once, all others by one at a time. A library is never unloaded.
//!
//! **Growth.** A plugin built against 1.N works in a host with 1.M, M ≥ N. Between minor versions only this changes:
//! functions are added at the end of a table (after its last prefix field, so that a reader asks whether they are there),
//! keys are added to JSON with a default, and bits to flags. A struct that needs another field gets a successor and a new
//! function that takes it. Everything else is version 2, in a module beside this one. `layout.snap` holds the layout of
//! every type; a test compares it.
#![allow(unsafe_code, reason = "this is the border")]
#![allow(
    clippy::expl_impl_clone_on_copy,
    reason = "in the code that StableAbi derives for tables"
)]

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

pub use adapter::{AbiAdapter, AbiPlan, AdapterFunctions, AdapterTable};
pub use arrow::{ArrowArray, ArrowArrayStream, ArrowSchema};
pub use bootstrap::Bootstrap;
pub use buffers::{AbiIds, AbiTextBuffer, AbiTexts, AbiTokenBatch};
pub use command::{AbiCommand, CommandFunctions, CommandTable};
pub use dataset::{AbiDataset, DatasetFunctions, DatasetTable};
pub use error::{AbiError, AbiResult};
pub use host::{AbiHost, HostFunctions, HostTable};
pub use metric::{AbiMetric, AbiSamples, AbiScore, MetricFunctions, MetricTable};
pub use model::{
    AbiGradientBuffer, AbiGradientSummary, AbiLoss, AbiModel, AbiOptimizerStep, AbiScores,
    AbiTrainingPass, ModelFunctions, ModelTable,
};
pub use root::{AbiComponent, Offer, Plugin, RootFunctions, RootTable};
pub use sanitizer::{AbiFinding, AbiSanitizer, SanitizerFunctions, SanitizerTable};
pub use tokenizer::{
    AbiEncodeOptions, AbiEncoding, AbiTokenizer, TokenizerFunctions, TokenizerTable,
};
pub use tracker::{AbiTracker, TrackerFunctions, TrackerTable};

#[cfg(feature = "testing")]
pub(crate) use {adapter::check_plan, guard::guarded, sanitizer::check_findings};

/// Major version of the ABI. A host loads plugins of its own major version only.
pub const MAJOR: u16 = 1;

/// Minor version of the ABI: how many times it grew.
pub const MINOR: u16 = 0;
