//! Guests that mean harm: each deed ends in an error that names the plugin and what it met, and the host goes on.

mod data;
mod decisions;
mod deeds;
mod files;
mod limits;
mod python;
mod runs;
mod traps;

use std::sync::Arc;

use codex_ml::plugins::Registry;
use codex_plugin_api::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::bench::{Bench, Ran};
use crate::{guests, third_party};

/// Where its source is.
const FOLDER: &str = "tests/fixtures/hostile";

/// The hostile plugin's bytes. `None`, and a line that says so, where this machine cannot build guests in Rust.
fn bytes() -> Option<Vec<u8>> {
    Some(guests::plugin(FOLDER)?.bytes.clone())
}

/// A bench with the plugin, and the registry that finds it there.
struct Cage {
    bench: Bench,
}

impl Cage {
    /// `None` where it cannot be built.
    fn new() -> Option<Self> {
        let bench = Bench::new();
        guests::put(&bench, FOLDER).then_some(Self { bench })
    }

    /// As a user who let it have nothing.
    fn without_grants() -> Option<Self> {
        let cage = Self::new()?;
        cage.bench
            .run(&["plugin", "grant", "hostile", "--none"])
            .ok();
        Some(cage)
    }

    fn registry(&self) -> Arc<Registry> {
        third_party::registry(&self.bench, &[])
    }

    /// Runs its command.
    fn try_to(&self, deed: &str, with: &str) -> Ran {
        self.bench.run(&["hostile", deed, "--with", with])
    }
}

fn deed(deed: &str) -> Value {
    json!({ "deed": deed })
}

#[track_caller]
fn names(error: &Error, words: &[&str]) {
    for word in words {
        let hint = error.hint_text().unwrap_or_default();
        assert!(
            error.message().contains(word) || hint.contains(word),
            "{error}\nhint: {hint}\nlacks {word}"
        );
    }
    assert!(!error.message().contains('\n'), "{error}");
    assert!(!error.message().chars().any(char::is_control), "{error}");
}

#[track_caller]
fn is_plugins_fault(error: &Error) {
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Plugin | ErrorKind::Panic | ErrorKind::Data
        ),
        "{:?}: {error}",
        error.kind()
    );
    names(error, &["hostile 0.1.0"]);
}
