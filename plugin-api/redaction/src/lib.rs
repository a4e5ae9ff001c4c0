//! What is done with the findings of sanitizers: a policy decides, overlaps are resolved, text is redacted, a report is
//! written. The host applies it at every border; a command that a plugin brings applies the very same.
//!
//! [`Sanitizers`] is the front: it holds sanitizers, a [`Policy`] and a [`Key`], and cleans texts, documents and logs;
//! [`Stream`] does so for text that arrives in pieces, [`CleanDataset`] for whatever is read from a dataset. This crate
//! reads no environment and prints nothing: that is its callers'. It opens two files, the user's key and the user's
//! policy ([`Key::kept_in`], [`Policy::of_user`]), which the host and every command must find in the same place. Values
//! that were found never leave it, only keyed HMACs of them.
//!
//! ```
//! use std::sync::Arc;
//!
//! use codex_plugin_api::{Finding, Result, Rule, Sanitizer, Severity, Stage, TextBuffer, Texts};
//! use codex_redaction::{Key, Policy, Sanitizers};
//!
//! /// Finds the word `hunter2`.
//! struct Hunter;
//!
//! impl Sanitizer for Hunter {
//!     fn rules(&self) -> Result<Vec<Rule>> {
//!         Ok(vec![Rule {
//!             id: "hunter2".into(),
//!             entity: "secret".into(),
//!             severity: Severity::High,
//!             description: "a well-known password".into(),
//!         }])
//!     }
//!     fn max_span(&self) -> u32 {
//!         7
//!     }
//!     fn scan(&self, texts: Texts<'_>, _stage: Stage) -> Result<Vec<Finding>> {
//!         let hit = |(text, at): (usize, usize)| Finding {
//!             start: at as u64,
//!             end: at as u64 + 7,
//!             text: text as u32,
//!             rule: 0,
//!             confidence: 1.0,
//!         };
//!         let texts = texts.iter().enumerate();
//!         Ok(texts
//!             .flat_map(|(text, words)| words.match_indices("hunter2").map(move |(at, _)| (text, at)))
//!             .map(hit)
//!             .collect())
//!     }
//! }
//!
//! let key = Key::new(b"at least sixteen random bytes")?;
//! let sanitizers = Sanitizers::new(vec![("hunter 1.0.0".into(), Arc::new(Hunter))], Policy::standard()?, key)?;
//! let texts: TextBuffer = ["my password is hunter2"].into_iter().collect();
//! let cleaned = sanitizers.clean(texts.as_texts(), Stage::Ingest, None)?;
//! assert_eq!(cleaned[0].text("my password is hunter2"), Some("my password is [SECRET]"));
//! # Ok::<(), codex_plugin_api::Error>(())
//! ```
#![deny(missing_docs)]

mod dataset;
mod kept;
mod key;
mod mode;
mod overlap;
mod policy;
mod position;
mod report;
mod sanitizers;
mod scan;
mod stream;
mod structured;
mod switch;
#[cfg(test)]
mod testing;

pub use dataset::{CleanDataset, Tally};
pub use kept::POLICY_VARIABLE;
pub use key::Key;
pub use mode::{Mode, WITHHELD, placeholder};
pub use policy::{Action, Decision, OnError, Policy, Subject};
pub use report::{Baseline, Count, Counts, ReportedFinding, sarif};
pub use sanitizers::{Cleaned, Edit, Outcome, Sanitizers};
pub use scan::FileSanitizer;
pub use stream::{InvalidUtf8, Stream, StreamOptions};
pub use structured::{Delimiter, Format};
pub use switch::{SWITCH_VARIABLE, Switch};
