//! The user's decisions where they count: a granted permission works, a version that asks for more is stopped in every
//! command that would use it, what the manifest does not ask for is not linked; and what is compiled when.

use std::fs;
use std::path::PathBuf;

use super::{Cage, bytes, deed, names};
use crate::bench::{Bench, Ran};
use crate::guests::compiled;
use crate::third_party::patched;

fn grant(cage: &Cage, options: &[&str]) {
    cage.bench
        .run(&[&["plugin", "grant", "hostile"], options].concat())
        .ok();
}

#[test]
fn what_is_granted_works() {
    let Some(cage) = Cage::new() else { return };
    grant(
        &cage,
        &[
            "--clock",
            "--random",
            "--terminal",
            "--environment",
            "HOSTILE_KEY",
            "--components",
            "metric",
        ],
    );
    for deed in ["clock", "random"] {
        cage.try_to(deed, "").ok();
    }
    cage.try_to("print", "").ok().shows(&["shouted"]);
    cage.try_to("create-metric", "lm").ok();
    let line = ["hostile", "environment", "--with", "HOSTILE_KEY"];
    let mut command = cage.bench.command(&line);
    let ran = Ran::new(
        &line,
        command.env("HOSTILE_KEY", "its value").output().unwrap(),
    );
    ran.ok().shows(&["Some(\"its value\")"]);
    cage.try_to("environment", "HOSTILE_KEY")
        .ok()
        .shows(&["None"]);
    // One thing granted is nothing else granted.
    cage.try_to("read", "data/x.txt")
        .code(3)
        .tells(&["codex-ml plugin grant hostile --folder data=PATH"]);
}

#[test]
fn a_version_that_asks_for_more_is_stopped_until_the_user_decided_again() {
    let Some(cage) = Cage::new() else { return };
    grant(&cage, &["--clock"]);
    cage.try_to("clock", "").ok();
    let file = cage.bench.data().join("plugins/hostile.wasm");
    let whole = fs::read(&file).unwrap();
    let asks = |from: &[u8], to: &[u8]| fs::write(&file, patched(&whole, from, to)).unwrap();
    // The same permission with another reason is the same; another variable of the environment is not.
    asks(b"to see the time", b"to see the hour");
    cage.try_to("clock", "").ok();
    asks(b"key = \"HOSTILE_KEY\"", b"key = \"HOSTILE_PIN\"");
    let line = "codex-ml plugin grant hostile --all --folder data=PATH --folder out=PATH";
    let stopped = [
        &["hostile", "clock"][..],
        &["train", "training.steps=1", "data.name=hostile"],
        &[
            "train",
            "training.steps=1",
            "data.documents=100",
            "metrics=[lm,hostile]",
        ],
        &[
            "train",
            "training.steps=1",
            "data.documents=100",
            "trackers=[hostile]",
        ],
        &[
            "train",
            "training.steps=1",
            "data.documents=100",
            "tokenizer.name=hostile",
        ],
    ];
    for arguments in stopped {
        cage.bench
            .run(arguments)
            .fails(
                3,
                &[
                    "plugin hostile now asks for something else than you granted",
                    "HOSTILE_PIN",
                ],
            )
            .tells(&[line]);
    }
    grant(&cage, &["--clock"]);
    cage.try_to("clock", "").ok();
    // Going back to what was decided before is a change as well: a decision is about one list of requests.
    cage.bench.run(&["plugin", "revoke", "hostile"]).ok();
    cage.try_to("clock", "")
        .fails(3, &["plugin hostile asks for"]);
}

#[test]
fn what_the_manifest_does_not_ask_for_is_not_linked() {
    let Some(cage) = Cage::new() else { return };
    let file = cage.bench.data().join("plugins/hostile.wasm");
    let whole = fs::read(&file).unwrap();
    for (from, interface, key) in [
        (&b"clock = {"[..], "clock", "clock"),
        (b"random = {", "random", "random"),
        (b"terminal = {", "terminal", "terminal"),
        (b"folders = [", "files", "folders"),
        (b"environment = [", "environment", "environment"),
        (b"network = [", "network", "network"),
        (b"components = [", "components", "components"),
    ] {
        // The line of the request becomes a comment.
        let to = [b"#", &from[1..]].concat();
        fs::write(&file, patched(&whole, from, &to)).unwrap();
        grant(&cage, &["--none"]);
        cage.try_to("print", "").fails(
            3,
            &[
                &format!("it imports codex:plugin/{interface}, and its manifest does not ask for `permissions.{key}`"),
                "hostile",
            ],
        );
        cage.bench
            .run(&["plugin", "install", "--force", file.to_str().unwrap()])
            .code(3);
    }
}

/// What was compiled and kept.
fn kept(bench: &Bench) -> Vec<PathBuf> {
    let entries = fs::read_dir(compiled(bench)).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

#[test]
fn a_plugin_is_looked_at_without_compiling_it_and_compiled_once() {
    let Some(whole) = bytes() else { return };
    let bench = Bench::new();
    bench.write("hostile.wasm", &whole);
    let folder = bench.data().join("plugins");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("hostile.wasm"), &whole).unwrap();
    for arguments in [
        &["plugin", "list"][..],
        &["plugin", "info", "hostile"],
        &["plugin", "grant", "hostile", "--none"],
        &["hostile", "--help"],
    ] {
        bench.run(arguments).ok().shows(&["hostile"]);
    }
    assert_eq!(kept(&bench), Vec::<PathBuf>::new());
    fs::remove_file(folder.join("hostile.wasm")).unwrap();

    // Compiled when it is installed, and from then on taken as it is.
    bench.run(&["plugin", "install", "hostile.wasm"]).ok();
    let once = kept(&bench);
    assert_eq!(once.len(), 1, "{once:?}");
    let written = fs::metadata(&once[0]).unwrap().modified().unwrap();
    // What was decided about a file is not a decision about what lies elsewhere.
    bench.run(&["plugin", "grant", "hostile", "--none"]).ok();
    bench.run(&["hostile", "nothing"]).ok();
    assert_eq!(kept(&bench), once);
    assert_eq!(fs::metadata(&once[0]).unwrap().modified().unwrap(), written);
    // What was compiled belongs to one content, whatever it is called.
    let other = patched(&whole, b"Tries something", b"Tries sometimes");
    bench.write("hostile.wasm", other);
    bench
        .run(&["plugin", "install", "--force", "hostile.wasm"])
        .ok();
    assert_eq!(kept(&bench).len(), 2);
}

#[test]
fn a_plugin_that_claims_the_id_of_another_does_not_get_its_grants() {
    let Some(cage) = Cage::new() else { return };
    grant(&cage, &["--all", "--folder", "data=.", "--folder", "out=."]);
    let file = cage.bench.data().join("plugins/hostile.wasm");
    let whole = fs::read(&file).unwrap();
    // Another plugin of the same id that asks for something else: not what was granted to the first.
    let other = patched(&whole, b"host = \"127.0.0.1\"", b"host = \"127.0.0.7\"");
    fs::write(cage.bench.write("more/hostile.wasm", b""), other).unwrap();
    let line = ["--plugin-dir", "more", "hostile", "clock"];
    cage.bench
        .run(&line)
        .fails(3, &["plugin hostile asks for", "127.0.0.7"])
        .tells(&["codex-ml plugin grant hostile --all"]);
    // Both are there, and only one of them is used.
    let listed = cage
        .bench
        .run(&["--plugin-dir", "more", "plugin", "list", "--json"])
        .ok()
        .json();
    let states: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["id"] == "hostile")
        .map(|row| row["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["ready", "shadowed"], "{listed}");
}

#[test]
fn instances_share_nothing() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    let first = registry
        .create_metric("hostile", &deed("compute:trap"))
        .unwrap();
    let second = registry.create_metric("hostile", &deed("")).unwrap();
    names(&first.compute().unwrap_err(), &["it stopped itself"]);
    assert_eq!(second.compute().unwrap()[0].name, "harmless");
}
