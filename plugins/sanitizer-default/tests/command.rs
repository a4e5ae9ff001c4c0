//! `codex-ml sanitize` over real files, with the testing host in place of the real one.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "command/bench.rs"]
mod bench;
#[path = "command/files.rs"]
mod files;
#[path = "command/redact.rs"]
mod redact;
#[path = "command/reports.rs"]
mod reports;
#[path = "command/rules.rs"]
mod rules;
#[path = "command/tables.rs"]
mod tables;
