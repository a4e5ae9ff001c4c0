//! `plugin build`, `plugin test` and `plugin wit`: guests in every language become plugins, and plugins of both runtimes
//! are held against their contracts. Where a language's tools cannot be had, its test says so.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::bench::{Bench, Ran, fixtures, library, root};
use crate::guests::{build, build_or_say, left_out};

/// Builds a guest of `wasm-plugins` into the bench; `None`, and a line that says so, where the tools are missing.
fn guest(bench: &Bench, name: &str) -> Option<Ran> {
    let folder = root().join("wasm-plugins").join(name);
    build_or_say(bench, &folder, &["--output", "guest.wasm", "--json"])
}

/// What every built guest must be: a file with its manifest inside that installs, and keeps the contract of a metric.
#[track_caller]
fn is_a_plugin(bench: &Bench, ran: &Ran, id: &str, language: &str) {
    let told = ran.json();
    assert_eq!(told["id"], id, "{told}");
    assert_eq!(told["language"], language, "{told}");
    assert_eq!(told["kinds"], json!(["metric"]), "{told}");
    assert_eq!(told["file"], "guest.wasm", "{told}");
    assert!(
        told["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0),
        "{told}"
    );
    let bytes = fs::read(bench.work().join("guest.wasm")).unwrap();
    assert_eq!(told["bytes"], bytes.len(), "{told}");
    let manifest = fs::read(root().join("wasm-plugins").join(id).join("plugin.toml")).unwrap();
    assert!(bytes.ends_with(&manifest), "the manifest is not at the end");

    let tested = bench
        .run(&["plugin", "test", "guest.wasm", "--json"])
        .ok()
        .json();
    assert_eq!(
        (&tested["id"], &tested["passed"]),
        (&json!(id), &json!(true)),
        "{tested}"
    );
    let outcomes = outcomes(&tested, "metric");
    assert!(
        outcomes.len() >= 5 && outcomes.iter().all(|outcome| outcome != "failed"),
        "{tested}"
    );

    bench
        .run(&["plugin", "install", "guest.wasm"])
        .ok()
        .shows(&[id]);
    let listed = bench.run(&["plugin", "list", "--json"]).ok().json();
    let row = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == id)
        .unwrap()
        .clone();
    assert_eq!(
        (&row["runtime"], &row["state"]),
        (&json!("wasm"), &json!("ready")),
        "{row}"
    );
    bench
        .run(&["plugin", "test", id])
        .ok()
        .shows(&["passed", "metric "]);
}

/// How the checks of the components of a kind ended.
fn outcomes(tested: &Value, kind: &str) -> Vec<String> {
    let components = tested["components"].as_array().unwrap();
    let of_kind = components
        .iter()
        .filter(|component| component["kind"] == kind);
    of_kind
        .flat_map(|component| component["checks"].as_array().unwrap())
        .map(|check| check["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_guest_in_rust_becomes_a_plugin() {
    let bench = Bench::new();
    if let Some(ran) = guest(&bench, "text-metric-rust") {
        is_a_plugin(&bench, &ran, "text-metric-rust", "rust");
    }
}

#[test]
fn a_guest_in_c_becomes_a_plugin() {
    let bench = Bench::new();
    if let Some(ran) = guest(&bench, "text-metric-c") {
        is_a_plugin(&bench, &ran, "text-metric-c", "c");
        a_c_file_that_prints_is_refused(&bench);
    }
}

/// Output of its own is what a plugin does not have.
#[track_caller]
fn a_c_file_that_prints_is_refused(bench: &Bench) {
    let source = root().join("wasm-plugins/text-metric-c");
    for entry in fs::read_dir(source).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if std::path::Path::new(&name)
            .extension()
            .is_none_or(|extension| extension != "wasm")
        {
            bench.write(&format!("loud/{name}"), fs::read(entry.path()).unwrap());
        }
    }
    let loud = "#include <stdio.h>\n__attribute__((constructor)) static void hello(void) { printf(\"hi %d\\n\", 1); }\n";
    bench.write("loud/loud.c", loud);
    build(bench, &["loud"])
        .fails(2, &["fd_write of wasi_snapshot_preview1"])
        .tells(&["printf"]);
    assert!(!bench.work().join("loud/text-metric-c.wasm").exists());
    // What the compiler says is shown, and the command that said it.
    bench.write("loud/loud.c", "int twice(int x) { return 2 * y; }\n");
    build(bench, &["loud"])
        .fails(1, &["ended with exit code 1", "--target=wasm32-wasi"])
        .tells(&["loud.c:1:", "undeclared"]);
}

#[test]
fn a_guest_in_python_becomes_a_plugin() {
    let bench = Bench::new();
    if let Some(ran) = guest(&bench, "text-metric-python") {
        is_a_plugin(&bench, &ran, "text-metric-python", "python");
    }
}

#[test]
fn tools_that_are_missing_are_named_with_what_brings_them() {
    let manifest = "[plugin]\nid = \"loud\"\nversion = \"0.1.0\"\napi = \"1\"\ndescription = \"d\"\n\
                    [[component]]\nkind = \"metric\"\nname = \"loud\"\n";
    for (file, lacks, install) in [
        (
            "loud.c",
            "there is no C compiler for WebAssembly",
            "apt-get install clang lld wasi-libc",
        ),
        (
            "loud.py",
            "there is no componentize-py",
            "pip install \"componentize-py==0.25.*\"",
        ),
    ] {
        let bench = Bench::new();
        bench.write("guest/plugin.toml", manifest);
        bench.write(&format!("guest/{file}"), "");
        let mut command = bench.command(&["plugin", "build", "guest"]);
        command.env("PATH", bench.work());
        for variable in ["WASI_SDK_PATH", "CODEX_ML_PYTHON_ENVIRONMENT"] {
            command.env_remove(variable);
        }
        Ran::new(&["plugin", "build", "guest"], command.output().unwrap())
            .fails(1, &[lacks])
            .tells(&[install]);
    }
    // A compiler of the system's is looked for beside the search path, so it may well be there.
    let bench = Bench::new();
    bench.write("guest/plugin.toml", manifest);
    bench.write("guest/Cargo.toml", "");
    let mut command = bench.command(&["plugin", "build", "guest"]);
    let output = command.env("PATH", bench.work()).output().unwrap();
    let ran = Ran::new(&["plugin", "build", "guest"], output);
    if ran.stderr.contains("building loud with") {
        left_out("what is said without a Rust compiler: the system's own builds for WebAssembly");
    } else {
        let ran = ran.fails(1, &["Rust compiler"]);
        ran.tells(&[
            "rustup target add wasm32-unknown-unknown",
            "apt-get install rustc-web",
        ]);
    }
    // What is wrong with the folder is told before any tool is looked for.
    bench
        .run(&["plugin", "build", "none"])
        .fails(2, &["none", "plugin.toml"]);
    bench.write("empty/plugin.toml", manifest);
    bench
        .run(&["plugin", "build", "empty"])
        .fails(2, &["nothing to build", "empty"])
        .tells(&["Cargo.toml (Rust), *.c (C) or *.py (Python)"]);
    bench.write("wrong/plugin.toml", manifest.replace("metric", "metrc"));
    bench
        .run(&["plugin", "build", "wrong"])
        .fails(2, &["plugin.toml", "line 7", "metrc"]);
}

#[test]
fn the_interface_is_written_out() {
    let bench = Bench::new();
    bench.run(&["plugin", "wit"]).ok().shows(&["wrote", "wit"]);
    let there = fs::read_to_string(root().join("plugin-api/wit/v1/types.wit")).unwrap();
    assert_eq!(bench.read("wit/types.wit"), there);
    let told = bench
        .run(&[
            "plugin",
            "wit",
            "--output",
            "api",
            "--c",
            "metric,dataset",
            "--json",
        ])
        .ok()
        .json();
    let files = told["files"].as_array().unwrap();
    assert!(files.contains(&json!("api/c/this_plugin.h")), "{told}");
    for file in files {
        assert!(
            bench.work().join(file.as_str().unwrap()).is_file(),
            "{file}"
        );
    }
    assert!(
        bench
            .read("api/c/this_plugin.h")
            .contains("exports_codex_plugin_dataset_read")
    );
    bench
        .run(&["plugin", "wit", "--c", "metrc"])
        .code(2)
        .tells(&["metrc"]);
}

#[test]
fn a_native_plugin_is_held_against_its_contracts() {
    let bench = Bench::new();
    let library: PathBuf = fixtures("third-party").join(library("third-party"));
    let library = library.to_str().unwrap();
    let tested = bench
        .run(&["plugin", "test", library, "--json"])
        .ok()
        .json();
    assert_eq!(tested["passed"], true, "{tested}");
    for kind in ["dataset", "metric", "sanitizer", "adapter"] {
        let outcomes = outcomes(&tested, kind);
        assert!(
            outcomes
                .iter()
                .filter(|outcome| *outcome == "passed")
                .count()
                >= 3,
            "{kind}: {tested}"
        );
    }
    // A command runs only when one says with what; values for completion are asked for in any case.
    assert_eq!(
        outcomes(&tested, "command"),
        ["passed", "skipped", "passed", "passed"]
    );
    let greeting = [
        "--component",
        "greet",
        "--arguments",
        "{\"name\": \"Ada\", \"times\": 2}",
    ];
    bench
        .run(&[&["plugin", "test", library], &greeting[..]].concat())
        .ok()
        .shows(&["command greet", "passed   it runs"]);
    // A configuration is checked like any other.
    let rows = |config: &'static str| {
        [
            "plugin",
            "test",
            library,
            "--component",
            "squares",
            "--config",
            config,
        ]
    };
    bench
        .run(&rows("{\"rows\": 60, \"first\": 7}"))
        .ok()
        .shows(&["dataset squares"]);
    bench.run(&rows("{\"rose\": 60}")).fails(2, &["rose"]);
    bench.run(&rows("[60]")).code(2).tells(&["no object"]);
    bench
        .run(&["plugin", "test", library, "--component", "cubes"])
        .fails(2, &["third-party 0.3.1", "cubes"])
        .tells(&["squares"]);
    bench
        .run(&["plugin", "test", "third-party"])
        .fails(2, &["third-party", "no such file"]);
}

#[test]
fn a_broken_contract_is_an_exit_code_of_its_own() {
    let bench = Bench::new();
    let panics = fixtures("broken").join(library("panics"));
    let config = ["--component", "panics", "--config", "{\"at\": \"compute\"}"];
    let ran = bench
        .run(&[&["plugin", "test", panics.to_str().unwrap()], &config[..]].concat())
        .code(3)
        .shows(&["metric panics", "FAILED", "compute went, wrong"]);
    assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.stdout);
    bench.write("notes.txt", "no plugin");
    bench
        .run(&["plugin", "test", "notes.txt"])
        .fails(3, &["notes.txt", "text file"]);
    bench
        .run(&["plugin", "test", "none.wasm"])
        .fails(2, &["none.wasm"]);
}
