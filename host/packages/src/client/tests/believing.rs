//! What a client believes: nothing that is old, changed, or signed by another key.

use super::*;

#[test]
fn offline_an_expired_snapshot_is_believed_and_said_to_be() {
    let bench = bench();
    bench.web(false).0.snapshot().unwrap();
    let late = |offline| {
        let (mut client, _) = bench.web(offline);
        client.options.now = SystemTime::now() + Duration::from_hours(2);
        client
    };
    check(late(false).snapshot(), "its snapshot expired at");
    assert!(late(true).snapshot().unwrap().expired);
}

#[test]
fn an_expired_snapshot_is_refused() {
    let bench = bench();
    let past = SystemTime::now() - Duration::from_mins(1);
    Registry::open(&bench.registry())
        .unwrap()
        .renew(&bench.root, past)
        .unwrap();
    check(
        bench.client().snapshot(),
        &format!("registry work: its snapshot expired at {}", timestamp(past)),
    );
}

#[test]
fn an_old_snapshot_is_refused_once_a_newer_one_was_seen() {
    let bench = bench();
    let old = bench.folder.path().join("old");
    let copy = std::process::Command::new("cp")
        .arg("-r")
        .args([bench.registry(), old.clone()])
        .status()
        .unwrap();
    assert!(copy.success());
    bench.publish("shout", "1.1.0", &bench.author).unwrap();
    bench.client().snapshot().unwrap();
    std::fs::remove_dir_all(bench.registry()).unwrap();
    std::fs::rename(old, bench.registry()).unwrap();
    check(
        bench.client().snapshot(),
        "registry work: its snapshot 2 is older than snapshot 3, which was seen before",
    );
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    let flip = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    for (path, words) in [
        (
            "snapshot.json",
            "registry work: snapshot.json: the signature by key",
        ),
        ("snapshot.json.minisig", "registry work: snapshot.json"),
        (
            "yanked.json",
            "yanked.json is not the file that the registry's snapshot names",
        ),
        ("revoked.json", "revoked.json is not the file"),
        ("index/shout.ndjson", "index/shout.ndjson is not the file"),
        (
            "archives/shout/shout-1.0.0.tar.zst",
            "is not the archive that was signed",
        ),
    ] {
        let bench = bench();
        // The key is known: what else can be changed is the question.
        let before = bench.client().versions("shout").unwrap().remove(0).entry;
        bench.edit(path, flip);
        let client = bench.client();
        let result = client
            .versions("shout")
            .and_then(|_| client.fetch("shout", &before.version, &before.archive));
        check(result, words);
    }
}

#[test]
fn another_root_key_is_refused_until_it_is_named() {
    let bench = bench();
    bench.client().snapshot().unwrap();
    std::fs::remove_dir_all(bench.registry()).unwrap();
    let other = SecretKey::generate().unwrap();
    Registry::init(&bench.registry(), "acme", &other, soon()).unwrap();
    check(bench.client().snapshot(), "the signature was made with key");
    let with_key = || Connection {
        key: Some(other.public().text()),
        ..bench.connection()
    };
    check(
        Client::new(with_key(), bench.options()).snapshot(),
        "its root key is pinned as",
    );
    assert!(Known::forget(&bench.options().data, &bench.connection().address).unwrap());
    let client = Client::new(with_key(), bench.options());
    assert_eq!(client.snapshot().unwrap().root, *other.public());
}

#[test]
fn a_key_that_was_named_must_be_the_one() {
    let bench = bench();
    let other = SecretKey::generate().unwrap().public().text();
    let connection = Connection {
        key: Some(other),
        ..bench.connection()
    };
    check(
        Client::new(connection, bench.options()).snapshot(),
        "the signature was made with key",
    );
}

#[test]
fn a_snapshot_of_another_registry_of_the_same_owner_is_refused() {
    let bench = bench();
    bench.client().snapshot().unwrap();
    std::fs::remove_dir_all(bench.registry()).unwrap();
    let other = Registry::init(&bench.registry(), "other", &bench.root, soon()).unwrap();
    for _ in 0..5 {
        other.renew(&bench.root, soon()).unwrap();
    }
    drop(other);
    check(
        bench.client().snapshot(),
        "the snapshot is of registry \"other\", and this one calls itself \"acme\"",
    );
}

#[test]
fn a_huge_index_is_not_read() {
    let bench = bench();
    let path = bench.registry().join("index/shout.ndjson");
    let line = vec![b'x'; 100_000_000];
    std::fs::write(&path, line).unwrap();
    let registry = Registry::open(&bench.registry()).unwrap();
    check(registry.index("shout"), "has more than 67108864 bytes");
    registry.renew(&bench.root, soon()).unwrap();
    check(
        bench.client().versions("shout"),
        "index/shout.ndjson has 100000000 bytes, and 67108864 are allowed",
    );
}
