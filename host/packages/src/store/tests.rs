#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::durable::faults::{Fault, with_fault};

/// What a small archive unpacks to.
fn fill(content: &'static str) -> impl Fn(&Path) -> Result<()> {
    move |folder: &Path| {
        let files = [
            ("plugin.toml", "manifest"),
            ("artifacts/wasm/shout.wasm", content),
        ];
        let listed: Vec<String> = files
            .iter()
            .map(|(path, text)| {
                let digest = FileDigest::of(text.as_bytes());
                format!(
                    r#"{{"path": "{path}", "size": {}, "sha256": "{}"}}"#,
                    digest.size, digest.sha256
                )
            })
            .collect();
        for (path, text) in files {
            let path = folder.join(path);
            durable::write_file(&path, text.as_bytes())?;
        }
        let list = format!(r#"{{"format": 1, "files": [{}]}}"#, listed.join(", "));
        durable::write_file(&folder.join(LIST), list.as_bytes())?;
        durable::write_file(&folder.join(RECEIPT), b"{}")
    }
}

fn store() -> (tempfile::TempDir, Store, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let store = Store::new(root.path());
    let folder = store.folder("shout", &Version::new(1, 0, 0), &"ab".repeat(32));
    (root, store, folder)
}

#[test]
fn a_version_is_placed_checked_replaced_and_removed() {
    let (_root, store, folder) = store();
    assert!(folder.ends_with("store/shout/1.0.0-abababababababab"));
    assert!(store.versions().unwrap().is_empty());
    let turn = store.turn(|| panic!("nobody has it")).unwrap();
    store.place(&folder, fill("one")).unwrap();
    assert!(damages(&folder).unwrap().is_empty());
    store.place(&folder, fill("two")).unwrap();
    assert_eq!(
        fs::read(folder.join("artifacts/wasm/shout.wasm")).unwrap(),
        b"two"
    );
    assert_eq!(
        store.versions().unwrap(),
        [("shout".to_owned(), folder.clone())]
    );
    assert!(store.remove(&folder).unwrap() > 10);
    assert!(store.versions().unwrap().is_empty());
    drop(turn);
    let left: Vec<_> = fs::read_dir(store.root())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, [".lock"]);
}

#[test]
fn every_damage_is_named() {
    let (_root, store, folder) = store();
    let library = folder.join("artifacts/wasm/shout.wasm");
    let damage = |what: &dyn Fn()| {
        store.place(&folder, fill("one")).unwrap();
        what();
        damages(&folder).unwrap().join("; ")
    };
    let said = [
        damage(&|| fs::write(&library, "two").unwrap()),
        damage(&|| fs::write(&library, "three").unwrap()),
        damage(&|| fs::remove_file(&library).unwrap()),
        damage(&|| fs::write(folder.join("artifacts/more.so"), "x").unwrap()),
        damage(&|| {
            fs::remove_file(&library).unwrap();
            fs::create_dir(&library).unwrap();
        }),
    ];
    let path = "artifacts/wasm/shout.wasm";
    assert_eq!(
        said,
        [
            format!("{path} was changed"),
            format!("{path} has 5 bytes, not 3"),
            format!("{path} is missing"),
            "artifacts/more.so does not belong to it".to_owned(),
            format!("{path} cannot be read: it is no file"),
        ]
    );
    fs::write(folder.join(LIST), "{").unwrap();
    assert!(
        damages(&folder)
            .unwrap_err()
            .message()
            .contains("package.json")
    );
}

/// What a reader sees: nothing, or one whole version.
fn seen(store: &Store, folder: &Path) -> Option<String> {
    let versions = store.versions().unwrap();
    if versions.is_empty() {
        return None;
    }
    assert_eq!(versions, [("shout".to_owned(), folder.to_owned())]);
    assert_eq!(damages(folder).unwrap(), [] as [String; 0]);
    Some(fs::read_to_string(folder.join("artifacts/wasm/shout.wasm")).unwrap())
}

#[test]
fn whatever_fails_and_wherever_it_dies_readers_see_whole_versions_or_none() {
    for fault in [Fault::Fails, Fault::Dies] {
        let mut moments = 0;
        for at in 0.. {
            let (_root, store, folder) = store();
            let (outcome, reached) = with_fault(at, fault, || store.place(&folder, fill("one")));
            let now = seen(&store, &folder);
            if !reached {
                outcome.unwrap();
                assert_eq!(now.as_deref(), Some("one"));
                break;
            }
            moments += 1;
            outcome.unwrap_err();
            // The next one tidies up and succeeds.
            drop(store.turn(|| panic!("the lock died too")).unwrap());
            store.place(&folder, fill("one")).unwrap();
            assert_eq!(seen(&store, &folder).as_deref(), Some("one"));
            assert_eq!(fs::read_dir(store.root()).unwrap().count(), 2, "leftovers");
        }
        assert!(moments > 20, "{moments}");
    }
}
