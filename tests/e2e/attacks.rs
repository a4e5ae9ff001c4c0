//! What somebody may do to a user's plugins on the way from an author to the memory of this process: one test for each.
//! Attacks on archives, indexes and snapshots as files are tested with the registry; here they meet the whole program.

mod changed;
mod names;
mod shop;
mod trust;

use serde_json::Value;

use crate::bench::{Bench, Ran};

/// Asserts that the plugin is refused at the gate `trust` by `plugin doctor`, and that nothing of it can be used.
#[track_caller]
fn is_refused(bench: &Bench, reason: &str) {
    let ran = bench.run(&["plugin", "doctor", "--json"]).code(3);
    let rows = ran.json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["step"], "trust", "{rows:?}");
    let said = rows[0]["reason"].as_str().unwrap();
    assert!(said.contains(reason), "{said:?} lacks {reason:?}");
    assert!(
        rows[0]["hint"]
            .as_str()
            .unwrap()
            .contains("codex-ml plugin "),
        "{rows:?}"
    );
    load(bench).fails(3, &["trust", reason]);
}

/// Loads the plugin `words`, whose configuration can be shown only then.
fn load(bench: &Bench) -> Ran {
    bench.run(&["plugin", "info", "words", "--config"])
}

/// The version of `words` that is in use.
fn in_use(bench: &Bench) -> Option<String> {
    let list: Value = bench.run(&["plugin", "list", "--json"]).ok().json();
    let rows = list.as_array().unwrap().clone();
    let found = rows
        .iter()
        .find(|row| row["id"] == "words" && row["state"] == "ready")?;
    Some(found["version"].as_str().unwrap().to_owned())
}
