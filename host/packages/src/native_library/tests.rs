use super::*;

/// The beginning of a 64-bit little-endian ELF library.
fn elf(machine: u16) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
    head.extend(machine.to_le_bytes());
    head.extend(1_u32.to_le_bytes());
    head.resize(64, 0);
    head
}

fn macho(machine: u32) -> Vec<u8> {
    let mut head = 0xfeed_facf_u32.to_le_bytes().to_vec();
    head.extend(machine.to_le_bytes());
    head.resize(64, 0);
    head
}

/// The beginning of a 64-bit Windows library.
fn pe(machine: u16) -> Vec<u8> {
    let mut head = b"MZ".to_vec();
    head.resize(0x3c, 0);
    head.extend(0x80_u32.to_le_bytes());
    head.resize(0x80, 0);
    head.extend(b"PE\0\0");
    head.extend(machine.to_le_bytes());
    head.resize(0x98, 0);
    head.extend(0x20b_u16.to_le_bytes());
    head.resize(0x200, 0);
    head
}

#[test]
fn a_library_is_for_the_target_of_its_header() {
    let heads = [
        ("linux x86_64", elf(62)),
        ("linux aarch64", elf(183)),
        ("linux riscv64", elf(243)),
        ("macos x86_64", macho(0x0100_0007)),
        ("macos aarch64", macho(0x0100_000c)),
        ("windows x86_64", pe(0x8664)),
        ("windows aarch64", pe(0xaa64)),
    ];
    for (target, fits) in [
        ("x86_64-unknown-linux-gnu", "linux x86_64"),
        ("x86_64-unknown-linux-musl", "linux x86_64"),
        ("x86_64-unknown-freebsd", "linux x86_64"),
        ("aarch64-linux-android", "linux aarch64"),
        ("riscv64gc-unknown-linux-gnu", "linux riscv64"),
        ("x86_64-apple-darwin", "macos x86_64"),
        ("aarch64-apple-darwin", "macos aarch64"),
        ("x86_64-pc-windows-msvc", "windows x86_64"),
        ("aarch64-pc-windows-msvc", "windows aarch64"),
    ] {
        for (words, head) in &heads {
            let outcome = check(head, target);
            if *words == fits {
                outcome.unwrap();
                continue;
            }
            let error = outcome.unwrap_err();
            assert_eq!(
                error.message(),
                format!("it is a library for {words}, not for {target}")
            );
            assert!(error.hint_text().is_some());
        }
    }
}

#[test]
fn what_is_no_library_is_for_no_target() {
    let target = "x86_64-unknown-linux-gnu";
    for head in [
        &b""[..],
        b"x",
        b"#!/bin/sh\nrm -rf something\n",
        b"\0asm\x0d\0\x01\0\0\0\0\0\0\0\0\0\0",
        // A universal library, and a header that was cut off.
        b"\xca\xfe\xba\xbe\0\0\0\x02\0\0\0\0\0\0\0\0",
    ] {
        let error = check(head, target).unwrap_err();
        assert_eq!(error.message(), format!("it is no library for {target}"));
    }
    let error = check(&elf(62)[..32], target).unwrap_err();
    assert!(error.message().contains("a damaged header"), "{error}");
    let error = check(&elf(0x7777), target).unwrap_err();
    assert!(
        error.message().contains("linux and processor 0x7777"),
        "{error}"
    );
}

#[test]
fn a_target_that_nobody_here_knows_is_taken_at_its_word() {
    check(b"anything", "riscv64-plan9").unwrap();
    check(&elf(0x7777), "quantum-unknown-linux-gnu").unwrap();
}
