//! `plugin test` on every plugin of this repository, native and sandboxed: each keeps its contract; and on plugins that
//! break their promises: what is wrong is said in words.

use std::fs;

use serde_json::{Value, json};

use crate::bench::{Bench, Ran, root};
use crate::guests::put;

/// The id in the manifest of a folder of `wasm-plugins`.
fn id(folder: &str) -> String {
    let manifest = fs::read_to_string(root().join("wasm-plugins").join(folder).join("plugin.toml"));
    let manifest = manifest.unwrap();
    let line = manifest.lines().find(|line| line.starts_with("id = "));
    line.unwrap().split('"').nth(1).unwrap().to_owned()
}

/// Every folder of `wasm-plugins` that is a plugin.
fn folders() -> Vec<String> {
    let entries = fs::read_dir(root().join("wasm-plugins")).unwrap().flatten();
    let mut folders: Vec<String> = entries
        .filter(|entry| entry.path().join("plugin.toml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    folders
}

/// Asserts that every check of every component passed, or was skipped because the component does not offer it.
#[track_caller]
fn keeps_its_contract(ran: Ran, id: &str) {
    let tested = ran.ok().json();
    assert_eq!(
        (&tested["id"], &tested["passed"]),
        (&json!(id), &json!(true)),
        "{tested}"
    );
    for component in tested["components"].as_array().unwrap() {
        let checks = component["checks"].as_array().unwrap();
        let count = |outcome: &str| {
            checks
                .iter()
                .filter(|check| check["outcome"] == outcome)
                .count()
        };
        assert!(count("passed") >= 2 && count("failed") == 0, "{tested}");
    }
}

#[test]
fn every_guest_keeps_its_contract() {
    let folders = folders();
    assert!(folders.len() >= 12, "{folders:?}");
    for folder in folders {
        let bench = Bench::new();
        if !put(&bench, &format!("wasm-plugins/{folder}")) {
            continue;
        }
        let id = id(&folder);
        bench.write("given/train.txt", "one two two\n");
        bench.write("given/train.jsonl", "{\"text\": \"one\"}\n");
        let asked = bench.run(&["plugin", "grant", &id, "--json"]).ok().json();
        let mut line = vec!["plugin", "test", &id, "--json"];
        let asks = asked["asked"]
            .as_array()
            .is_some_and(|asked| !asked.is_empty());
        if asks {
            // Before the user decided it is not even created, and the line that decides is shown.
            let ran = bench.run(&["plugin", "test", &id]).code(3);
            let command = asked["command"].as_str().unwrap();
            ran.shows(&["FAILED", command, "--folder"]);
            let mut grant = vec!["plugin", "grant", &id, "--all"];
            let folders: Vec<String> = asked["asked"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|row| row["permission"] == "folder")
                .map(|row| format!("{}=given", row["name"].as_str().unwrap()))
                .collect();
            for folder in &folders {
                grant.extend(["--folder", folder]);
            }
            bench.run(&grant).ok();
        }
        if id.starts_with("command-") {
            let file = if id.contains("jsonl") {
                "train.jsonl"
            } else {
                "train.txt"
            };
            // Commands write to this host's terminal, which is no JSON.
            let arguments = format!("{{\"file\": \"{file}\", \"top\": 3}}");
            let ran = bench
                .run(&["plugin", "test", &id, "--arguments", &arguments])
                .ok();
            ran.shows(&["passed   it runs", "two runs with the same arguments agree"]);
        }
        keeps_its_contract(bench.run(&line), &id);
        // The file alone is tested like the installed plugin, except that nobody granted it anything.
        let file = bench.data().join("plugins").join(format!("{folder}.wasm"));
        line[2] = file.to_str().unwrap();
        if !asks {
            keeps_its_contract(bench.run(&line), &id);
        }
    }
}

/// The configuration with which a native plugin is tested, where its own defaults are too large or say too little.
fn config(component: &Value, file: &str) -> Value {
    match (component["kind"].as_str(), component["name"].as_str()) {
        (Some("dataset"), Some("files")) => json!({ "path": file }),
        (Some("dataset"), Some("grammar")) => json!({ "documents": 100 }),
        (Some("model"), Some("minilm")) => json!({
            "hidden_size": 32, "layers": 2, "heads": 2, "sequence_length": 32, "vocab_size": 300, "dropout": 0.0,
        }),
        _ => json!({}),
    }
}

#[test]
fn every_native_plugin_of_this_repository_keeps_its_contract() {
    let bench = Bench::new();
    let file = bench.write(
        "rows.jsonl",
        "{\"text\": \"one\"}\n{\"text\": \"two\"}\n".repeat(50),
    );
    let file = file.to_str().unwrap();
    let all = bench.run(&["plugin", "list", "--json"]).ok().json();
    let native: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["runtime"] == "native")
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    let crates = fs::read_dir(root().join("plugins")).unwrap().flatten();
    let crates = crates
        .filter(|entry| entry.path().join("plugin.toml").is_file())
        .count();
    assert_eq!(native.len(), crates, "{native:?}");
    for id in native {
        let info = bench.run(&["plugin", "info", id, "--json"]).ok().json();
        for component in info["manifest"]["component"].as_array().unwrap() {
            let config = config(component, file).to_string();
            let name = component["name"].as_str().unwrap();
            let line = [
                "plugin",
                "test",
                id,
                "--component",
                name,
                "--config",
                &config,
                "--json",
            ];
            keeps_its_contract(bench.run(&line), id);
        }
    }
}

#[test]
fn a_guest_that_breaks_its_promises_is_told_which() {
    let bench = Bench::new();
    if !put(&bench, "tests/fixtures/hostile") {
        return;
    }
    bench.run(&["plugin", "grant", "hostile", "--none"]).ok();
    for (deed, words) in [
        // A row that is another one when it is read alone.
        (
            "moody",
            &[
                "FAILED   how rows are asked for does not change them",
                "of column \"text\" read one by one, backwards is Text(Some(\"ABC \")), not Text(Some(\"abc \"))",
            ][..],
        ),
        // What it answers is no batch at all.
        (
            "rows",
            &[
                "FAILED   every batch has the promised columns",
                "3 rows came where",
            ],
        ),
        (
            "compute:trap",
            &[
                "FAILED   compute changes nothing",
                "plugin hostile 0.1.0 panicked in metric hostile, compute: it stopped itself",
            ],
        ),
        (
            "scan:spin",
            &[
                "FAILED",
                "it ran longer than its limit of 300ms (plugin hostile 0.1.0, sanitizer hostile, scan)",
            ],
        ),
    ] {
        let config = json!({ "deed": deed }).to_string();
        let ran = bench
            .run(&["plugin", "test", "hostile", "--config", &config])
            .code(3);
        assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.stdout);
        ran.shows(words);
    }
}
