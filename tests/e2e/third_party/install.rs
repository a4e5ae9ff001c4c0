//! Installing, showing and removing a stranger's plugin; an installation that fails leaves nothing behind.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{files, patched, rows, third_party, with_plugin};
use crate::bench::{Bench, library, root};

#[test]
fn a_library_and_a_folder_are_installed_shown_and_removed() {
    let library = third_party();
    let folder = Bench::new();
    let name = library.file_name().unwrap().to_str().unwrap();
    folder.write(&format!("shop/{name}"), fs::read(&library).unwrap());
    let manifest = fs::read(root().join("tests/fixtures/third-party/plugin.toml")).unwrap();
    folder.write("shop/plugin.toml", &manifest);

    for source in [library.clone(), folder.work().join("shop")] {
        let bench = Bench::new();
        let path = source.to_str().unwrap();
        bench.run(&["plugin", "install", path]).ok().shows(&[
            "third-party 0.3.1",
            "metric shout-rate",
            "dataset squares",
            "codex-ml greet",
            "full authority",
            "greet --rows reads the dataset squares",
        ]);
        let place = bench.data().join("plugins/third-party");
        assert_eq!(fs::read(place.join("plugin.toml")).unwrap(), manifest);
        assert_eq!(
            fs::read(place.join(name)).unwrap(),
            fs::read(&library).unwrap()
        );

        let found = rows(
            &bench.run(&["plugin", "list", "--json"]).ok(),
            "third-party",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            found[0],
            json!({
                "id": "third-party", "version": "0.3.1", "runtime": "native", "state": "ready", "path": place,
                "kinds": ["dataset", "metric", "sanitizer", "adapter", "command"],
            })
        );
        bench
            .run(&["plugin", "list"])
            .ok()
            .shows(&["third-party", "0.3.1", "ready", "metric-lm"]);

        let info = bench
            .run(&["plugin", "info", "third-party", "--json"])
            .ok()
            .json();
        assert_eq!(info["build"]["api_version"], codex_plugin_api::API_VERSION);
        assert_eq!(info["sha256"].as_str().unwrap().len(), 64);
        assert_eq!(info["manifest"]["plugin"]["id"], "third-party");
        bench.run(&["plugin", "info", "third-party"]).ok().shows(&[
            "full authority",
            "squares",
            "MIT OR Apache-2.0",
        ]);
        bench
            .run(&["plugin", "info", "third-party", "--config"])
            .ok()
            .shows(&["rows", "1000"]);
        bench
            .run(&["plugin", "info", "third-prty"])
            .fails(2, &["third-prty"])
            .tells(&["third-party"]);
        assert_eq!(
            bench.run(&["plugin", "doctor", "--json"]).ok().json(),
            json!([])
        );

        bench
            .run(&["plugin", "install", path])
            .ok()
            .shows(&["again"]);
        bench
            .run(&["plugin", "remove", "third-prty"])
            .fails(2, &["third-prty"]);
        bench.run(&["plugin", "remove", "third-party"]).ok();
        assert_eq!(
            rows(
                &bench.run(&["plugin", "list", "--json"]).ok(),
                "third-party"
            ),
            [] as [Value; 0]
        );
        assert!(!place.exists());
        assert!(!bench.run(&["--help"]).ok().stdout.contains("greet"));
        assert!(
            !bench
                .run(&["completions", "bash"])
                .ok()
                .stdout
                .contains("greet")
        );
        bench.run(&["greet", "Ada"]).code(2);
        bench
            .run(&["train", "data.name=squares"])
            .fails(2, &["squares"]);
        bench
            .run(&["plugin", "remove", "third-party"])
            .fails(2, &["third-party"]);
    }
}

#[test]
fn a_plugin_can_belong_to_the_project() {
    let bench = Bench::new();
    bench
        .run(&[
            "plugin",
            "install",
            "--project",
            third_party().to_str().unwrap(),
        ])
        .ok();
    assert!(
        bench
            .work()
            .join(".codex-ml/plugins/third-party/plugin.toml")
            .is_file()
    );
    // What its file is, is written down among the user's own.
    let trust = ["trust.json", "trust.lock", "trust.log"].map(|name| bench.data().join(name));
    let mut found = files(&bench.data());
    found.sort();
    assert_eq!(found, trust);
    bench.run(&["greet", "Ada"]).ok().shows(&["hello, Ada"]);
    bench
        .run(&["plugin", "remove", "--project", "third-party"])
        .ok();
    bench.run(&["greet", "Ada"]).code(2);
}

#[test]
fn an_installation_that_fails_leaves_nothing_behind() {
    let bytes = fs::read(third_party()).unwrap();
    let bench = Bench::new();
    let name = library("third-party");
    bench.write("bare/readme.md", "nothing here");
    bench.write(
        "hollow/plugin.toml",
        fs::read(root().join("tests/fixtures/third-party/plugin.toml")).unwrap(),
    );
    bench.write("text.txt", "not a library");
    bench.write(
        &format!("builtin/{name}"),
        patched(&bytes, b"name = \"greet\"", b"name = \"train\""),
    );
    for (path, code, words) in [
        ("nowhere", 2, &["nowhere"][..]),
        ("bare", 2, &["bare", "plugin.toml"]),
        ("hollow", 3, &["hollow", "library"]),
        ("text.txt", 3, &["text.txt", "text file"]),
        (&format!("builtin/{name}"), 3, &["train", "codex-ml"]),
    ] {
        bench.run(&["plugin", "install", path]).fails(code, words);
        // A name is looked for in registries, in turn with others: the file that keeps the turns may stay.
        let mut left = files(&bench.data());
        left.retain(|path| !path.ends_with("store") && !path.ends_with("store/.lock"));
        assert_eq!(left, [] as [PathBuf; 0], "{path} left something behind");
    }
    let error = bench
        .run(&["plugin", "install", "nowhere", "--json"])
        .code(2);
    assert_eq!(error.stdout, "");
    assert!(
        error.stderr.starts_with('{') && error.stderr.contains("\"hint\""),
        "{}",
        error.stderr
    );
    bench.run(&["plugin", "list"]).ok();
}

#[test]
fn an_older_version_and_a_taken_name_need_force() {
    let bench = with_plugin();
    let before = files(&bench.data());
    let bytes = fs::read(third_party()).unwrap();
    let name = library("third-party");
    let older = format!("older/{name}");
    bench.write(
        &older,
        patched(&bytes, b"version = \"0.3.1\"", b"version = \"0.2.9\""),
    );
    let other = format!("other/{name}");
    bench.write(
        &other,
        patched(&bytes, b"id = \"third-party\"", b"id = \"third-sport\""),
    );
    bench
        .run(&["plugin", "install", &older])
        .fails(3, &["third-party 0.2.9", "older", "0.3.1"])
        .tells(&["--force"]);
    bench
        .run(&["plugin", "install", &other])
        .fails(3, &["third-sport 0.3.1", "third-party 0.3.1"])
        .tells(&["--force"]);
    assert_eq!(files(&bench.data()), before);
    bench.run(&["greet", "Ada"]).ok();

    // What follows runs the patched library, which systems that check signatures would not.
    if cfg!(target_os = "linux") {
        bench
            .run(&["plugin", "install", &older, "--force"])
            .ok()
            .shows(&["third-party 0.2.9", "in place of 0.3.1"]);
        bench.run(&["greet", "--version"]).ok().shows(&["0.2.9"]);
        bench
            .run(&["plugin", "install", third_party().to_str().unwrap()])
            .ok()
            .shows(&["in place of 0.2.9"]);
        bench.run(&["plugin", "install", &other, "--force"]).ok();
        let refused = bench.run(&["plugin", "doctor", "--json"]).code(3).json();
        assert_eq!(refused.as_array().unwrap().len(), 1, "{refused}");
        assert_eq!(refused[0]["step"], "name");
        bench.run(&["greet", "Ada"]).ok().shows(&["hello, Ada"]);
        bench.run(&["plugin", "remove", "third-sport"]).ok();
        bench.run(&["plugin", "doctor"]).ok();
    }
}
