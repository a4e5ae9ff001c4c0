mod hostile;

use std::io::{Read, Write};
use std::path::Path;

use super::*;
use crate::entry::FileDigest;

const MANIFEST_TEXT: &str = "[plugin]\nid = \"shout\"\nversion = \"1.0.0\"\napi = \"1\"\ndescription = \"d\"\n\
                             [[component]]\nkind = \"metric\"\nname = \"shout-rate\"\n";

fn bytes(path: &str, content: &[u8]) -> Member {
    Member {
        path: path.into(),
        content: Content::Bytes(content.to_vec()),
    }
}

fn members() -> Vec<Member> {
    vec![
        bytes("plugin.toml", MANIFEST_TEXT.as_bytes()),
        bytes("artifacts/wasm/shout.wasm", b"\0asm, more or less"),
        bytes("README.md", b"# shout\n"),
    ]
}

/// A member of an archive that nobody of ours would write.
struct Raw {
    path: Vec<u8>,
    kind: tar::EntryType,
    size: u64,
    content: Vec<u8>,
}

fn raw(path: &str, content: &[u8]) -> Raw {
    Raw {
        path: path.into(),
        kind: tar::EntryType::Regular,
        size: content.len() as u64,
        content: content.into(),
    }
}

/// The list that declares these files.
fn list(files: &[(&str, u64, &str)]) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|(path, size, sha256)| serde_json::json!({"path": path, "size": size, "sha256": sha256}))
        .collect();
    serde_json::json!({"format": 1, "files": files}).to_string()
}

/// A list that fits these members.
fn fitting(members: &[Raw]) -> Raw {
    let files: Vec<(String, FileDigest)> = members
        .iter()
        .map(|member| {
            (
                String::from_utf8_lossy(&member.path).into_owned(),
                FileDigest::of(&member.content),
            )
        })
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(path, digest)| (path.as_str(), digest.size, digest.sha256.as_str()))
        .collect();
    raw(LIST, list(&files).as_bytes())
}

fn write_tar(members: &[Raw], tail: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    for member in members {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..member.path.len()].copy_from_slice(&member.path);
        header.set_size(member.size);
        header.set_mode(0o644);
        header.set_entry_type(member.kind);
        if member.kind == tar::EntryType::Symlink || member.kind == tar::EntryType::Link {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        tar.write_all(header.as_bytes()).unwrap();
        tar.write_all(&member.content).unwrap();
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.write_all(tail).unwrap();
    tar
}

fn compress(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 3).unwrap()
}

/// What a reader says of an archive of these members.
fn complaint(members: &[Raw]) -> String {
    complaint_of(
        &compress(&write_tar(members, &[0; 1024])),
        &Limits::default(),
    )
}

fn complaint_of(archive: &[u8], limits: &Limits) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar.zst");
    std::fs::write(&path, archive).unwrap();
    let inspected = inspect(&path, None, limits)
        .unwrap_err()
        .message()
        .to_owned();
    // Unpacking sees the same, and nothing outside its folder.
    let into = folder.path().join("into");
    std::fs::create_dir(&into).unwrap();
    let unpacked = unpack(&path, None, &into, limits)
        .unwrap_err()
        .message()
        .to_owned();
    assert_eq!(inspected, unpacked);
    let mut entries: Vec<_> = folder
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    entries.sort();
    assert_eq!(entries, ["into", "x.tar.zst"]);
    inspected
}

fn check(members: Vec<Raw>, words: &str) {
    let said = complaint(&members);
    assert!(said.contains(words), "{said} lacks {words}");
}

/// A list that fits, then the members.
fn check_listed(members: Vec<Raw>, words: &str) {
    let mut all = vec![fitting(&members)];
    all.extend(members);
    check(all, words);
}

fn packed(folder: &Path) -> (std::path::PathBuf, FileDigest) {
    let path = folder.join("shout-1.0.0.tar.zst");
    let packed = pack(&members(), &path).unwrap();
    (path, packed.contents.archive)
}

#[test]
fn what_was_packed_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let (path, digest) = packed(folder.path());
    assert_eq!(FileDigest::of_file(&path).unwrap(), digest);
    let into = folder.path().join("into");
    std::fs::create_dir(&into).unwrap();
    let contents = unpack(&path, Some(&digest), &into, &Limits::default()).unwrap();
    assert_eq!(
        std::fs::read_to_string(into.join("plugin.toml")).unwrap(),
        MANIFEST_TEXT
    );
    assert_eq!(
        std::fs::read(into.join("artifacts/wasm/shout.wasm")).unwrap(),
        b"\0asm, more or less"
    );
    let entry = contents.entry();
    assert_eq!(
        (entry.name.as_str(), entry.version.to_string().as_str()),
        ("shout", "1.0.0")
    );
    assert_eq!(entry.artifacts["wasm"].path, "artifacts/wasm/shout.wasm");
    assert!(!entry.is_native());
    assert_eq!(contents.file_name(), "shout-1.0.0.tar.zst");
    assert_eq!(
        inspect(&path, Some(&digest), &Limits::default()).unwrap(),
        contents
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, first) = packed(folder.path());
    let from_file = folder.path().join("lib");
    std::fs::write(&from_file, b"\0asm, more or less").unwrap();
    let mut others = members();
    others.reverse();
    others[1].content = Content::File(from_file);
    let second = pack(&others, &folder.path().join("other.tar.zst")).unwrap();
    assert_eq!(first, second.contents.archive);
    assert_eq!(
        std::fs::read(path).unwrap(),
        std::fs::read(folder.path().join("other.tar.zst")).unwrap()
    );
}

#[test]
fn what_nobody_could_unpack_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("x.tar.zst");
    for (members, words) in [
        (vec![bytes("README.md", b"x")], "there is no plugin.toml"),
        (
            vec![bytes("plugin.toml", MANIFEST_TEXT.as_bytes())],
            "there is no artifact",
        ),
        (
            [members(), vec![bytes("src/lib.rs", b"x")]].concat(),
            "has no place in a package",
        ),
        (
            [members(), vec![bytes("readme.md", b"x")]].concat(),
            "collides with",
        ),
        (
            [members(), vec![bytes("README.md", b"x")]].concat(),
            "is there twice",
        ),
        (
            [
                members(),
                vec![bytes("artifacts/riscv64-plan9/libx.so", b"x")],
            ]
            .concat(),
            "beside artifacts of single targets",
        ),
        (
            vec![
                bytes("plugin.toml", MANIFEST_TEXT.as_bytes()),
                bytes("artifacts/aarch64-apple-darwin/libx.dylib", b"x"),
            ],
            "libx.dylib\": it is no library for aarch64-apple-darwin",
        ),
        (
            [members(), vec![bytes("artifacts/wasm/other.wasm", b"x")]].concat(),
            "more than one artifact",
        ),
        (
            vec![
                bytes("plugin.toml", MANIFEST_TEXT.as_bytes()),
                bytes("artifacts/wasm/x.wasm", b"x"),
            ],
            "instead of \"artifacts/wasm/shout.wasm\"",
        ),
        (
            vec![
                bytes("plugin.toml", b"[plugin]"),
                bytes("artifacts/wasm/shout.wasm", b"x"),
            ],
            "missing field",
        ),
    ] {
        let error = pack(&members, &to).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
        assert!(!to.exists());
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn every_changed_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, digest) = packed(folder.path());
    let good = std::fs::read(&path).unwrap();
    for place in 0..good.len() {
        let mut changed = good.clone();
        changed[place] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let error = inspect(&path, Some(&digest), &Limits::default()).unwrap_err();
        assert!(
            error
                .message()
                .contains("is not the archive that was signed"),
            "byte {place}: {error}"
        );
    }
    for size in [0, 1, good.len() / 2, good.len() - 1] {
        std::fs::write(&path, &good[..size]).unwrap();
        assert!(
            inspect(&path, Some(&digest), &Limits::default()).is_err(),
            "cut at {size}"
        );
        assert!(
            inspect(&path, None, &Limits::default()).is_err(),
            "cut at {size}"
        );
    }
    std::fs::write(&path, [good.as_slice(), b"more"].concat()).unwrap();
    assert!(inspect(&path, Some(&digest), &Limits::default()).is_err());
    assert!(
        inspect(&path, None, &Limits::default())
            .unwrap_err()
            .message()
            .contains("4 bytes follow")
    );
}
