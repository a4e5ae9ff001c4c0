//! The gates against files made byte by byte.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::super::search::Origin;
use super::*;

const MANIFEST_TEXT: &str = "[plugin]\nid = \"shout\"\nversion = \"0.1.0\"\napi = \"1\"\ndescription = \"d\"\n\
                             [[component]]\nkind = \"metric\"\nname = \"shout-rate\"\n";

fn stamp() -> Stamp {
    Stamp {
        abi: (v1::MAJOR, v1::MINOR),
        api_version: API_VERSION.into(),
        rustc: "rustc 1.95.0".into(),
        target: codex_plugin_api::abi::TARGET.into(),
        symbol: "s".into(),
        manifest: MANIFEST_TEXT.into(),
    }
}

/// The ELF machine numbers of x86_64 and AArch64.
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

fn this_machine() -> u16 {
    if cfg!(target_arch = "aarch64") {
        AARCH64
    } else {
        X86_64
    }
}

/// A 64-bit little-endian ELF shared library with one section of content: header, content, names, section table.
fn elf(machine: u16, section: &str, content: &[u8]) -> Vec<u8> {
    let names = format!("\0{section}\0.shstrtab\0");
    let names_at = 64 + content.len() as u64;
    let table_at = (names_at + names.len() as u64).next_multiple_of(8);
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let (dynamic, version, none) = (3_u16, 1_u32, 0_u64);
    bytes.extend(dynamic.to_le_bytes());
    bytes.extend(machine.to_le_bytes());
    bytes.extend(version.to_le_bytes());
    bytes.extend(
        [none, none, table_at]
            .iter()
            .flat_map(|word| word.to_le_bytes()),
    );
    bytes.extend(0_u32.to_le_bytes());
    let sizes: [u16; 6] = [64, 56, 0, 64, 3, 2];
    bytes.extend(sizes.iter().flat_map(|half| half.to_le_bytes()));
    bytes.extend(content);
    bytes.extend(names.as_bytes());
    bytes.resize(table_at as usize, 0);
    let (progbits, strtab) = (1_u32, 3_u32);
    let second_name = 2 + section.len() as u32;
    for (name, kind, at, size) in [
        (0, 0, 0, 0),
        (1, progbits, 64, content.len() as u64),
        (second_name, strtab, names_at, names.len() as u64),
    ] {
        bytes.extend(
            [name, kind]
                .iter()
                .flat_map(|word: &u32| word.to_le_bytes()),
        );
        bytes.extend(
            [0, 0, at, size]
                .iter()
                .flat_map(|word: &u64| word.to_le_bytes()),
        );
        bytes.extend([0_u32, 0].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend([1_u64, 0].iter().flat_map(|word| word.to_le_bytes()));
    }
    bytes
}

fn judge(bytes: &[u8]) -> Result<Passed, Stopped> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libx.so");
    fs::write(&path, bytes).unwrap();
    examine_library(&path).map(|(_, passed)| passed)
}

/// The section of this system's format.
const SECTION: &str = SECTION_NAMES[0];

#[test]
#[cfg(target_os = "linux")]
fn a_stamped_library_passes() {
    let passed = judge(&elf(this_machine(), SECTION, &stamp().to_bytes())).unwrap();
    assert_eq!(passed.manifest.plugin.id, "shout");
    assert_eq!(passed.build.rustc, "rustc 1.95.0");
}

#[test]
#[cfg(target_os = "linux")]
fn every_gate_stops_what_it_is_for() {
    let with = |change: &dyn Fn(&mut Stamp)| {
        let mut stamp = stamp();
        change(&mut stamp);
        elf(this_machine(), SECTION, &stamp.to_bytes())
    };
    let good = elf(this_machine(), SECTION, &stamp().to_bytes());
    let other_machine = if this_machine() == X86_64 {
        AARCH64
    } else {
        X86_64
    };
    for (bytes, step, reason) in [
        (
            b"#include <stdio.h>\n".to_vec(),
            Step::Read,
            "it is a text file, not a library",
        ),
        (Vec::new(), Step::Read, "the file is empty"),
        (
            vec![0xff, 0xfe, 0, 1, 2, 3],
            Step::Read,
            "not a library of any known format",
        ),
        (
            good[..good.len() / 2].to_vec(),
            Step::Read,
            "damaged or truncated",
        ),
        (good[..40].to_vec(), Step::Read, "damaged or truncated"),
        (
            elf(this_machine(), ".text", b"x"),
            Step::Stamp,
            "not a codex-ml plugin",
        ),
        (
            elf(this_machine(), SECTION, b"CODEXPLG"),
            Step::Stamp,
            "the plugin stamp is damaged",
        ),
        (
            with(&|stamp| stamp.manifest = MANIFEST_TEXT.replace("0.1.0", "one")),
            Step::Manifest,
            "line 3",
        ),
        (
            with(&|stamp| stamp.manifest = MANIFEST_TEXT.replace("api =", "apj =")),
            Step::Manifest,
            "unknown field `apj`",
        ),
        (with(&|stamp| stamp.abi = (2, 0)), Step::Api, "ABI 2.0"),
        (
            with(&|stamp| stamp.api_version = "2.0.0".into()),
            Step::Api,
            "built for plugin API 2.0.0",
        ),
        (
            with(&|stamp| stamp.api_version = "1.99.0".into()),
            Step::Api,
            "built for plugin API 1.99.0",
        ),
        (
            with(&|stamp| stamp.api_version = "soon".into()),
            Step::Api,
            "built for plugin API soon",
        ),
        (
            with(&|stamp| stamp.manifest = MANIFEST_TEXT.replace("api = \"1\"", "api = \"2\"")),
            Step::Api,
            "asks for plugin API ^2",
        ),
        (
            elf(other_machine, SECTION, &stamp().to_bytes()),
            Step::Target,
            "it was built for linux",
        ),
        (
            with(&|stamp| stamp.target = "aarch64-apple-darwin".into()),
            Step::Target,
            "its stamp names the target aarch64-apple-darwin, but it is a library for linux",
        ),
    ] {
        let refusal = judge(&bytes).unwrap_err().refusal;
        assert_eq!(refusal.step, step, "{refusal:?}");
        assert!(
            refusal.reason.contains(reason),
            "{} lacks {reason}",
            refusal.reason
        );
        assert!(!refusal.hint.is_empty());
    }
}

#[test]
fn hostile_files_never_panic() {
    let good = elf(this_machine(), SECTION, &stamp().to_bytes());
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..2_000 {
        let mut bytes = good.clone();
        for _ in 0..=random() % 4 {
            let header = random() % 2 == 0;
            let at = if header {
                random() as usize % 64
            } else {
                bytes.len() - 1 - random() as usize % 192
            };
            bytes[at] = random() as u8;
        }
        // Whatever the outcome, it is one.
        let _ = judge(&bytes);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_needs_one_library_and_the_manifest_that_is_inside() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("shout");
    fs::create_dir(&folder).unwrap();
    let candidate = Candidate {
        path: folder.clone(),
        is_folder: true,
        origin: Origin::User,
    };
    let refusal = || examine(&candidate).outcome.unwrap_err().refusal;
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
    let library = elf(this_machine(), SECTION, &stamp().to_bytes());

    write(MANIFEST, MANIFEST_TEXT.as_bytes());
    assert_eq!(
        (refusal().step, refusal().path),
        (Step::Read, folder.clone())
    );
    write("liba.so", &library);
    assert_eq!(
        examine(&candidate).outcome.unwrap().library,
        folder.join("liba.so")
    );
    write("libb.so", &library);
    assert!(
        refusal().reason.contains("several libraries"),
        "{}",
        refusal().reason
    );
    write("libshout.so", &library);
    assert_eq!(
        examine(&candidate).outcome.unwrap().library,
        folder.join("libshout.so")
    );
    write(MANIFEST, MANIFEST_TEXT.replace("0.1.0", "0.2.0").as_bytes());
    assert_eq!(refusal().step, Step::Manifest);
    assert!(
        refusal().reason.contains("is not the one inside"),
        "{}",
        refusal().reason
    );
    write(
        MANIFEST,
        MANIFEST_TEXT
            .replace("description", "library = \"liba.so\"\ndescription")
            .as_bytes(),
    );
    assert!(
        refusal().reason.contains("is not the one inside"),
        "{}",
        refusal().reason
    );
    std::os::unix::fs::symlink("/usr/lib", folder.join("away")).unwrap();
    write(
        MANIFEST,
        MANIFEST_TEXT
            .replace("description", "library = \"away/../liba.so\"\ndescription")
            .as_bytes(),
    );
    assert!(
        refusal().reason.contains("leaves the plugin's folder"),
        "{}",
        refusal().reason
    );
    write("outside.so", &library);
    fs::rename(folder.join("outside.so"), root.path().join("outside.so")).unwrap();
    std::os::unix::fs::symlink(root.path().join("outside.so"), folder.join("link.so")).unwrap();
    write(
        MANIFEST,
        MANIFEST_TEXT
            .replace("description", "library = \"link.so\"\ndescription")
            .as_bytes(),
    );
    assert!(
        refusal().reason.contains("leaves the plugin's folder"),
        "{}",
        refusal().reason
    );
}
