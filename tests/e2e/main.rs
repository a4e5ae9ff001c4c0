//! End-to-end tests: they run the built binary with the built plugins on real files, as a user would.
//!
//! The harness builds the workspace and the plugins under `tests/fixtures` once, in release, then every test gets a bench of
//! its own: an empty home, cache and working folder. One module a subject:
//!
//! - `first_steps`: train without arguments, then what it said to type next
//! - `own_text`: the user's file in every format and encoding
//! - `bad_input`: wrong paths, broken files, broken model folders; the exit code, the line, the hint
//! - `resume`: kill -9 anywhere, Ctrl-C, damaged checkpoints, full and read-only disks
//! - `adapters`: adapters trained on other runs' models, resumed, used, refused; `docs/fine-tuning.md` line by line
//! - `tasks`: masked language models, embeddings, classifiers, regressions, on built-in data and on files
//! - `third_party`: somebody else's plugin, installed and used
//! - `build_guests`: guests in every language become plugins, and plugins are held against their contracts
//! - `guests`: the guests of this repository, built once; what is said where a language's tools are missing
//! - `guests_alone`: a run whose every plugin is a guest; trackers and commands that are granted what they ask for
//! - `contracts`: `plugin test` on every plugin of this repository, and on one that breaks its promises
//! - `authoring`: `plugin new`, build and test for every kind in every language; `plugin dev`
//! - `completion`: completion in the shells, values that a plugin is asked for, `plugin run`
//! - `attacks`: what somebody may do to plugins between their author and this process, one test for each
//! - `registry`: keys, packages, registries in folders and on servers, well, old, broken and hostile
//! - `packages`: plugins from a registry: the whole cycle, two projects, kills, full disks, broken caches
//! - `permissions`: what a sandboxed plugin asks for, what its user grants, takes back and limits
//! - `hostile`: sandboxed plugins that mean harm, each deed with its error, and the host alive afterwards
//! - `refused`: plugins that must not load, each at its gate, each in `plugin doctor`
//! - `embed`: texts to vectors, beside what PyTorch computed
//! - `sanitized`: planted secrets that no file, answer or error may repeat; policies; blocked texts
//! - `sanitize`: the command over files, standard input and what git has staged
//! - `generate`: several prompts at once, folders without a head
//! - `command_line`: help, completion, JSON, exit codes
//! - `pages`: the documentation's promises: commands that it shows, pages that are generated
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::print_stdout,
    reason = "a test that leaves something out says so"
)]

use codex_ml_tests as bench;

mod adapters;
mod attacks;
mod authoring;
mod bad_input;
mod build_guests;
mod command_line;
mod completion;
mod contracts;
mod embed;
mod first_steps;
mod generate;
mod guests;
mod guests_alone;
mod hostile;
mod own_text;
mod packages;
mod pages;
mod permissions;
mod refused;
mod registry;
mod resume;
mod sanitize;
mod sanitized;
mod tasks;
mod third_party;
