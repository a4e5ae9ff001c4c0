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
                vec![bytes("artifacts/x86_64-unknown-linux-gnu/libx.so", b"x")],
            ]
            .concat(),
            "beside artifacts of single targets",
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

#[test]
fn paths_that_leave_the_folder_are_refused() {
    for (path, words) in [
        ("../../up", "climbs"),
        ("artifacts/../../up", "climbs"),
        ("/etc/cron.d/x", "is absolute"),
        ("artifacts\\..\\up", "holds '\\\\'"),
        ("C:x", "holds ':'"),
        ("artifacts/wasm/a\nb", "control character"),
    ] {
        check_listed(vec![raw(path, b"x")], words);
    }
    // Declared as something harmless, sent as something else.
    let digest = FileDigest::of(b"x");
    let harmless = raw(LIST, list(&[("README.md", 1, &digest.sha256)]).as_bytes());
    check(
        vec![harmless, raw("../up", b"x")],
        "member \"../up\" stands where package.json has \"README.md\"",
    );
}

#[test]
fn only_regular_files_are_taken() {
    for (kind, words) in [
        (tar::EntryType::Symlink, "a symbolic link"),
        (tar::EntryType::Link, "a hard link"),
        (tar::EntryType::Directory, "a folder"),
        (tar::EntryType::Char, "a device"),
        (tar::EntryType::Fifo, "a device"),
        (tar::EntryType::GNUSparse, "type 'S'"),
        (tar::EntryType::GNULongName, "type 'L'"),
        (tar::EntryType::XHeader, "type 'x'"),
    ] {
        let mut member = raw("README.md", b"");
        member.kind = kind;
        let list = fitting(&[raw("README.md", b"")]);
        check(vec![list, member], words);
    }
    let mut list = fitting(&[]);
    list.kind = tar::EntryType::Symlink;
    check(vec![list], "no regular file: a symbolic link");
}

#[test]
fn names_that_collide_are_refused() {
    for (first, second, words) in [
        ("README", "README", "is there twice"),
        ("README.md", "readme.MD", "collides with"),
        ("README-\u{e9}", "README-e\u{301}", "collides with"),
        ("README", "README/x", "collides with"),
        ("schemas/a.json", "Schemas/b.json", "collides with"),
    ] {
        let digest = FileDigest::of(b"");
        let list = list(&[(first, 0, &digest.sha256), (second, 0, &digest.sha256)]);
        check(vec![raw(LIST, list.as_bytes())], words);
    }
}

#[test]
fn what_is_declared_is_limited_before_anything_is_taken() {
    let none = "0".repeat(64);
    for (size, words) in [
        (
            10_000_000_000,
            "the files have 10000000000 bytes, and 4294967296 are allowed",
        ),
        (u64::MAX, "and 4294967296 are allowed"),
        (1 << 31, "more than 100 times as many"),
    ] {
        check(
            vec![raw(LIST, list(&[("README.md", size, &none)]).as_bytes())],
            words,
        );
    }
    let many: Vec<String> = (0..1001)
        .map(|number| format!("README-{number:04}"))
        .collect();
    let many: Vec<(&str, u64, &str)> = many
        .iter()
        .map(|path| (path.as_str(), 0, none.as_str()))
        .collect();
    check(
        vec![raw(LIST, list(&many).as_bytes())],
        "1001 files, and 1000 are allowed",
    );
    let long = format!("README{}", "x".repeat(200));
    check(
        vec![raw(LIST, list(&[(&long, 0, &none)]).as_bytes())],
        "has 206 bytes, and 200 are allowed",
    );
    check(
        vec![raw(LIST, list(&[("README.md", 0, "abc")]).as_bytes())],
        "has no SHA-256",
    );
    check(
        vec![raw(
            LIST,
            list(&[("README.md", 0, &none), ("LICENSE", 0, &none)]).as_bytes(),
        )],
        "not sorted",
    );
    check(
        vec![raw(LIST, br#"{"format":2,"new":[]}"#)],
        "format 2 is not known",
    );
    check(vec![raw(LIST, b"{")], "package.json: EOF");
    check(
        vec![raw("README.md", b"x")],
        "begins with \"README.md\" instead of package.json",
    );
}

#[test]
fn a_list_that_says_it_is_huge_is_not_read() {
    let mut list = raw(LIST, b"{}");
    list.size = 10_000_000_000;
    check(
        vec![list],
        "package.json has 10000000000 bytes, and 1048576 are allowed",
    );
}

#[test]
fn members_are_held_against_the_list() {
    let digest = FileDigest::of(b"x");
    let listed = || raw(LIST, list(&[("README.md", 1, &digest.sha256)]).as_bytes());
    check(vec![listed()], "\"README.md\" is listed and missing");
    check(
        vec![listed(), raw("README.md", b"y")],
        "is not the file that package.json describes",
    );
    check(
        vec![listed(), raw("README.md", b"xy")],
        "has 2 bytes, and 1 in package.json",
    );
    check(
        vec![listed(), raw("README.md", b"x"), raw("extra", b"x")],
        "member \"extra\" is not in package.json",
    );
    let mut huge = raw("README.md", b"x");
    huge.size = 10_000_000_000;
    check(
        vec![listed(), huge],
        "has 10000000000 bytes, and 1 in package.json",
    );
}

#[test]
fn a_bomb_goes_off_nowhere() {
    // 1 GiB of zeros in some kilobytes, declared truly.
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    let size = 1_u64 << 30;
    let list = list(&[("README.md", size, &"0".repeat(64))]);
    encoder
        .write_all(&write_tar(&[raw(LIST, list.as_bytes())], b""))
        .unwrap();
    std::io::copy(&mut std::io::repeat(0).take(size), &mut encoder).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 200_000);
    assert!(complaint_of(&bomb, &Limits::default()).contains("more than 100 times as many"));

    // Zeros without end behind an archive that is in order.
    let good = [fitting(&[raw("README.md", b"x")]), raw("README.md", b"x")];
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&write_tar(&good, &[0; 1024])).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(size), &mut encoder).unwrap();
    assert!(
        complaint_of(&encoder.finish().unwrap(), &Limits::default())
            .contains("something follows the last member")
    );
}

#[test]
fn limits_are_the_callers() {
    let folder = tempfile::tempdir().unwrap();
    let (path, digest) = packed(folder.path());
    let usual = Limits::default();
    for (limits, words) in [
        (
            Limits {
                archive: digest.size - 1,
                ..usual
            },
            "bytes, and",
        ),
        (
            Limits {
                unpacked: 10,
                ..usual
            },
            "and 10 are allowed",
        ),
        (Limits { files: 2, ..usual }, "3 files, and 2 are allowed"),
        (Limits { path: 10, ..usual }, "and 10 are allowed"),
        (Limits { list: 10, ..usual }, "package.json has"),
    ] {
        let error = inspect(&path, None, &limits).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
    }
}

#[test]
fn what_is_no_archive_is_named() {
    for bytes in [
        &b""[..],
        b"hello",
        &compress(b"hello"),
        &compress(&[0; 4096]),
    ] {
        let said = complaint_of(bytes, &Limits::default());
        assert!(
            said.contains("is not an archive that codex-ml plugin pack wrote"),
            "{said}"
        );
    }
}

#[test]
fn something_hidden_at_the_end_is_noticed() {
    let members = [fitting(&[raw("README.md", b"x")]), raw("README.md", b"x")];
    let said = complaint_of(
        &compress(&write_tar(&members, &[[0; 1024], [7; 1024]].concat())),
        &Limits::default(),
    );
    assert!(said.contains("something follows the last member"), "{said}");
}
