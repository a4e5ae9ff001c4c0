//! Rules: what is looked for, and what is left alone.
//!
//! [`mod@file`] is the format on disk, [`load`] follows `extend` and checks, [`pattern`] reads Go's regular expressions,
//! [`allow`] has the allow-lists; [`builtin`] are the rules that come with this plugin.

pub mod allow;
pub mod builtin;
mod entry;
pub mod file;
pub mod load;
pub mod pattern;
mod required;
pub mod rule;
mod translate;

pub use load::{RuleSet, from_path, from_text};
pub use rule::{Place, Rule};
