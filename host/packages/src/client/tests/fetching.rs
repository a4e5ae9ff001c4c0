//! What is fetched, what is not fetched again, and what is there without a connection.

use super::*;

#[test]
fn what_was_published_is_found_and_fetched() {
    let bench = bench();
    let client = bench.client();
    assert_eq!(client.names().unwrap(), ["shout"]);
    let versions = client.versions("shout").unwrap();
    let entry = &versions[0];
    entry.verify().unwrap();
    assert_eq!(
        (entry.key.clone(), entry.yanked.clone()),
        (bench.author.public().text(), None)
    );
    let path = client
        .fetch("shout", &entry.entry.version, &entry.entry.archive)
        .unwrap();
    assert_eq!(FileDigest::of_file(&path).unwrap(), entry.entry.archive);
    assert!(client.versions("whisper").unwrap().is_empty());
    let published = client.package("shout").unwrap().unwrap().published;
    assert_eq!(
        (published.keys, published.root),
        (
            vec![bench.author.public().text()],
            bench.root.public().text()
        )
    );
    assert!(client.snapshot().unwrap().first_use);
    assert!(!bench.client().snapshot().unwrap().first_use);
}

#[test]
fn what_is_unchanged_is_not_fetched_again() {
    let bench = bench();
    let (first, served) = bench.web(false);
    first.versions("shout").unwrap();
    let asked = served.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [
            "registry.json",
            "snapshot.json",
            "snapshot.json.minisig",
            "revoked.json",
            "yanked.json",
            "registry.json",
            "index/shout.ndjson"
        ]
    );
    let (second, served) = bench.web(false);
    second.versions("shout").unwrap();
    assert_eq!(*served.asked.lock().unwrap(), ["snapshot.json"]);
    assert_eq!(served.unchanged.load(Ordering::Relaxed), 1);
    bench.publish("shout", "1.1.0", &bench.author).unwrap();
    let (third, served) = bench.web(false);
    assert_eq!(third.versions("shout").unwrap().len(), 2);
    assert_eq!(
        *served.asked.lock().unwrap(),
        [
            "snapshot.json",
            "snapshot.json.minisig",
            "index/shout.ndjson"
        ]
    );
}

#[test]
fn offline_is_what_was_fetched_before() {
    let bench = bench();
    check(
        bench.web(true).0.snapshot(),
        "registry work: nothing of it is in the cache",
    );
    let (online, _) = bench.web(false);
    let entry = online.versions("shout").unwrap().remove(0).entry;
    let (offline, served) = bench.web(true);
    assert_eq!(offline.versions("shout").unwrap().len(), 1);
    check(
        offline.fetch("shout", &entry.version, &entry.archive),
        "the archive of shout 1.0.0 is not in the cache",
    );
    online
        .fetch("shout", &entry.version, &entry.archive)
        .unwrap();
    offline
        .fetch("shout", &entry.version, &entry.archive)
        .unwrap();
    assert!(served.asked.lock().unwrap().is_empty());
}

#[test]
fn another_size_is_no_archive() {
    let bench = bench();
    let entry = bench.client().versions("shout").unwrap().remove(0).entry;
    bench.edit("archives/shout/shout-1.0.0.tar.zst", |bytes| {
        [bytes.as_slice(), b"more"].concat()
    });
    check(
        bench
            .client()
            .fetch("shout", &entry.version, &entry.archive),
        "are expected at most",
    );
    bench.edit("archives/shout/shout-1.0.0.tar.zst", |bytes| {
        bytes[..10].to_vec()
    });
    check(
        bench
            .client()
            .fetch("shout", &entry.version, &entry.archive),
        "found 10 with",
    );
    std::fs::remove_file(bench.registry().join("archives/shout/shout-1.0.0.tar.zst")).unwrap();
    check(
        bench
            .client()
            .fetch("shout", &entry.version, &entry.archive),
        "is missing",
    );
    let huge = FileDigest {
        size: 10_000_000_000,
        ..entry.archive
    };
    check(
        bench.client().fetch("shout", &entry.version, &huge),
        "declares an archive of 10000000000 bytes",
    );
    let cache = bench.folder.path().join("cache/registries/archives");
    assert_eq!(cache.read_dir().unwrap().count(), 0);
}

#[test]
fn a_damaged_cache_is_fetched_anew() {
    let bench = bench();
    let (client, _) = bench.web(false);
    let entry = client.versions("shout").unwrap().remove(0).entry;
    let path = client
        .fetch("shout", &entry.version, &entry.archive)
        .unwrap();
    for file in walk(&bench.folder.path().join("cache")) {
        let size = std::fs::metadata(&file).unwrap().len() as usize;
        if !file.ends_with("snapshot.json.etag") {
            std::fs::write(&file, vec![b'x'; size]).unwrap();
        }
    }
    let (client, _) = bench.web(false);
    assert_eq!(client.versions("shout").unwrap().len(), 1);
    assert_eq!(
        client
            .fetch("shout", &entry.version, &entry.archive)
            .unwrap(),
        path
    );
    assert_eq!(FileDigest::of_file(&path).unwrap(), entry.archive);
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn from_a_folder_of_this_disk_an_archive_is_unpacked_where_it_lies() {
    let bench = bench();
    let into = |name: &str| {
        let folder = bench.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    let client = bench.client();
    let entry = client.versions("shout").unwrap().remove(0).entry;
    let folder = into("first");
    client
        .unpack("shout", &entry.version, &entry.archive, &folder)
        .unwrap();
    assert!(folder.join("artifacts/wasm/shout.wasm").is_file());
    let cache = bench.folder.path().join("cache/registries/archives");
    assert!(!cache.exists(), "nothing was copied");
    // Over the network it is kept.
    let (web, _) = bench.web(false);
    web.unpack("shout", &entry.version, &entry.archive, &into("second"))
        .unwrap();
    assert_eq!(cache.read_dir().unwrap().count(), 1);
    std::fs::remove_dir_all(&cache).unwrap();
    // What lies there is checked as it is read, and named where it lies.
    bench.edit("archives/shout/shout-1.0.0.tar.zst", |mut bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        bytes
    });
    let error = bench
        .client()
        .unpack("shout", &entry.version, &entry.archive, &into("third"))
        .unwrap_err();
    for words in [
        "registry work",
        "registry/archives/shout",
        "is not the archive that was signed",
    ] {
        assert!(error.message().contains(words), "{error} lacks {words}");
    }
    std::fs::remove_file(bench.registry().join("archives/shout/shout-1.0.0.tar.zst")).unwrap();
    check(
        bench
            .client()
            .unpack("shout", &entry.version, &entry.archive, &into("fourth")),
        "is missing",
    );
}
