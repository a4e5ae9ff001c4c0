//! Plugins from a registry: installed, locked, updated, rolled back, removed; two projects with two versions; what
//! survives a kill, a full disk and a broken cache.

mod cycle;
mod page;
mod shop;
mod survive;

use codex_packages::lock::Lock;
use codex_packages::store::{Store, damages};
use serde_json::Value;

use crate::bench::{Bench, Ran};

/// The rows of `plugin list` that come from a registry, as `id version scope state`.
fn listed(bench: &Bench) -> Vec<String> {
    let all = bench.run(&["plugin", "list", "--json"]).ok().json();
    let rows = all
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["scope"].is_string());
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("?").to_owned();
    rows.map(|row| {
        ["id", "version", "scope", "state"]
            .map(|key| text(row, key))
            .join(" ")
    })
    .collect()
}

/// What a command says that changes something.
fn changes(ran: &Ran) -> Vec<String> {
    ran.stdout.lines().map(str::to_owned).collect()
}

/// Asserts that every version in the store is whole, and that the lock can be read; gives what it names.
fn whole(bench: &Bench) -> Vec<String> {
    for (_, folder) in Store::new(&bench.data()).versions().unwrap() {
        let damages =
            damages(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        assert!(damages.is_empty(), "{}: {damages:?}", folder.display());
        assert!(
            folder.join("receipt.json").is_file(),
            "{}",
            folder.display()
        );
    }
    let lock = Lock::open(&bench.data().join("codex-plugins.lock")).unwrap();
    lock.plugins
        .values()
        .map(codex_packages::lock::Locked::title)
        .collect()
}
