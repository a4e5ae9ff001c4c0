//! Names that are not what they seem, registries and keys that are not what they were.

use std::fs;

use codex_packages::keys::SecretKey;
use codex_plugin_api::Permissions;

use super::shop::{Shop, component, manifest, sign};
use super::{in_use, load};
use crate::bench::Bench;

#[test]
fn a_version_that_was_taken_out_of_sight() {
    let bench = Bench::new();
    let shop = Shop::new(&bench, "main");
    shop.publish("words", "1.0.0");
    let old = fs::read(shop.index("words")).unwrap();
    shop.publish("words", "1.1.0");
    bench.run(&["plugin", "install", "words"]).ok();
    assert_eq!(in_use(&bench).as_deref(), Some("1.1.0"));
    // The registry's owner forgets 1.1.0, which mended something.
    shop.change(|_| fs::write(shop.index("words"), &old).unwrap());
    bench.run(&["plugin", "update"]);
    assert_eq!(in_use(&bench).as_deref(), Some("1.1.0"));
    bench.run(&["plugin", "remove", "words"]).ok();
    bench
        .run(&["plugin", "install", "words"])
        .fails(
            3,
            &["words 1.0.0 is older than 1.1.0, which was used before"],
        )
        .tells(&["words@"]);
    // Whoever names the version means it.
    bench.run(&["plugin", "install", "words@=1.0.0"]).ok();
    assert_eq!(in_use(&bench).as_deref(), Some("1.0.0"));
}

#[test]
fn a_version_with_other_content() {
    let bench = Bench::new();
    let shop = Shop::with_words(&bench);
    bench.run(&["plugin", "remove", "words"]).ok();
    let text = manifest("words", "1.0.0", "");
    let other = shop.pack(
        "words",
        "1.0.0",
        &text,
        "artifacts/wasm/words.wasm",
        component(&text, "evil", &[]),
    );
    fs::remove_file(shop.index("words")).unwrap();
    fs::remove_file(shop.archive("words", "1.0.0")).unwrap();
    shop.publish_package(&other, &shop.author);
    bench
        .run(&["plugin", "install", "words"])
        .fails(3, &["words 1.0.0 has other content now"]);
    assert_eq!(in_use(&bench), None);
}

#[test]
fn the_same_name_in_another_registry() {
    let bench = Bench::new();
    let main = Shop::with_words(&bench);
    // It comes first in the order.
    let other = Shop::new(&bench, "other");
    other.publish("words", "9.0.0");
    bench.run(&["plugin", "update"]).ok();
    assert_eq!(in_use(&bench).as_deref(), Some("1.0.0"));
    bench
        .run(&["plugin", "install", "words", "--registry", "other"])
        .fails(3, &["words is bound to registry main"]);
    // Also where the first one does not have it any more.
    main.change(|_| fs::remove_file(main.index("words")).unwrap());
    bench.run(&["plugin", "update"]);
    assert_eq!(in_use(&bench).as_deref(), Some("1.0.0"));
}

#[test]
fn a_name_that_looks_like_an_installed_one() {
    let bench = Bench::new();
    let shop = Shop::with_words(&bench);
    shop.publish("vvords", "1.0.0");
    bench
        .run(&["plugin", "install", "vvords"])
        .ok()
        .tells(&["vvords looks like words"]);
}

#[test]
fn names_with_control_characters_and_letters_of_other_alphabets() {
    let bench = Bench::new();
    let _shop = Shop::with_words(&bench);
    for (name, words) in [
        ("wo\u{1b}[2Jrds", "control character U+001B"),
        ("w\u{43e}rds", "U+043E, which looks like 'o'"),
        ("wor\u{202e}ds", "U+202E"),
    ] {
        for arguments in [
            &["plugin", "install", name][..],
            &["plugin", "add", name],
            &["plugin", "trust", name, "--native"],
            &["plugin", "distrust", name],
        ] {
            let ran = bench.run(arguments).code(2);
            assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
            let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
            assert!(!ran.stderr.contains(steers), "{:?}", ran.stderr);
        }
    }
}

#[test]
fn a_key_that_was_swapped() {
    let bench = Bench::new();
    let shop = Shop::with_words(&bench);
    let new = SecretKey::generate().unwrap();
    let package = shop.package("words", "1.1.0", "");
    // The registry's owner replaces the author's key together with the whole index.
    fs::remove_file(shop.index("words")).unwrap();
    shop.smuggle("words", &package, &sign(&package.entry, &new), &new);
    let pinned = shop.author.public().id();
    bench
        .run(&["plugin", "install", "words@=1.1.0"])
        .fails(
            3,
            &[
                "words 1.1.0 is signed with key",
                &format!("pinned to key {pinned}"),
            ],
        )
        .tells(&["codex-ml plugin trust words --key"]);
    bench.run(&["plugin", "update"]);
    assert_eq!(in_use(&bench).as_deref(), Some("1.0.0"));
    load(&bench).ok();
    // The user heard from the author that the key is new.
    bench
        .run(&["plugin", "trust", "words", "--key", &new.public().text()])
        .ok();
    bench.run(&["plugin", "update"]).ok();
    assert_eq!(in_use(&bench).as_deref(), Some("1.1.0"));
}

#[test]
fn a_key_that_its_owner_handed_on_is_followed() {
    let bench = Bench::new();
    let shop = Shop::with_words(&bench);
    let new = SecretKey::generate().unwrap();
    shop.rotate("words", &shop.author, &new);
    shop.publish_package(&shop.package("words", "1.1.0", ""), &new);
    bench
        .run(&["plugin", "update"])
        .ok()
        .tells(&["handed words to key", &new.public().id()]);
    load(&bench).ok();
    let log = fs::read_to_string(bench.data().join("trust.log")).unwrap();
    assert!(log.contains("\"rotated\""), "{log}");
}

#[test]
fn an_entry_that_was_signed_for_another_plugin() {
    let bench = Bench::new();
    let shop = Shop::with_words(&bench);
    shop.publish("other", "1.0.0");
    bench.run(&["plugin", "remove", "words"]).ok();
    let package = shop.package("other", "2.0.0", "");
    shop.smuggle(
        "words",
        &package,
        &sign(&package.entry, &shop.author),
        &shop.author,
    );
    let ran = bench.run(&["plugin", "install", "words"]);
    assert_ne!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("other"), "{}", ran.stderr);
    assert_eq!(in_use(&bench), None);
    assert!(!bench.data().join("store/other").exists());
}

#[test]
fn an_entry_that_claims_fewer_permissions_than_the_manifest() {
    let bench = Bench::new();
    let shop = Shop::new(&bench, "main");
    let asks = "[permissions]\nclock = { reason = \"to time itself\" }\n";
    let mut package = shop.package("words", "1.0.0", asks);
    package.entry.permissions = Permissions::default();
    shop.smuggle(
        "words",
        &package,
        &sign(&package.entry, &shop.author),
        &shop.author,
    );
    bench.run(&["plugin", "install", "words"]).fails(
        3,
        &[
            "the manifest of words 1.0.0 is not what was signed",
            "permissions",
        ],
    );
    assert_eq!(in_use(&bench), None);
}

#[test]
fn a_manifest_that_claims_fewer_permissions_than_the_component_imports() {
    let bench = Bench::new();
    let shop = Shop::new(&bench, "main");
    let text = manifest("words", "1.0.0", "");
    let package = shop.pack(
        "words",
        "1.0.0",
        &text,
        "artifacts/wasm/words.wasm",
        component(&text, "good", &["clock"]),
    );
    shop.publish_package(&package, &shop.author);
    let _ = bench.run(&["plugin", "install", "words"]);
    load(&bench).fails(3, &["imports codex:plugin/clock", "permissions.clock"]);
    let rows = bench.run(&["plugin", "doctor", "--json"]).code(3).json();
    assert_eq!(rows[0]["step"], "load", "{rows}");
}
