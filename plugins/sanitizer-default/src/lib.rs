//! The first-party sanitizer: secrets, personal data and prompt attacks, found by rules that are data.
//!
//! It only finds. What is done with a finding (allow, warn, redact, drop, block), and how overlaps are resolved, is the
//! host's decision, the same for every sanitizer. Rules are TOML in gitleaks' format with a few keys more
//! ([`rules::file`]); [`scan::Engine`] runs them; what a rule cannot express has a finder of its own
//! ([`assignment`], [`scan::address`], [`prompt`]). The command `codex-ml sanitize` runs them over files
//! ([`SanitizeCommand`]), and does with findings what the host does.

pub mod assignment;
pub mod check;
mod command;
mod entropy;
pub mod prompt;
pub mod rules;
mod sanitizer;
pub mod scan;

pub use command::SanitizeCommand;
pub use entropy::entropy;
pub use sanitizer::{Config, DefaultSanitizer};

codex_plugin_api::plugin! {
    sanitizer "default" => DefaultSanitizer,
    command "sanitize" => SanitizeCommand,
}
