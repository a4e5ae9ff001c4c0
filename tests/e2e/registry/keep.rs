//! Which registries are used, and what is remembered of each.

use std::fs;

use serde_json::Value;

use super::{publish, with_registry};
use crate::bench::{Bench, Ran};

fn connect(bench: &Bench, options: &[&str]) -> Ran {
    bench.run(&[&["registry", "connect", "lab", "./registry"], options].concat())
}

#[test]
fn a_registry_is_connected_listed_and_disconnected() {
    let bench = with_registry();
    bench
        .run(&["registry", "list"])
        .ok()
        .tells(&["no registry is connected"]);
    connect(&bench, &[])
        .ok()
        .shows(&["1 plugins, root key"])
        .tells(&["compare it with what the registry's owner says"]);
    let rows = bench.run(&["registry", "list", "--json"]).ok().json();
    assert_eq!(
        (&rows[0]["name"], &rows[0]["scope"], &rows[0]["snapshot"]),
        (&"lab".into(), &"user".into(), &2.into())
    );
    let file = fs::read_to_string(bench.data().join("codex-plugins.toml")).unwrap();
    assert!(file.contains("lab = \"file:///"), "{file}");
    bench
        .run(&["registry", "disconnect", "labb"])
        .fails(2, &["no registry \"labb\" is connected"])
        .tells(&["did you mean lab?"]);
    bench.run(&["registry", "disconnect", "lab"]).ok();
    assert_eq!(
        bench.run(&["registry", "list", "--json"]).ok().json(),
        Value::Array(Vec::new())
    );
}

#[test]
fn a_project_names_its_own_registries_first() {
    let bench = with_registry();
    connect(&bench, &[]).ok();
    connect(&bench, &["--project"]).ok();
    assert!(
        bench
            .read("codex-plugins.toml")
            .contains("lab = \"./registry\"")
    );
    let rows = bench.run(&["registry", "list", "--json"]).ok().json();
    assert_eq!(
        (rows.as_array().unwrap().len(), &rows[0]["scope"]),
        (1, &"project".into())
    );
}

#[test]
fn what_is_no_registry_is_not_connected() {
    let bench = with_registry();
    let connect = |address: &str| bench.run(&["registry", "connect", "lab", address]);
    connect("./nowhere").fails(2, &["registry lab: there is no registry at its address"]);
    connect("http://plugins.example.org").fails(2, &["is not encrypted"]);
    connect("ftp://plugins.example.org").fails(2, &["a scheme that is not known"]);
    bench
        .run(&["registry", "connect", "Lab", "./registry"])
        .fails(2, &["holds U+004C"]);
    bench
        .run(&["registry", "connect", "lab", "./registry", "--key", "RWabc"])
        .fails(2, &["is not a public key"]);
    assert!(!bench.data().join("codex-plugins.toml").exists());
}

#[test]
fn another_root_key_is_refused_until_the_user_names_it() {
    let bench = with_registry();
    connect(&bench, &[]).ok();
    fs::remove_dir_all(bench.work().join("registry")).unwrap();
    let key = bench
        .run(&["plugin", "key", "new", "second", "--no-password", "--json"])
        .ok()
        .json();
    bench
        .run(&[
            "registry", "init", "registry", "--name", "lab", "--key", "second",
        ])
        .ok();
    connect(&bench, &[])
        .code(3)
        .tells(&["the signature was made with key"]);
    bench.run(&["registry", "verify", "lab"]).code(3);
    let public = key["public_key"].as_str().unwrap();
    let connected = connect(&bench, &["--key", public, "--json"]).ok().json();
    assert_eq!(
        (&connected["replaced"], &connected["key"]),
        (&true.into(), &key["id"])
    );
    let log = fs::read_to_string(bench.data().join("trust.log")).unwrap();
    assert!(
        log.contains("repinned") && log.contains(key["id"].as_str().unwrap()),
        "{log}"
    );
    bench.run(&["registry", "verify", "lab"]).ok();
}

#[test]
fn a_wrong_key_replaces_nothing() {
    let bench = with_registry();
    connect(&bench, &[]).ok();
    let other = bench
        .run(&["plugin", "key", "new", "other", "--no-password", "--json"])
        .ok()
        .json();
    connect(&bench, &["--key", other["public_key"].as_str().unwrap()]).code(3);
    bench.run(&["registry", "verify", "lab"]).ok();
}

#[test]
fn an_old_state_is_refused_once_a_newer_one_was_seen() {
    let bench = with_registry();
    let copied = std::process::Command::new("cp")
        .args(["-r", "registry", "old"])
        .current_dir(bench.work())
        .status();
    assert!(copied.unwrap().success());
    connect(&bench, &[]).ok();
    publish(&bench, "0.2.0").ok();
    bench.run(&["registry", "verify", "lab"]).ok();
    fs::remove_dir_all(bench.work().join("registry")).unwrap();
    fs::rename(bench.work().join("old"), bench.work().join("registry")).unwrap();
    bench.run(&["registry", "verify", "lab"]).fails(
        3,
        &["registry lab: its snapshot 2 is older than snapshot 3, which was seen before"],
    );
}

#[test]
fn an_expired_state_is_refused_until_it_is_renewed() {
    let bench = with_registry();
    connect(&bench, &[]).ok();
    bench
        .run(&[
            "registry",
            "renew",
            "./registry",
            "--expires",
            "2020-01-01T00:00:00Z",
        ])
        .ok();
    bench
        .run(&["registry", "verify", "lab"])
        .fails(3, &["its snapshot expired at 2020-01-01T00:00:00Z"]);
    bench
        .run(&["registry", "renew", "./registry", "--expires", "1day"])
        .ok();
    bench.run(&["registry", "verify", "lab"]).ok();
    bench
        .run(&["registry", "renew", "./registry", "--expires", "soon"])
        .code(2);
}
