//! What was installed is changed afterwards: files, receipts, locks, pins, the log.

use std::fs;

use codex_packages::keys::SecretKey;

use super::shop::{Shop, component, manifest, patch, sign, stored};
use super::{in_use, is_refused, load};
use crate::bench::{Bench, fixtures, library};

#[test]
fn a_changed_byte_in_an_installed_component() {
    let bench = Bench::new();
    let _shop = Shop::with_words(&bench);
    load(&bench).ok();
    let file = stored(&bench, "words").join("artifacts/wasm/words.wasm");
    patch(&file, b"notegood", b"noteevil");
    is_refused(&bench, "its file changed after words 1.0.0 was installed");
    bench.run(&["plugin", "verify"]).code(3).shows(&[
        "words 1.0.0",
        "artifacts/wasm/words.wasm",
        "plugin sync",
    ]);
    // The command that it names mends it.
    bench.run(&["plugin", "sync"]).ok();
    bench.run(&["plugin", "doctor"]).ok();
    bench.run(&["plugin", "verify"]).ok();
    load(&bench).ok();
}

/// A bench whose registry has the native plugin `third-party`; gives the library's place in the package.
fn with_native() -> (Bench, String) {
    let bench = Bench::new();
    let shop = Shop::new(&bench, "main");
    let target = codex_plugin_api::abi::TARGET;
    let name = library("third-party");
    let built = fixtures("third-party").join(&name);
    let text =
        fs::read_to_string(crate::bench::root().join("tests/fixtures/third-party/plugin.toml"))
            .unwrap();
    let place = format!("artifacts/{target}/{name}");
    let package = shop.pack(
        "third-party",
        "0.3.1",
        &text,
        &place,
        fs::read(built).unwrap(),
    );
    shop.publish_package(&package, &shop.author);
    (bench, place)
}

const ALLOW: [&str; 5] = [
    "plugin",
    "install",
    "third-party",
    "--allow-native",
    "third-party",
];

#[test]
fn native_code_is_refused_until_it_is_allowed_by_name() {
    let (bench, _) = with_native();
    // Native code is not installed before it is allowed by name, with what that means.
    bench
        .run(&["plugin", "install", "third-party"])
        .fails(3, &["third-party 0.3.1 is native code", "full authority"])
        .tells(&["--allow-native third-party"]);
    assert!(!bench.data().join("store/third-party").exists());
    bench
        .run(&[
            "plugin",
            "install",
            "third-party",
            "--allow-native",
            "other",
        ])
        .code(3);
    bench.run(&ALLOW).ok();
    bench.run(&["greet", "Ada"]).ok().shows(&["Ada"]);
    bench.run(&["plugin", "doctor"]).ok();
    // Nothing is left of the copies that are opened.
    let loading = bench.work().parent().unwrap().join("cache/loading");
    assert_eq!(fs::read_dir(loading).unwrap().count(), 0);

    // What was allowed can be taken back.
    bench
        .run(&["plugin", "distrust", "third-party", "--native"])
        .ok();
    bench
        .run(&["greet", "Ada"])
        .fails(3, &["trust", "is not allowed for it", "full authority"]);
    bench
        .run(&["plugin", "trust", "third-party", "--native"])
        .ok()
        .tells(&["full authority"]);
    bench.run(&["greet", "Ada"]).ok();
}

#[test]
fn a_changed_byte_in_an_installed_native_library() {
    let (bench, place) = with_native();
    bench.run(&ALLOW).ok();
    let file = stored(&bench, "third-party").join(place);
    let bytes = fs::read(&file).unwrap();
    // The stamp and the tables stay as they are: only the code's data differs.
    let at = bytes
        .windows(5)
        .rposition(|part| part == b"hello")
        .unwrap_or(bytes.len() / 2);
    let mut changed = bytes.clone();
    changed[at] ^= 0x20;
    fs::write(&file, &changed).unwrap();
    bench.run(&["greet", "Ada"]).fails(
        3,
        &[
            "trust",
            "its file changed after third-party 0.3.1 was installed",
        ],
    );
    let doctor = bench.run(&["plugin", "doctor", "--json"]).code(3).json();
    assert_eq!(doctor[0]["step"], "trust", "{doctor}");
    fs::write(&file, &bytes).unwrap();
    bench.run(&["greet", "Ada"]).ok();
}

#[test]
fn a_plugin_from_a_path_is_what_it_was_when_it_was_installed() {
    let bench = Bench::new();
    let file = bench.write(
        "words.wasm",
        component(&manifest("words", "1.0.0", ""), "good", &[]),
    );
    bench
        .run(&["plugin", "install", file.to_str().unwrap()])
        .ok();
    load(&bench).ok();
    let installed = bench.data().join("plugins/words/words.wasm");
    patch(&installed, b"notegood", b"noteevil");
    is_refused(&bench, "its file changed after words 1.0.0 was installed");
    bench
        .run(&["plugin", "verify", "--json"])
        .code(3)
        .shows(&["its file changed after it was installed"]);
    // Whoever changed it on purpose says so by installing it again.
    bench
        .run(&["plugin", "install", file.to_str().unwrap()])
        .ok();
    load(&bench).ok();
    bench.run(&["plugin", "remove", "words"]).ok();
    bench.run(&["plugin", "verify"]).ok();
    // A file that was put there by hand is the user's own affair.
    fs::write(
        bench.data().join("plugins/words.wasm"),
        fs::read(&file).unwrap(),
    )
    .unwrap();
    load(&bench).ok();
}

#[test]
fn a_receipt_that_was_changed_or_taken_away() {
    let bench = Bench::new();
    let shop = Shop::with_words(&bench);
    let receipt = stored(&bench, "words").join("receipt.json");
    let whole = fs::read_to_string(&receipt).unwrap();
    fs::remove_file(&receipt).unwrap();
    is_refused(&bench, "receipt.json cannot be read");
    // A receipt for the changed file, signed by somebody else.
    let file = stored(&bench, "words").join("artifacts/wasm/words.wasm");
    patch(&file, b"notegood", b"noteevil");
    let thief = SecretKey::generate().unwrap();
    let mut entry = shop.package("words", "1.0.0", "").entry;
    for artifact in entry.artifacts.values_mut() {
        artifact.digest = codex_packages::entry::FileDigest::of_file(&file).unwrap();
    }
    let mut forged: serde_json::Value = serde_json::from_str(&whole).unwrap();
    forged["signed"] = serde_json::to_value(sign(&entry, &thief)).unwrap();
    forged["key"] = thief.public().text().into();
    fs::write(&receipt, forged.to_string()).unwrap();
    is_refused(&bench, "which is not pinned to words");
    forged["key"] = shop.author.public().text().into();
    fs::write(&receipt, forged.to_string()).unwrap();
    is_refused(&bench, "is not what its key signed");
}

#[test]
fn a_changed_lock() {
    let bench = Bench::new();
    let shop = Shop::with_words(&bench);
    let lock = bench.data().join("codex-plugins.lock");
    let whole = fs::read_to_string(&lock).unwrap();
    let digest = &shop.package("words", "1.0.0", "").entry.archive.sha256;
    let other = format!(
        "{}{}",
        if digest.starts_with('0') { '1' } else { '0' },
        &digest[1..]
    );
    // Another archive: the store has none of that digest, and nobody offers one.
    fs::write(&lock, whole.replace(digest.as_str(), &other)).unwrap();
    assert_eq!(in_use(&bench), None);
    bench
        .run(&["plugin", "doctor"])
        .code(3)
        .shows(&["plugin sync"]);
    assert_ne!(bench.run(&["plugin", "sync", "--locked"]).code, Some(0));
    // The end of the same digest: the folder is found, and not what the lock says.
    let tail = format!(
        "{}{}",
        &digest[..63],
        if digest.ends_with('0') { '1' } else { '0' }
    );
    fs::write(&lock, whole.replace(digest.as_str(), &tail)).unwrap();
    bench
        .run(&["plugin", "verify"])
        .code(3)
        .shows(&["the lock names another archive"]);
    let key = shop.author.public().id();
    let flip = |text: &str| text.replace('0', "1").replace('A', "0").replace('B', "A");
    fs::write(
        &lock,
        whole.replace(&key, &flip(&key.replace(['C', 'D', 'E', 'F'], "A"))),
    )
    .unwrap();
    bench
        .run(&["plugin", "verify"])
        .code(3)
        .shows(&["the lock names another key"]);
    fs::write(&lock, &whole).unwrap();
    bench.run(&["plugin", "verify"]).ok();
}

#[test]
fn changed_pins_and_a_changed_log() {
    let bench = Bench::new();
    let _shop = Shop::with_words(&bench);
    let (pins, log) = (
        bench.data().join("trust.json"),
        bench.data().join("trust.log"),
    );
    let (whole, lines) = (
        fs::read_to_string(&pins).unwrap(),
        fs::read_to_string(&log).unwrap(),
    );
    for text in [
        lines.replacen("pinned", "trusted", 1),
        lines.split_once('\n').unwrap().1.to_owned(),
        String::new(),
    ] {
        fs::write(&log, text).unwrap();
        bench
            .run(&["plugin", "verify"])
            .code(3)
            .shows(&["trust.log"]);
        // Nothing more is trusted on top of a record that was changed.
        bench
            .run(&["plugin", "trust", "words", "--native"])
            .fails(3, &["trust.log"]);
    }
    fs::write(&log, &lines).unwrap();
    bench.run(&["plugin", "verify"]).ok();

    let thief = SecretKey::generate().unwrap().public().text();
    let key = serde_json::from_str::<serde_json::Value>(&whole).unwrap()["plugins"]["words"]["key"]
        .clone();
    fs::write(&pins, whole.replace(key.as_str().unwrap(), &thief)).unwrap();
    is_refused(&bench, "which is not pinned to words");
    fs::write(&pins, "{").unwrap();
    is_refused(&bench, "trust.json is damaged");
    fs::remove_file(&pins).unwrap();
    is_refused(&bench, "nothing was ever pinned for words");
}

#[test]
fn native_code_that_a_copied_project_brings() {
    let bench = Bench::new();
    let name = library("third-party");
    let built = fixtures("third-party").join(&name);
    let place = format!(".codex-ml/plugins/{name}");
    bench.write(&place, fs::read(&built).unwrap());
    let waits = |bench: &Bench| {
        bench
            .run(&["greet", "Ada"])
            .fails(3, &["third-party 0.3.1 is native code", "full authority"])
            .tells(&["plugin install --project"]);
        let refused = bench.run(&["plugin", "doctor", "--json"]).code(3).json();
        assert_eq!(refused[0]["step"], "trust", "{refused}");
    };
    waits(&bench);
    // A name that is allowed for a registry's plugin allows nothing here.
    bench
        .run(&["plugin", "trust", "third-party", "--native"])
        .ok();
    waits(&bench);
    bench.run(&["plugin", "install", "--project", &place]).ok();
    bench.run(&["greet", "Ada"]).ok().shows(&["hello, Ada"]);
    // Another file under the same id is another matter.
    patch(&bench.work().join(&place), b"hello", b"jello");
    bench.run(&["greet", "Ada"]).fails(
        3,
        &["its file changed after third-party 0.3.1 was installed"],
    );
    // Nobody else has agreed to anything.
    let colleague = Bench::new();
    colleague.write(&place, fs::read(&built).unwrap());
    waits(&colleague);
}
