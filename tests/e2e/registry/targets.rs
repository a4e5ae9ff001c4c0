//! One package for several targets: the files of other systems are made byte by byte, since no machine builds them all.

use std::fs;

use codex_plugin_api::abi::TARGET;
use codex_plugin_api::abi::stamp::{SECTION_NAMES, Stamp};
use serde_json::Value;

use super::{third_party, with_registry};
use crate::bench::Bench;

/// Numbers of the processors AArch64 and x86-64 in the headers of ELF, Mach-O and PE files.
const ELF_AARCH64: u16 = 183;
const MACHO_AARCH64: u32 = 0x0100_000c;
const PE_X86_64: u16 = 0x8664;

/// What the plugin of the fixtures says of itself when it is built for another target.
fn stamp(target: &str) -> Vec<u8> {
    let (_, folder) = third_party();
    Stamp {
        abi: (1, 0),
        api_version: codex_plugin_api::API_VERSION.into(),
        rustc: "rustc 1.95.0".into(),
        target: target.into(),
        symbol: "codex_plugin_third_party".into(),
        manifest: fs::read_to_string(folder.join("plugin.toml")).unwrap(),
    }
    .to_bytes()
}

/// A text in a field of fixed length.
fn field<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

fn words<const N: usize>(values: [u32; N]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn longs<const N: usize>(values: [u64; N]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A 64-bit ELF library: its header, the content, the names of its sections, the table of them.
fn elf(machine: u16, content: &[u8]) -> Vec<u8> {
    let names = format!("\0{}\0.shstrtab\0", SECTION_NAMES[0]);
    let names_at = 64 + content.len() as u64;
    let table_at = (names_at + names.len() as u64).next_multiple_of(8);
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
    bytes.extend(machine.to_le_bytes());
    bytes.extend(words([1]));
    bytes.extend(longs([0, 0, table_at]));
    bytes.extend(words([0]));
    bytes.extend(
        [64_u16, 56, 0, 64, 3, 2]
            .iter()
            .flat_map(|half| half.to_le_bytes()),
    );
    bytes.extend(content);
    bytes.extend(names.as_bytes());
    bytes.resize(table_at as usize, 0);
    let second = 2 + SECTION_NAMES[0].len() as u32;
    for (name, kind, at, size) in [
        (0, 0, 0, 0),
        (1, 1, 64, content.len() as u64),
        (second, 3, names_at, names.len() as u64),
    ] {
        bytes.extend(words([name, kind]));
        bytes.extend(longs([0, 0, at, size]));
        bytes.extend(words([0, 0]));
        bytes.extend(longs([1, 0]));
    }
    bytes
}

/// A 64-bit Mach-O library: its header, one segment with one section, the content.
fn macho(machine: u32, content: &[u8]) -> Vec<u8> {
    let size = content.len() as u64;
    let (segment, at) = (152_u32, 184_u32);
    let mut bytes = words([0xfeed_facf, machine, 0, 6, 1, segment, 0, 0]);
    bytes.extend(words([0x19, segment]));
    bytes.extend(field::<16>("__DATA"));
    bytes.extend(longs([0, u64::from(at) + size, 0, u64::from(at) + size]));
    bytes.extend(words([3, 3, 1, 0]));
    bytes.extend(field::<16>(SECTION_NAMES[1]));
    bytes.extend(field::<16>("__DATA"));
    bytes.extend(longs([u64::from(at), size]));
    bytes.extend(words([at, 0, 0, 0, 0, 0, 0, 0]));
    bytes.extend(content);
    bytes
}

/// A 64-bit Windows library: the header that DOS reads, its own, one section, the content.
fn pe(machine: u16, content: &[u8]) -> Vec<u8> {
    let (size, optional, at) = (content.len() as u32, 112_u16, 0x200_u32);
    let mut bytes = b"MZ".to_vec();
    bytes.resize(0x3c, 0);
    bytes.extend(words([0x40]));
    bytes.extend(b"PE\0\0");
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(words([0, 0, 0]));
    bytes.extend(optional.to_le_bytes());
    let (executable, library) = (0x0002_u16, 0x2000_u16);
    bytes.extend((executable | library).to_le_bytes());
    let mut header = 0x20b_u16.to_le_bytes().to_vec();
    header.resize(usize::from(optional), 0);
    bytes.extend(header);
    bytes.extend(field::<8>(SECTION_NAMES[2]));
    bytes.extend(words([size, 0x1000, size, at, 0, 0, 0, 0x4000_0040]));
    bytes.resize(at as usize, 0);
    bytes.extend(content);
    bytes
}

const LINUX: &str = "aarch64-unknown-linux-gnu";
const MAC: &str = "aarch64-apple-darwin";
const WINDOWS: &str = "x86_64-pc-windows-msvc";

/// Writes the libraries for three other systems; gives the options of `plugin pack` that name them.
fn others(bench: &Bench) -> Vec<String> {
    let files = [
        (LINUX, "libthird_party.so", elf(ELF_AARCH64, &stamp(LINUX))),
        (
            MAC,
            "libthird_party.dylib",
            macho(MACHO_AARCH64, &stamp(MAC)),
        ),
        (WINDOWS, "third_party.dll", pe(PE_X86_64, &stamp(WINDOWS))),
    ];
    files
        .into_iter()
        .flat_map(|(target, name, bytes)| {
            let path = bench.write(&format!("built/{target}/{name}"), bytes);
            [
                "--artifact".to_owned(),
                format!("{target}={}", path.display()),
            ]
        })
        .collect()
}

fn pack(bench: &Bench, options: &[&str]) -> crate::bench::Ran {
    let (_, folder) = third_party();
    bench.run(&[&["plugin", "pack", folder.to_str().unwrap()], options].concat())
}

#[test]
fn one_package_serves_every_target_that_it_holds() {
    let bench = with_registry();
    let (library, _) = third_party();
    let others = others(&bench);
    let mut options = vec!["--artifact", library.to_str().unwrap(), "--json"];
    options.extend(others.iter().map(String::as_str));
    let packed = pack(&bench, &options).ok().json();
    let mut targets = vec![LINUX, MAC, WINDOWS, TARGET];
    targets.sort_unstable();
    assert_eq!(packed["targets"], Value::from(targets.clone()));
    let package = packed["file"].as_str().unwrap();
    bench
        .run(&["plugin", "publish", package, "--to", "./registry"])
        .ok();
    bench
        .run(&["registry", "connect", "lab", "./registry"])
        .ok();
    let id = "third-party";
    bench
        .run(&["plugin", "install", id, "--allow-native", id])
        .ok();
    bench.run(&["greet", "Ada"]).ok().shows(&["hello, Ada"]);
    let info = bench.run(&["plugin", "info", id, "--json"]).ok().json();
    let place = format!("artifacts/{TARGET}/");
    assert!(info.to_string().contains(&place), "{info}");
    // The lock names the file of every target, so that it holds for whoever has another system.
    let lock = fs::read_to_string(bench.data().join("codex-plugins.lock")).unwrap();
    for target in targets {
        let files = packed["files"].as_object().unwrap();
        let start = format!("artifacts/{target}/");
        let (_, file) = files
            .iter()
            .find(|(path, _)| path.starts_with(&start))
            .unwrap();
        let line = format!("{target} = \"{}\"", file["sha256"].as_str().unwrap());
        assert!(lock.contains(&line), "{lock} lacks {line}");
    }
}

#[test]
fn a_library_is_for_the_target_of_its_header_whatever_its_stamp_says() {
    let bench = Bench::new();
    for (file, bytes, found) in [
        (
            "a.so",
            elf(ELF_AARCH64, &stamp("x86_64-unknown-linux-gnu")),
            "linux aarch64",
        ),
        ("b.so", elf(ELF_AARCH64, &stamp(MAC)), "linux aarch64"),
        (
            "c.dylib",
            macho(MACHO_AARCH64, &stamp("x86_64-apple-darwin")),
            "macos aarch64",
        ),
        (
            "d.dll",
            pe(PE_X86_64, &stamp("aarch64-pc-windows-msvc")),
            "windows x86_64",
        ),
    ] {
        bench.write(file, bytes);
        pack(&bench, &["--artifact", file, "--no-schemas"])
            .code(2)
            .tells(&[
                &format!("{file} cannot be packed: its stamp names the target"),
                &format!("it is a library for {found}"),
            ]);
    }
    // What the command line says of it is compared with the stamp, and so with the header.
    bench.write("e.so", elf(ELF_AARCH64, &stamp(LINUX)));
    pack(
        &bench,
        &["--artifact", &format!("{MAC}=e.so"), "--no-schemas"],
    )
    .code(2)
    .tells(&[&format!("it was built for {LINUX}, not for {MAC}")]);
    assert!(!bench.work().join("third-party-0.3.1.tar.zst").exists());
    pack(&bench, &["--artifact", "e.so", "--no-schemas"]).ok();
}
