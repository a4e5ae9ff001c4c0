//! Registries by command: keys, packages, publishing, yanks and revocations, mirrors, connections; then the same over
//! HTTP, from a server that is well, old, broken or hostile.

mod encrypted;
mod keep;
mod served;
mod server;
mod targets;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::bench::{Bench, Ran, fixtures, library, root};
use crate::permissions::component;

/// A bench with a key, a registry in the folder `registry`, and `words 0.1.0` published there.
fn with_registry() -> Bench {
    let bench = Bench::new();
    bench.run(&["plugin", "key", "new", "--no-password"]).ok();
    bench
        .run(&["registry", "init", "registry", "--name", "lab"])
        .ok();
    publish(&bench, "0.1.0").ok();
    bench
}

/// A package of the plugin `words`.
fn packed(bench: &Bench, version: &str) -> String {
    bench.write("words.wasm", component(version, ""));
    let package = format!("words-{version}.tar.zst");
    bench
        .run(&[
            "plugin",
            "pack",
            "words.wasm",
            "--no-schemas",
            "-o",
            &package,
        ])
        .ok();
    package
}

fn publish(bench: &Bench, version: &str) -> Ran {
    let package = packed(bench, version);
    bench.run(&["plugin", "publish", &package, "--to", "./registry"])
}

fn verify(bench: &Bench) -> Value {
    bench
        .run(&["registry", "verify", "./registry", "--json"])
        .ok()
        .json()
}

/// The library of the plugin in `tests/fixtures/third-party`, and its folder.
fn third_party() -> (PathBuf, PathBuf) {
    (
        fixtures("third-party").join(library("third-party")),
        root().join("tests/fixtures/third-party"),
    )
}

#[test]
fn a_native_package_carries_its_schemas_and_is_the_same_twice() {
    let bench = Bench::new();
    let (library, folder) = third_party();
    let pack = |to: &str| {
        let artifact = library.to_str().unwrap();
        bench
            .run(&[
                "plugin",
                "pack",
                folder.to_str().unwrap(),
                "--artifact",
                artifact,
                "-o",
                to,
                "--json",
            ])
            .ok()
            .json()
    };
    let (first, second) = (pack("a.tar.zst"), pack("b.tar.zst"));
    assert_eq!(first["sha256"], second["sha256"]);
    assert_eq!(
        fs::read(bench.work().join("a.tar.zst")).unwrap(),
        fs::read(bench.work().join("b.tar.zst")).unwrap()
    );
    assert_eq!(first["targets"][0], codex_plugin_api::abi::TARGET);
    let files = first["files"].as_object().unwrap();
    let count = |start: &str| files.keys().filter(|path| path.starts_with(start)).count();
    assert_eq!((count("plugin.toml"), count("artifacts/")), (1, 1));
    assert!(count("schemas/") >= 5, "{files:?}");
}

#[test]
fn what_does_not_belong_together_is_not_packed() {
    let bench = Bench::new();
    let (library, folder) = third_party();
    let (library, folder) = (library.to_str().unwrap(), folder.to_str().unwrap());
    let pack = |options: &[&str]| bench.run(&[&["plugin", "pack"], options].concat());
    let wrong = format!("riscv64-plan9={library}");
    pack(&[folder, "--artifact", &wrong])
        .code(2)
        .tells(&["it was built for", "not for riscv64-plan9"]);
    pack(&[folder, "--artifact", library, "--artifact", library])
        .code(2)
        .tells(&["are both for"]);
    bench.write("words.wasm", component("0.1.0", ""));
    pack(&["words.wasm", "--artifact", library]).fails(2, &["built with different plugin.toml"]);
    bench.write(
        "plugin.toml",
        fs::read(format!("{folder}/plugin.toml")).unwrap(),
    );
    pack(&["words.wasm"]).fails(2, &["is not the manifest inside words.wasm"]);
    bench.write("empty/README.md", "x");
    pack(&["empty"]).fails(2, &["holds no plugin.toml"]);
    pack(&["nowhere"]).fails(2, &["there is no nowhere"]);
    bench.write("text.so", "hello");
    pack(&["text.so"]).code(2);
}

#[test]
fn keys_are_made_once_shown_and_asked_for_their_password() {
    let bench = Bench::new();
    let made = bench
        .run(&["plugin", "key", "new", "author", "--no-password", "--json"])
        .ok()
        .json();
    bench
        .run(&["plugin", "key", "new", "author", "--no-password"])
        .fails(2, &["there is a key", "already"]);
    let shown = bench.run(&["plugin", "key", "show", "--json"]).ok().json();
    assert_eq!(
        (&shown[0]["name"], &shown[0]["id"]),
        (&Value::from("author"), &made["id"])
    );
    let public = made["public_key"].as_str().unwrap();
    bench
        .run(&["plugin", "key", "show", public])
        .ok()
        .shows(&[made["id"].as_str().unwrap()]);
    // Nobody sits at this terminal.
    bench
        .run(&["plugin", "key", "new", "safe"])
        .fails(2, &["needs its password"]);
    let mut command = bench.command(&["plugin", "key", "new", "safe", "--json"]);
    let output = command
        .env("CODEX_ML_KEY_PASSWORD", "correct horse")
        .output()
        .unwrap();
    assert_eq!(Ran::new(&["key"], output).ok().json()["protected"], true);
    let package = packed(&bench, "0.1.0");
    bench
        .run(&["plugin", "sign", &package, "--key", "safe"])
        .fails(2, &["needs its password"]);
    let mut command = bench.command(&["plugin", "sign", &package, "--key", "safe"]);
    let output = command
        .env("CODEX_ML_KEY_PASSWORD", "wrong")
        .output()
        .unwrap();
    Ran::new(&["sign"], output).fails(2, &["cannot open the secret key"]);
    bench
        .run(&["plugin", "sign", &package, "--key", "nobody"])
        .fails(2, &["there is no secret key"]);
}

#[test]
fn an_author_signs_and_the_owner_adds() {
    let bench = with_registry();
    bench
        .run(&["plugin", "key", "new", "author", "--no-password"])
        .ok();
    let package = packed(&bench, "0.2.0");
    bench
        .run(&["registry", "add", "./registry", &package])
        .fails(2, &["cannot read the signed entry"]);
    // The name belongs to the key that published it first.
    bench
        .run(&["plugin", "sign", &package, "--key", "author"])
        .ok();
    bench
        .run(&["registry", "add", "./registry", &package])
        .code(3)
        .tells(&["words belongs to key"]);
    bench.run(&["plugin", "sign", &package]).ok();
    let added = bench
        .run(&["registry", "add", "./registry", &package, "--json"])
        .ok()
        .json();
    assert_eq!(
        (&added["added"][0]["version"], &added["added"][0]["again"]),
        (&"0.2.0".into(), &false.into())
    );
    let again = bench
        .run(&["registry", "add", "./registry", &package, "--json"])
        .ok()
        .json();
    assert_eq!(again["added"][0]["again"], true);
    assert_eq!(verify(&bench)["versions"], 2);
    // Only the root key signs what the registry says.
    bench
        .run(&["registry", "add", "./registry", &package, "--key", "author"])
        .fails(2, &["is not the root key"]);
    bench
        .run(&[
            "plugin",
            "publish",
            &package,
            "--to",
            "./registry",
            "--key",
            "author",
        ])
        .fails(2, &["is not the root key"]);
    let laid = bench
        .run(&[
            "plugin",
            "publish",
            &package,
            "--to-folder",
            "upload",
            "--json",
        ])
        .ok()
        .json();
    assert_eq!(laid["files"].as_array().unwrap().len(), 2);
    bench
        .run(&[
            "registry",
            "add",
            "./registry",
            "upload/words-0.2.0.tar.zst",
        ])
        .ok();
}

#[test]
fn a_version_never_changes() {
    let bench = with_registry();
    let package = packed(&bench, "0.1.0");
    bench.write("README.md", "more than before");
    bench
        .run(&[
            "plugin",
            "pack",
            "words.wasm",
            "--no-schemas",
            "-o",
            &package,
        ])
        .ok();
    bench
        .run(&["plugin", "publish", &package, "--to", "./registry"])
        .fails(
            2,
            &["words 0.1.0 is in the registry already, with other content"],
        );
    assert_eq!(verify(&bench)["versions"], 1);
}

#[test]
fn what_was_taken_back_says_so() {
    let bench = with_registry();
    let registry =
        |line: &[&str]| bench.run(&[&["registry", line[0], "./registry"], &line[1..]].concat());
    registry(&["yank", "words@0.1.0", "--reason", "broken"])
        .ok()
        .shows(&["yanked words 0.1.0"]);
    assert!(bench.read("registry/yanked.json").contains("broken"));
    registry(&["unyank", "words@0.1.0"])
        .ok()
        .shows(&["gave back words 0.1.0"]);
    registry(&["yank", "words@9.0.0", "--reason", "x"])
        .fails(2, &["the registry has no words 9.0.0"]);
    registry(&["yank", "wrods@0.1.0", "--reason", "x"])
        .fails(2, &["the registry has no plugin wrods"])
        .tells(&["did you mean words?"]);
    registry(&["yank", "words@0.1.0", "--reason", "two\nlines"]).code(2);
    registry(&["revoke", "words@0.1.0", "--reason", "steals"]).ok();
    registry(&[
        "revoke",
        "--author-key",
        "00112233445566AA",
        "--reason",
        "stolen",
    ])
    .ok();
    let text = bench.read("registry/revoked.json");
    assert!(
        text.contains("steals") && text.contains("00112233445566AA"),
        "{text}"
    );
    registry(&["revoke", "--reason", "x"]).code(2);
    assert_eq!(verify(&bench)["findings"].as_array().unwrap().len(), 0);
}

#[test]
fn a_name_is_handed_from_key_to_key() {
    let bench = with_registry();
    bench
        .run(&["plugin", "key", "new", "next", "--no-password"])
        .ok();
    bench
        .run(&["plugin", "key", "new", "thief", "--no-password"])
        .ok();
    bench
        .run(&["plugin", "key", "new", "author", "--no-password"])
        .ok();
    let publish = |version: &str, key: &str| {
        let package = packed(&bench, version);
        bench.run(&[
            "plugin",
            "publish",
            &package,
            "--to",
            "./registry",
            "--key",
            key,
            "--registry-key",
            "default",
        ])
    };
    let rotate = |to: &str, by: &str| {
        bench
            .run(&["plugin", "key", "rotate", "words", "--to", to, "--key", by])
            .ok();
        bench.run(&["registry", "rotate", "./registry", "words.rotation.json"])
    };
    publish("0.2.0", "author")
        .code(3)
        .tells(&["belongs to key"]);
    rotate("author", "default").ok();
    publish("0.2.0", "author").ok();
    publish("0.3.0", "thief").code(3);
    rotate("next", "thief").code(3).tells(&["another key"]);
    rotate("next", "author").ok();
    publish("0.3.0", "author")
        .code(3)
        .tells(&["belongs to key"]);
    publish("0.3.0", "next").ok();
    assert_eq!(verify(&bench)["versions"], 3);
}

#[test]
fn verify_finds_a_changed_byte() {
    let bench = with_registry();
    let archive = bench
        .work()
        .join("registry/archives/words/words-0.1.0.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let found = bench
        .run(&["registry", "verify", "./registry", "--json"])
        .code(4)
        .json();
    assert_eq!(found["findings"][0]["what"], "words 0.1.0");
    bench
        .run(&["registry", "verify", "./registry"])
        .code(4)
        .shows(&["words 0.1.0: ", "is not the archive that was signed"]);
}

#[test]
fn a_mirror_is_used_like_its_original() {
    let bench = with_registry();
    let key = bench
        .run(&["plugin", "key", "show", "default", "--json"])
        .ok()
        .json();
    let key = key[0]["public_key"].as_str().unwrap();
    let copied = bench
        .run(&[
            "registry",
            "mirror",
            "./registry",
            "copy",
            "--root-key",
            key,
            "--json",
        ])
        .ok()
        .json();
    assert_eq!((&copied["copied"], &copied["kept"]), (&1.into(), &0.into()));
    let again = bench
        .run(&["registry", "mirror", "./registry", "copy", "--json"])
        .ok()
        .json();
    assert_eq!((&again["copied"], &again["kept"]), (&0.into(), &1.into()));
    bench
        .run(&["registry", "connect", "copy", "./copy", "--key", key])
        .ok();
    bench
        .run(&["registry", "verify", "copy"])
        .ok()
        .shows(&["1 plugins, 1 versions"]);
    let other = bench
        .run(&["plugin", "key", "new", "other", "--no-password", "--json"])
        .ok()
        .json();
    let other = other["public_key"].as_str().unwrap();
    bench
        .run(&["registry", "verify", "./registry", "--root-key", other])
        .code(3);
}
