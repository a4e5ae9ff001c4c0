//! What is done with the findings of sanitizers: a policy decides, overlaps are resolved, text is redacted, a report is
//! written. The host applies it at every border; a command that a plugin brings applies the very same.
//!
//! [`Sanitizers`] is the front: it holds sanitizers, a [`Policy`] and a [`Key`], and cleans texts, documents and logs;
//! [`Stream`] does so for text that arrives in pieces. This crate opens no file, reads no environment and prints
//! nothing: that is its callers'. Values that were found never leave it, only keyed HMACs of them.
#![deny(missing_docs)]

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

pub use key::Key;
pub use mode::{Mode, WITHHELD, placeholder};
pub use policy::{Action, Decision, OnError, Policy, Subject};
pub use report::{Baseline, Count, Counts, ReportedFinding, sarif};
pub use sanitizers::{Cleaned, Outcome, Sanitizers};
pub use stream::{InvalidUtf8, Stream, StreamOptions};
pub use structured::Format;
pub use switch::{SWITCH_VARIABLE, Switch};
