//! What whoever keeps a registry does to it, as its users then see it.

use super::*;

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
