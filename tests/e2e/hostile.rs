//! Guests that mean harm: each deed ends in an error that names the plugin and what it met, and the host goes on.

mod data;
mod deeds;
mod files;

use std::fs;
use std::sync::{Arc, OnceLock};

use codex_ml::plugins::Registry;
use codex_plugin_api::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::bench::{Bench, Ran, root};
use crate::build_guests::build;
use crate::third_party;

/// The hostile plugin's bytes, built once. `None` where this machine cannot build guests in Rust, which the tests of
/// `build_guests` report.
fn bytes() -> Option<&'static [u8]> {
    static BYTES: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    BYTES
        .get_or_init(|| {
            let bench = Bench::new();
            let folder = root().join("tests/fixtures/hostile");
            let ran = build(
                &bench,
                &[folder.to_str().unwrap(), "--output", "hostile.wasm"],
            );
            if ran.code == Some(1) && ran.stderr.contains("wasm32-unknown-unknown") {
                println!("left out: this machine cannot build guests in Rust");
                return None;
            }
            ran.ok();
            Some(fs::read(bench.work().join("hostile.wasm")).unwrap())
        })
        .as_deref()
}

/// A bench with the plugin, and the registry that finds it there.
struct Cage {
    bench: Bench,
}

impl Cage {
    /// `None` where it cannot be built.
    fn new() -> Option<Self> {
        let bench = Bench::new();
        let folder = bench.data().join("plugins");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("hostile.wasm"), bytes()?).unwrap();
        Some(Self { bench })
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
