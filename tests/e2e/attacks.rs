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

/// The page of promises names a test for each threat, and a policy that can be read.
#[test]
fn the_page_names_tests_that_are_there() {
    let root = crate::bench::root();
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let mut named = 0;
    let is_test = |text: &&str| text.starts_with("attacks::") || text.starts_with("registry::");
    for test in page.split('`').filter(is_test) {
        let (file, function) = test.rsplit_once("::").unwrap();
        let source = root.join(format!("tests/e2e/{}.rs", file.replace("::", "/")));
        let source = std::fs::read_to_string(source).unwrap();
        assert!(
            source.contains(&format!("\nfn {function}() {{")),
            "{test} is not there"
        );
        named += 1;
    }
    assert!(named >= 15, "{named}");
    let policy = page.split("```toml\n").nth(1).unwrap();
    let bench = Bench::new();
    std::fs::write(
        bench.data().join("policy.toml"),
        policy.split("```").next().unwrap(),
    )
    .unwrap();
    bench
        .run(&["plugin", "policy", "show"])
        .ok()
        .shows(&["native = \"listed\"", "acme-*"]);
}
