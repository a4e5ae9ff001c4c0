//! A registry on a web server: little is asked twice, nothing that is broken or too much is taken, and what was fetched
//! is there offline.

use std::fs;

use super::server::{Mood, Server};
use super::{publish, with_registry};
use crate::bench::{Bench, Ran};

/// A registry that is served, and connected as `web`.
fn served() -> (Bench, Server) {
    let bench = with_registry();
    let server = Server::of(bench.work().join("registry"));
    bench.run(&["registry", "connect", "web", &server.url]).ok();
    server.seen();
    (bench, server)
}

fn verify(bench: &Bench) -> Ran {
    bench.run(&["registry", "verify", "web"])
}

const ARCHIVE: &str = "words-0.1.0.tar.zst";

#[test]
fn what_has_not_changed_is_not_fetched_again() {
    let (bench, server) = served();
    verify(&bench).ok();
    assert_eq!(
        server.seen(),
        [
            "snapshot.json 304",
            "index/words.ndjson 200",
            &format!("archives/words/{ARCHIVE} 200")
        ]
    );
    verify(&bench).ok();
    assert_eq!(server.seen(), ["snapshot.json 304"]);
    publish(&bench, "0.2.0").ok();
    verify(&bench).ok();
    assert_eq!(
        server.seen(),
        [
            "snapshot.json 200",
            "snapshot.json.minisig 200",
            "index/words.ndjson 200",
            "archives/words/words-0.2.0.tar.zst 200"
        ]
    );
}

#[test]
fn versions_with_build_metadata_are_found() {
    let (bench, server) = served();
    publish(&bench, "0.2.0+linux").ok();
    verify(&bench).ok();
    assert!(
        server
            .seen()
            .contains(&"archives/words/words-0.2.0%2Blinux.tar.zst 200".to_owned())
    );
}

#[test]
fn whatever_the_server_does_nothing_broken_is_kept() {
    let (bench, server) = served();
    for (end, mood, words) in [
        // The index first: once it is in the cache, nobody asks for it.
        ("words.ndjson", Mood::CutOff, "was cut off on the way"),
        ("words.ndjson", Mood::Huge, "has 10000000000 bytes or more"),
        (
            "words.ndjson",
            Mood::Endless,
            "bytes or more, and 67108864 are expected at most",
        ),
        (
            "words.ndjson",
            Mood::TooLong,
            "is not the file that the registry's snapshot names",
        ),
        (ARCHIVE, Mood::CutOff, "was cut off on the way"),
        (ARCHIVE, Mood::TooLong, "are expected at most"),
        (ARCHIVE, Mood::Huge, "has 10000000000 bytes or more"),
        (ARCHIVE, Mood::Endless, "are expected at most"),
        (ARCHIVE, Mood::Busy, "the server answered 503"),
        (ARCHIVE, Mood::Silent, "cannot reach"),
    ] {
        server.set(end, mood);
        verify(&bench).code(4).shows(&["words", words]);
    }
    for (end, mood, words) in [
        ("snapshot.json", Mood::Busy, "the server answered 503"),
        ("snapshot.json", Mood::Silent, "cannot reach"),
        ("snapshot.json", Mood::Huge, "has 10000000000 bytes or more"),
        ("snapshot.json", Mood::CutOff, "was cut off on the way"),
    ] {
        server.set(end, mood);
        verify(&bench)
            .code(if mood == Mood::Huge { 4 } else { 1 })
            .tells(&["registry web: ", words]);
    }
    let cache = bench
        .data()
        .parent()
        .unwrap()
        .join("cache/registries/archives");
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    server.recover();
    verify(&bench).ok();
}

#[test]
fn an_interrupted_archive_is_fetched_again() {
    let (bench, server) = served();
    server.set(ARCHIVE, Mood::CutOff);
    verify(&bench).code(4);
    server.recover();
    server.seen();
    verify(&bench).ok();
    assert_eq!(
        server.seen().last().unwrap(),
        &format!("archives/words/{ARCHIVE} 200")
    );
}

#[test]
fn a_busy_server_is_asked_three_times() {
    let (bench, server) = served();
    server.set("snapshot.json", Mood::Busy);
    verify(&bench).fails(1, &["the server answered 503"]);
    assert_eq!(server.seen(), ["snapshot.json 503"; 3]);
}

#[test]
fn an_old_or_changed_registry_is_refused_over_the_network_too() {
    let (bench, _server) = served();
    let snapshot = |name: &str| fs::read(bench.work().join("registry").join(name)).unwrap();
    let old = ["snapshot.json", "snapshot.json.minisig"].map(|name| (name, snapshot(name)));
    publish(&bench, "0.2.0").ok();
    verify(&bench).ok();
    for (name, bytes) in &old {
        fs::write(bench.work().join("registry").join(name), bytes).unwrap();
    }
    verify(&bench).fails(
        3,
        &["registry web: its snapshot 2 is older than snapshot 3"],
    );
    bench.run(&["registry", "renew", "./registry"]).ok();
    // Renewed from the older number: still older than what was seen, until it has grown beyond.
    verify(&bench).ok();
    fs::write(
        bench.work().join("registry/yanked.json"),
        "{\"yanked\":[]}\n\n",
    )
    .unwrap();
    verify(&bench).ok();
    let mut text = snapshot("snapshot.json");
    let at = text.iter().position(|byte| *byte == b'3').unwrap();
    text[at] = b'9';
    fs::write(bench.work().join("registry/snapshot.json"), text).unwrap();
    verify(&bench).fails(
        3,
        &[
            "snapshot.json: the signature by key",
            "does not belong to these bytes",
        ],
    );
}

#[test]
fn an_install_works_offline_from_what_was_fetched() {
    let (bench, server) = served();
    let install =
        |options: &[&str]| bench.run(&[&["plugin", "install", "words"], options].concat());
    install(&["--offline"])
        .code(1)
        .tells(&["is not in the cache"]);
    assert!(server.seen().is_empty());
    install(&[]).ok();
    bench.run(&["plugin", "remove", "words"]).ok();
    fs::remove_dir_all(bench.data().join("store")).unwrap();
    server.seen();
    install(&["--offline"]).ok();
    assert!(server.seen().is_empty());
    bench
        .run(&["plugin", "info", "words"])
        .ok()
        .shows(&["words 0.1.0", &server.url]);
}

#[test]
fn sync_works_offline_from_what_was_fetched() {
    let (bench, server) = served();
    bench.run(&["plugin", "install", "words"]).ok();
    server.seen();
    let sync = ["plugin", "sync", "--user", "--locked", "--offline"];
    bench.run(&sync).ok().tells(&["nothing changes"]);
    // The store is gone, the cache is not.
    fs::remove_dir_all(bench.data().join("store")).unwrap();
    bench.run(&sync).ok().tells(&["installing words 0.1.0"]);
    bench.run(&["plugin", "info", "words"]).ok();
    // On another machine there is the lock and nothing else.
    fs::remove_dir_all(bench.data().join("store")).unwrap();
    fs::remove_dir_all(bench.data().with_file_name("cache")).unwrap();
    bench
        .run(&sync)
        .code(1)
        .tells(&["nothing of it is in the cache", "--offline"]);
    assert!(
        server.seen().is_empty(),
        "offline means that nobody is asked"
    );
    bench.run(&["plugin", "sync", "--user", "--locked"]).ok();
    assert!(server.seen().iter().any(|seen| seen.contains(ARCHIVE)));
}

#[test]
fn nothing_is_fetched_but_by_commands_that_say_so() {
    let (bench, server) = served();
    bench.run(&["plugin", "install", "words"]).ok();
    publish(&bench, "0.2.0").ok();
    server.seen();
    for arguments in [
        &["--help"][..],
        &["env"],
        &["config", "schema"],
        &["plugin", "list"],
        &["plugin", "info", "words"],
        &["plugin", "tree", "--user"],
        &["plugin", "why", "words", "--user"],
        &["plugin", "doctor"],
        &["plugin", "verify"],
        &["plugin", "trust"],
        &["plugin", "policy", "show"],
        &["plugin", "rollback", "--list", "--user"],
        &["plugin", "grant", "words"],
        &["plugin", "test", "words"],
        &["plugin", "clean"],
        &["registry", "list"],
        &["completions", "bash"],
        &["__complete", "bash", "2", "codex-ml", "plugin", "i"],
        &["plugin", "remove", "words"],
    ] {
        bench.run(arguments);
        assert_eq!(server.seen(), Vec::<String>::new(), "{arguments:?}");
    }
    bench.run(&["plugin", "install", "words"]).ok();
    assert!(!server.seen().is_empty());
}
