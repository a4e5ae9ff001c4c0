use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::archive::{Content, Member, pack};
use crate::entry::SignedEntry;
use crate::keys::SecretKey;
use crate::registry::Registry;
use crate::snapshot::{self, timestamp};
use crate::transport::{Answer, Folder, Request};

/// A registry with its keys, and a user's folders.
struct Bench {
    folder: tempfile::TempDir,
    root: SecretKey,
    author: SecretKey,
}

fn bench() -> Bench {
    let bench = Bench {
        folder: tempfile::tempdir().unwrap(),
        root: SecretKey::generate().unwrap(),
        author: SecretKey::generate().unwrap(),
    };
    Registry::init(&bench.registry(), "acme", &bench.root, soon()).unwrap();
    bench.publish("shout", "1.0.0", &bench.author).unwrap();
    bench
}

fn soon() -> SystemTime {
    SystemTime::now() + Duration::from_hours(1)
}

impl Bench {
    fn registry(&self) -> PathBuf {
        self.folder.path().join("registry")
    }

    fn package(&self, name: &str, version: &str) -> PathBuf {
        let manifest = format!(
            "[plugin]\nid = \"{name}\"\nversion = \"{version}\"\napi = \"1\"\ndescription = \"d\"\n[[component]]\nkind = \"metric\"\nname = \"{name}\"\n"
        );
        let members = [
            Member {
                path: "plugin.toml".into(),
                content: Content::Bytes(manifest.into()),
            },
            Member {
                path: format!("artifacts/wasm/{name}.wasm"),
                content: Content::Bytes(version.into()),
            },
        ];
        let path = self.folder.path().join(format!("{name}-{version}.tar.zst"));
        pack(&members, &path).unwrap();
        path
    }

    fn publish(&self, name: &str, version: &str, author: &SecretKey) -> Result<()> {
        let package = self.package(name, version);
        let entry = archive::inspect(&package, None, &archive::Limits::default())?.entry();
        let text = serde_json::to_string(&entry).unwrap();
        let signature = author.sign(text.as_bytes(), "")?;
        let registry = Registry::open(&self.registry())?;
        registry.add(
            &package,
            &SignedEntry {
                entry: text,
                signature,
            },
            author.public(),
        )?;
        registry.renew(&self.root, soon()).map(drop)
    }

    fn options(&self) -> Options {
        Options {
            cache: self.folder.path().join("cache"),
            data: self.folder.path().join("data"),
            offline: false,
            now: SystemTime::now(),
        }
    }

    fn connection(&self) -> Connection {
        Connection::new(
            "work",
            self.registry().to_str().unwrap(),
            None,
            Path::new("/"),
        )
        .unwrap()
    }

    fn client(&self) -> Client {
        Client::new(self.connection(), self.options())
    }

    /// A client that fetches as over the network, and counts.
    fn web(&self, offline: bool) -> (Client, Arc<Served>) {
        let served = Arc::new(Served {
            folder: Folder::new(self.registry()),
            asked: Mutex::default(),
            unchanged: AtomicUsize::new(0),
        });
        let connection =
            Connection::new("work", "https://plugins.example.org", None, Path::new("/")).unwrap();
        let options = Options {
            offline,
            ..self.options()
        };
        (
            Client::with_transport(connection, options, Box::new(Web(Arc::clone(&served)))),
            served,
        )
    }

    fn edit(&self, path: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let place = self.registry().join(path);
        let bytes = std::fs::read(&place).unwrap();
        std::fs::write(place, change(bytes)).unwrap();
    }
}

/// A folder that behaves as a web server does.
#[derive(Debug)]
struct Served {
    folder: Folder,
    asked: Mutex<Vec<String>>,
    unchanged: AtomicUsize,
}

#[derive(Debug)]
struct Web(Arc<Served>);

impl Transport for Web {
    fn get(&self, request: Request<'_>, into: &mut dyn std::io::Write) -> Result<Answer> {
        self.0.asked.lock().unwrap().push(request.path.to_owned());
        let mut bytes = Vec::new();
        if self.0.folder.get(
            Request {
                etag: None,
                ..request
            },
            &mut bytes,
        )? == Answer::Missing
        {
            return Ok(Answer::Missing);
        }
        let etag = crate::digest::sha256(&bytes);
        if request.etag == Some(&etag) {
            self.0.unchanged.fetch_add(1, Ordering::Relaxed);
            return Ok(Answer::NotModified);
        }
        into.write_all(&bytes).unwrap();
        Ok(Answer::Body { etag: Some(etag) })
    }
}

fn message<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error.message().to_owned(),
    }
}

fn check<T>(result: Result<T>, words: &str) {
    let message = message(result);
    assert!(message.contains(words), "{message} lacks {words}");
}

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
fn a_mirror_is_believed_like_its_original() {
    let bench = bench();
    bench.publish("whisper", "0.1.0", &bench.author).unwrap();
    let to = bench.folder.path().join("mirror");
    let mirrored = registry::mirror(&bench.client(), &to, &[]).unwrap();
    assert_eq!(
        (mirrored.plugins, mirrored.copied, mirrored.kept),
        (2, 2, 0)
    );
    assert_eq!(registry::mirror(&bench.client(), &to, &[]).unwrap().kept, 2);
    let connection = Connection::new("copy", to.to_str().unwrap(), None, Path::new("/")).unwrap();
    let client = Client::new(connection, bench.options());
    let report = registry::verify(&client).unwrap();
    assert_eq!((report.versions, report.findings), (2, Vec::new()));
    assert_eq!(client.snapshot().unwrap().root, *bench.root.public());
    check(
        registry::mirror(&bench.client(), &to, &["none".into()]),
        "has no plugin none",
    );
    let part = bench.folder.path().join("part");
    assert_eq!(
        registry::mirror(&bench.client(), &part, &["shout".into()])
            .unwrap()
            .copied,
        1
    );
    assert!(!part.join("archives/whisper").exists());
}

#[test]
fn verify_finds_what_is_wrong_and_goes_on() {
    let bench = bench();
    bench.publish("whisper", "0.1.0", &bench.author).unwrap();
    bench.edit("archives/shout/shout-1.0.0.tar.zst", |mut bytes| {
        bytes[20] ^= 1;
        bytes
    });
    let report = registry::verify(&bench.client()).unwrap();
    assert_eq!(
        (report.plugins, report.versions, report.findings.len()),
        (2, 2, 1)
    );
    assert_eq!(report.findings[0].what, "shout 1.0.0");
    assert_eq!(
        report.keys.into_iter().collect::<Vec<_>>(),
        [bench.author.public().id()]
    );
}

#[test]
fn yanked_and_revoked_versions_say_so() {
    let bench = bench();
    bench.publish("shout", "1.1.0", &bench.author).unwrap();
    let one = Version::new(1, 0, 0);
    let registry = Registry::open(&bench.registry()).unwrap();
    registry
        .yank("shout", &one, "broken", SystemTime::now())
        .unwrap();
    registry
        .revoke_version("shout", &Version::new(1, 1, 0), "steals", SystemTime::now())
        .unwrap();
    registry.renew(&bench.root, soon()).unwrap();
    drop(registry);
    let versions = bench.client().versions("shout").unwrap();
    assert_eq!(versions[0].yanked.as_deref(), Some("broken"));
    assert_eq!(
        versions[1].revoked.as_deref(),
        Some("the archive was revoked: steals")
    );
    let registry = Registry::open(&bench.registry()).unwrap();
    assert!(registry.unyank("shout", &one).unwrap());
    assert!(!registry.unyank("shout", &one).unwrap());
    registry
        .revoke_key(&bench.author.public().id(), "stolen", SystemTime::now())
        .unwrap();
    registry.renew(&bench.root, soon()).unwrap();
    drop(registry);
    let client = bench.client();
    assert_eq!(
        client.versions("shout").unwrap()[0].revoked,
        Some(format!(
            "key {} was revoked: stolen",
            bench.author.public().id()
        ))
    );
    assert_eq!(
        client.revocations().unwrap().keys[&bench.author.public().id()],
        "stolen"
    );
    assert!(client.yanked().unwrap().is_empty());
    check(
        bench.publish("shout", "1.2.0", &bench.author),
        "shout 1.2.0 cannot be added: key",
    );
}

#[test]
fn a_name_belongs_to_its_first_author() {
    let bench = bench();
    let thief = SecretKey::generate().unwrap();
    check(bench.publish("shout", "9.0.0", &thief), "belongs to key");
    let package = bench.package("shout", "1.0.0");
    std::fs::remove_file(&package).unwrap();
    bench.publish("shout", "1.0.0", &bench.author).unwrap();
    assert_eq!(bench.client().versions("shout").unwrap().len(), 1);
}

#[test]
fn what_does_not_fit_is_not_added() {
    let bench = bench();
    let (one, two) = (
        bench.package("shout", "2.0.0"),
        bench.package("other", "2.0.0"),
    );
    let entry = |path: &Path| {
        archive::inspect(path, None, &archive::Limits::default())
            .unwrap()
            .entry()
    };
    let sign = |text: &str| SignedEntry {
        entry: text.to_owned(),
        signature: bench.author.sign(text.as_bytes(), "").unwrap(),
    };
    let registry = Registry::open(&bench.registry()).unwrap();
    let good = serde_json::to_string(&entry(&one)).unwrap();
    let add =
        |package: &Path, signed: &SignedEntry| registry.add(package, signed, bench.author.public());
    check(
        add(&two, &sign(&good)),
        "is not the archive that was signed",
    );
    let renamed = good.replace("\"shout\"", "\"louder\"");
    check(
        add(&one, &sign(&renamed)),
        "the signed entry is not that of package",
    );
    let mut changed = sign(&good);
    changed.entry = good.replace("\"d\"", "\"e\"");
    check(add(&one, &changed), "does not belong to these bytes");
    let fewer = good.replace(
        ",\"components\":[[\"metric\",\"shout\"]]",
        ",\"components\":[]",
    );
    assert_ne!(fewer, good);
    check(
        add(&one, &sign(&fewer)),
        "the signed entry is not that of package",
    );
    assert!(!add(&one, &sign(&good)).unwrap().again);
    assert!(add(&one, &sign(&good)).unwrap().again);
    // Signed anew, it is still the same version: nothing is added.
    assert_eq!(registry.index("shout").unwrap().entries.len(), 2);
}

#[test]
fn only_the_root_key_renews() {
    let bench = bench();
    let registry = Registry::open(&bench.registry()).unwrap();
    check(
        registry.renew(&bench.author, soon()),
        "is not the root key of registry acme",
    );
    check(
        registry.revoke_key(&bench.root.public().id(), "x", SystemTime::now()),
        "cannot revoke itself",
    );
    check(
        registry.revoke_key("abc", "x", SystemTime::now()),
        "\"ABC\" is not a key id",
    );
    check(
        registry.yank("shuot", &Version::new(1, 0, 0), "x", SystemTime::now()),
        "has no plugin shuot",
    );
    check(
        registry.yank("shout", &Version::new(3, 0, 0), "x", SystemTime::now()),
        "has no shout 3.0.0",
    );
    check(
        Registry::init(&bench.registry(), "acme", &bench.root, soon()),
        "there is a registry in",
    );
    check(
        Registry::open(bench.folder.path()),
        "there is no registry in",
    );
}

#[test]
fn a_change_that_was_cut_off_is_finished_by_renewing() {
    let bench = bench();
    let package = bench.package("shout", "1.1.0");
    let entry = archive::inspect(&package, None, &archive::Limits::default())
        .unwrap()
        .entry();
    let text = serde_json::to_string(&entry).unwrap();
    let signature = bench.author.sign(text.as_bytes(), "").unwrap();
    let registry = Registry::open(&bench.registry()).unwrap();
    registry
        .add(
            &package,
            &SignedEntry {
                entry: text,
                signature,
            },
            bench.author.public(),
        )
        .unwrap();
    // Here the process ended: nothing was signed.
    check(
        bench.client().versions("shout"),
        "index/shout.ndjson is not the file that the registry's snapshot names",
    );
    // Here it ended later: the signature is new, the snapshot is not.
    let old = std::fs::read(bench.registry().join(snapshot::FILE)).unwrap();
    registry.renew(&bench.root, soon()).unwrap();
    std::fs::write(bench.registry().join(snapshot::FILE), old).unwrap();
    check(
        bench.client().versions("shout"),
        "snapshot.json: the signature by key",
    );
    registry.renew(&bench.root, soon()).unwrap();
    assert_eq!(bench.client().versions("shout").unwrap().len(), 2);
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
