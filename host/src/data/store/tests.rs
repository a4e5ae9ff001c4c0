//! The token store: content, reuse, and everything that can be wrong with a file that is there.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::ErrorKind;

use super::*;
use crate::data::Documents;
use crate::testing::{ByteTokenizer, app, documents};

fn framing() -> Framing {
    Framing::of(&ByteTokenizer.vocabulary().unwrap().special)
}

fn open(cache: &Path, documents: &Documents) -> TokenStore {
    TokenStore::open_or_build(cache, documents, &ByteTokenizer, framing(), &app()).unwrap()
}

fn ids(store: &TokenStore) -> Vec<u32> {
    store.ids(0..store.tokens()).collect()
}

#[test]
fn ids_and_borders_are_those_of_the_documents() {
    let cache = tempfile::tempdir().unwrap();
    let store = open(cache.path(), &documents(["ab", "", "c"]));
    assert_eq!(ids(&store), [256, 97, 98, 256, 256, 99, 256]);
    assert_eq!(store.document_starts(0..7).collect::<Vec<_>>(), [0, 4]);
    assert_eq!(store.document_starts(1..4).count(), 0);
    assert_eq!(
        (store.documents(), store.empty_documents(), store.bytes()),
        (2, 1, 3)
    );
    assert_eq!(store.largest_id(), 256);
    assert!(store.path().starts_with(cache.path().join("tokens")));
}

#[test]
fn many_documents_of_odd_lengths_come_back() {
    let cache = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..20_000).map(|n| "x".repeat(1 + n % 321)).collect();
    let store = open(cache.path(), &documents(texts.clone()));
    let starts: Vec<u64> = store.document_starts(0..store.tokens()).collect();
    assert_eq!(starts.len(), texts.len());
    let mut at = 0;
    for (start, text) in starts.iter().zip(&texts) {
        assert_eq!(*start, at);
        at += text.len() as u64 + 2;
    }
    assert_eq!(at, store.tokens());
    assert_eq!(
        store.bytes(),
        texts.iter().map(|text| text.len() as u64).sum::<u64>()
    );
}

#[test]
fn a_store_is_reused_and_other_data_gets_its_own() {
    let cache = tempfile::tempdir().unwrap();
    let first = open(cache.path(), &documents(["one", "two"]));
    let written = std::fs::metadata(first.path()).unwrap().modified().unwrap();
    let second = open(cache.path(), &documents(["one", "two"]));
    assert_eq!(
        std::fs::metadata(second.path())
            .unwrap()
            .modified()
            .unwrap(),
        written
    );
    assert_eq!(first.fingerprint(), second.fingerprint());
    let other = open(cache.path(), &documents(["one", "three"]));
    assert_ne!(other.path(), first.path());
    assert_ne!(other.fingerprint(), first.fingerprint());
    // Nothing but the stores is left behind.
    let files = |store: &TokenStore| {
        std::fs::read_dir(store.path().parent().unwrap())
            .unwrap()
            .count()
    };
    assert_eq!((files(&first), files(&other)), (1, 1));
}

#[test]
fn what_is_wrong_with_a_file_is_named_and_it_is_built_again() {
    let cache = tempfile::tempdir().unwrap();
    let documents = documents(["some text", "and more"]);
    let store = open(cache.path(), &documents);
    let (path, good) = (
        store.path().to_owned(),
        std::fs::read(store.path()).unwrap(),
    );
    let (expected, key) = (ids(&store), store.header.key);
    drop(store);
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (bytes, why) in [
        (Vec::new(), "truncated"),
        (good[..100].to_vec(), "truncated (100 bytes)"),
        (good[..good.len() - 4].to_vec(), "bytes where"),
        ([good.as_slice(), &[0]].concat(), "bytes where"),
        (flipped(0), "not a token store"),
        (flipped(8), "format"),
        (flipped(20), "damaged header"),
        (flipped(50), "damaged header"),
        (flipped(140), "damaged header"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let found = TokenStore::open(&path, &key).unwrap_err();
        assert!(found.contains(why), "{found} lacks {why}");
        let again = open(cache.path(), &documents);
        assert_eq!(ids(&again), expected, "{why}");
    }
    assert_eq!(
        TokenStore::open(&path, &[0; 32]).unwrap_err(),
        "belongs to other data"
    );
    assert_eq!(std::fs::read(&path).unwrap(), good);
}

#[test]
fn two_builders_of_one_store_do_not_disturb_each_other() {
    let cache = tempfile::tempdir().unwrap();
    let documents = documents((0..3000).map(|n| format!("document {n}")));
    let stores: Vec<TokenStore> = std::thread::scope(|scope| {
        let builders: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| open(cache.path(), &documents)))
            .collect();
        builders
            .into_iter()
            .map(|builder| builder.join().unwrap())
            .collect()
    });
    for store in &stores[1..] {
        assert_eq!(ids(store), ids(&stores[0]));
    }
}

#[test]
fn empty_documents_and_an_interrupt_end_the_building() {
    let cache = tempfile::tempdir().unwrap();
    let app = app();
    let build = |texts: [&str; 2]| {
        TokenStore::open_or_build(
            cache.path(),
            &documents(texts),
            &ByteTokenizer,
            framing(),
            &app,
        )
        .unwrap_err()
        .kind()
    };
    assert_eq!(build(["", ""]), ErrorKind::Data);
    app.interrupt.request();
    assert_eq!(build(["a", "b"]), ErrorKind::Interrupted);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("file");
    std::fs::write(&cache, "in the way").unwrap();
    let error =
        TokenStore::open_or_build(&cache, &documents(["a"]), &ByteTokenizer, framing(), &app())
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.message().contains("tokens.bin"), "{error}");
}
