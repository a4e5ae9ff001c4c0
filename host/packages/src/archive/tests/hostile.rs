//! Archives that no honest packer wrote: whatever they claim, nothing leaves the folder and no limit is passed.

use super::*;

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
fn a_library_is_for_the_target_that_it_lies_under() {
    // The beginning of an ELF library for AArch64.
    let mut library = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xb7\0\x01\0\0\0".to_vec();
    library.resize(10_000, 0);
    let manifest = || raw("plugin.toml", MANIFEST_TEXT.as_bytes());
    let lies = "artifacts/x86_64-unknown-linux-gnu/libx.so";
    check_listed(
        vec![raw(lies, &library), manifest()],
        "libx.so\": it is a library for linux aarch64, not for x86_64-unknown-linux-gnu",
    );
    check_listed(
        vec![raw(lies, b"#!/bin/sh\necho pwned\n"), manifest()],
        "libx.so\": it is no library for x86_64-unknown-linux-gnu",
    );
    let folder = tempfile::tempdir().unwrap();
    let members = [
        bytes("plugin.toml", MANIFEST_TEXT.as_bytes()),
        bytes("artifacts/aarch64-unknown-linux-gnu/libx.so", &library),
    ];
    let packed = pack(&members, &folder.path().join("x.tar.zst")).unwrap();
    assert_eq!(packed.contents.artifacts().len(), 1);
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
