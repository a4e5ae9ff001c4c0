//! Names that are not what they seem, registries and keys that are not what they were.

use std::fs;

use std::sync::Arc;

use codex_packages::archive::{Limits, unpack};
use codex_packages::keys::SecretKey;
use codex_packages::lock::{Lock, Locked};
use codex_packages::source::Offer;
use codex_packages::store::Store;
use codex_packages::trust::Source;
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

/// The state and the path of the plugin that has an id.
fn ready(bench: &Bench, id: &str) -> Vec<String> {
    let list = bench.run(&["plugin", "list", "--json"]).ok().json();
    let rows = list.as_array().unwrap().iter();
    rows.filter(|row| row["id"] == id && row["state"] == "ready")
        .map(|row| row["path"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_stranger_under_the_id_of_one_of_codex_mls_own_plugins() {
    let bench = Bench::new();
    let own = ready(&bench, "metric-lm");
    assert_eq!(own.len(), 1);
    let shop = Shop::new(&bench, "main");
    let stranger =
        manifest("metric-lm", "9.0.0", "").replace("name = \"metric-lm\"", "name = \"other\"");
    let library = component(&stranger, "evil", &[]);
    let place = "artifacts/wasm/metric-lm.wasm";
    let package = shop.pack("metric-lm", "9.0.0", &stranger, place, library.clone());
    shop.publish_package(&package, &shop.author);
    let both = [
        "metric-lm 9.0.0 of registry main has the id of metric-lm",
        own[0].as_str(),
        "part of codex-ml",
    ];
    for install in [
        &["plugin", "install", "metric-lm"][..],
        &["plugin", "add", "metric-lm"],
        &["plugin", "install", "metric-lm", "--dry-run"],
    ] {
        bench.run(install).fails(3, &both);
    }
    assert!(!bench.data().join("store/metric-lm").exists());
    assert!(!bench.data().join("codex-plugins.lock").exists());

    // A lock that names it all the same, as a project that somebody else wrote could bring.
    let offer = Offer {
        signed: Arc::new(sign(&package.entry, &shop.author)),
        key_id: shop.author.public().id(),
        yanked: None,
        revoked: None,
        source: Arc::new(Source {
            registry: "main".into(),
            url: String::new(),
        }),
        entry: package.entry.clone(),
    };
    let locked = Locked::of(&offer, &shop.folder.display().to_string());
    let folder =
        Store::new(&bench.data()).folder("metric-lm", &locked.version, &locked.archive.sha256);
    let lock = Lock {
        plugins: [("metric-lm".to_owned(), locked)].into(),
    };
    bench.write("codex-plugins.toml", "[plugins]\nmetric-lm = \"^9\"\n");
    bench.write("codex-plugins.lock", lock.text().unwrap());
    bench.run(&["plugin", "sync"]).fails(3, &both);
    assert!(!folder.exists());
    // And where its files have come into the store.
    fs::create_dir_all(&folder).unwrap();
    unpack(&package.file, None, &folder, &Limits::default()).unwrap();
    let refused = bench.run(&["plugin", "doctor", "--json"]).code(3).json();
    assert_eq!(refused[0]["step"], "name", "{refused}");
    assert!(
        refused[0]["reason"]
            .as_str()
            .unwrap()
            .contains("metric-lm 9.0.0 has the id of")
    );
    assert_eq!(ready(&bench, "metric-lm"), own);
    for file in ["codex-plugins.toml", "codex-plugins.lock"] {
        fs::remove_file(bench.work().join(file)).unwrap();
    }

    // A file is refused too, unless its user says that it is meant.
    let file = bench.write("metric-lm.wasm", library);
    let path = ["plugin", "install", file.to_str().unwrap()];
    bench
        .run(&path)
        .fails(
            3,
            &["metric-lm 9.0.0 has the id of metric-lm", own[0].as_str()],
        )
        .tells(&["--force"]);
    assert_eq!(ready(&bench, "metric-lm"), own);
    bench.run(&[&path[..], &["--force"]].concat()).ok();
    assert_ne!(ready(&bench, "metric-lm"), own);
}

#[test]
fn a_stranger_with_a_component_or_a_command_of_codex_mls_own() {
    let bench = Bench::new();
    let shop = Shop::new(&bench, "main");
    for (id, kind, name, words) in [
        (
            "loud",
            "metric",
            "lm",
            "metric \"lm\" of loud 1.0.0 is already given by metric-lm",
        ),
        (
            "trainer",
            "command",
            "train",
            "command \"train\" of trainer 1.0.0 has the name of one of codex-ml's own",
        ),
    ] {
        let text = manifest(id, "1.0.0", "").replace(
            &format!("kind = \"metric\"\nname = \"{id}\""),
            &format!("kind = \"{kind}\"\nname = \"{name}\""),
        );
        let library = component(&text, "good", &[]);
        let place = format!("artifacts/wasm/{id}.wasm");
        let package = shop.pack(id, "1.0.0", &text, &place, library);
        shop.publish_package(&package, &shop.author);
        bench.run(&["plugin", "install", id]).fails(3, &[words]);
        assert!(!bench.data().join("store").join(id).exists());
    }
}
