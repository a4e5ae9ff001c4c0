//! What a guest reaches for without a grant, and with one; and files that are no plugins.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::{Cage, bytes};
use crate::bench::{Bench, Ran};

/// Denied, or not there: either way the guest got nothing.
#[track_caller]
fn stopped(ran: Ran) -> Ran {
    assert!(
        matches!(ran.code, Some(3 | 4)),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
    ran
}

#[test]
fn nothing_runs_before_the_user_decided() {
    let Some(cage) = Cage::new() else { return };
    cage.try_to("clock", "").code(3).tells(&[
        "plugin hostile asks for",
        "use the clock (to see the time)",
        "codex-ml plugin grant hostile --all",
        "codex-ml plugin grant hostile --none",
    ]);
}

#[test]
fn each_permission_is_denied_with_the_line_that_grants_it() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    for (deed, with, line) in [
        ("print", "", "--terminal"),
        ("read", "data/x.txt", "--folder data=PATH"),
        ("list", "data", "--folder data=PATH"),
        ("write", "out/x.txt", "--folder out=PATH"),
        ("append", "out/x.txt", "--folder out=PATH"),
        ("environment", "HOSTILE_KEY", "--environment HOSTILE_KEY"),
        ("clock", "", "--clock"),
        ("random", "", "--random"),
        ("connect", "127.0.0.1:9", "--network 127.0.0.1"),
        ("create-metric", "lm", "--components metric"),
    ] {
        cage.try_to(deed, with).code(3).tells(&[
            "plugin hostile was not granted to",
            &format!("codex-ml plugin grant hostile {line}"),
        ]);
    }
    // What the manifest does not even ask for.
    for (deed, with) in [
        ("read", "/etc/passwd"),
        ("read", "other/x"),
        ("environment", "HOME"),
        ("connect", "example.org:80"),
        ("create-model", "minilm"),
    ] {
        cage.try_to(deed, with)
            .code(3)
            .tells(&["does not ask for", "in its manifest"]);
    }
}

#[track_caller]
fn writing_stays_in_its_folder(cage: &Cage) {
    cage.try_to("write", "out/new.txt").ok();
    cage.try_to("append", "out/new.txt").ok();
    assert_eq!(cage.bench.read("out/new.txt"), "writtenappended");
    stopped(cage.try_to("write", "out/../secret.txt"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../secret.txt", cage.bench.work().join("out/link")).unwrap();
        for deed in ["write", "append"] {
            cage.try_to(deed, "out/link");
        }
    }
    assert_eq!(cage.bench.read("secret.txt"), "secret");
}

#[test]
fn a_granted_folder_is_all_there_is() {
    let Some(cage) = Cage::new() else { return };
    let data = cage
        .bench
        .write("given/x.txt", "12345")
        .parent()
        .unwrap()
        .to_owned();
    cage.bench.write("secret.txt", "secret");
    fs::create_dir(cage.bench.work().join("out")).unwrap();
    cage.bench
        .run(&[
            "plugin",
            "grant",
            "hostile",
            "--terminal",
            "--folder",
            &format!("data={}", data.display()),
            "--folder",
            "out=out",
        ])
        .ok();
    cage.try_to("read", "data/x.txt")
        .ok()
        .shows(&["read 5 bytes"]);
    cage.try_to("list", "data").ok().shows(&["x.txt 5"]);
    for path in [
        "data/../secret.txt",
        "data/../../../../etc/passwd",
        "data//etc/passwd/../../../secret.txt",
    ] {
        stopped(cage.try_to("read", path));
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../secret.txt", data.join("link")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", data.join("absolute")).unwrap();
        std::os::unix::fs::symlink("..", data.join("up")).unwrap();
        for path in ["data/link", "data/absolute", "data/up/secret.txt"] {
            let ran = stopped(cage.try_to("read", path));
            assert!(!ran.stdout.contains("read"), "{}", ran.stdout);
        }
    }
    // Reading was granted, writing was not even asked for.
    cage.try_to("write", "data/x.txt")
        .code(3)
        .tells(&["does not ask for writing to folder data"]);
    assert_eq!(cage.bench.read("given/x.txt"), "12345");
    writing_stays_in_its_folder(&cage);
    // The folder goes: the next call says so.
    fs::remove_dir_all(&data).unwrap();
    stopped(cage.try_to("read", "data/x.txt")).tells(&["cannot be opened"]);
}

#[test]
fn granted_hosts_are_reached_and_one_that_never_answers_is_not_waited_for() {
    let Some(cage) = Cage::new() else { return };
    cage.bench
        .run(&[
            "plugin",
            "grant",
            "hostile",
            "--terminal",
            "--network",
            "127.0.0.1",
        ])
        .ok();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).unwrap();
        stream.write_all(b"welcome").unwrap();
        hello
    });
    cage.try_to("connect", &address).ok().shows(&["welcome"]);
    assert_eq!(&answering.join().unwrap(), b"hello");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let begun = std::time::Instant::now();
    cage.try_to("connect", &format!("127.0.0.1:{port}")).code(3);
    // The system answers for a listener that never accepts; whoever connects again and again is stopped by the host.
    cage.try_to("many-connections", &port.to_string())
        .code(3)
        .tells(&["more than 64 connections at once", "hostile 0.1.0"]);
    assert!(begun.elapsed().as_secs() < 30);
}

#[test]
fn files_that_are_no_plugins_are_refused_before_anything_runs() {
    let Some(whole) = bytes() else { return };
    let bench = Bench::new();
    let refused = |name: &str, content: &[u8], words: &[&str]| {
        bench.write(name, content);
        bench.run(&["plugin", "install", name]).code(3).tells(words);
    };
    refused("empty.wasm", b"", &["step read", "empty"]);
    refused("text.wasm", b"hello", &["step read", "no WebAssembly"]);
    refused(
        "module.wasm",
        b"\0asm\x01\0\0\0",
        &["step read", "a module, not a component"],
    );
    for parts in [2, 3, 7, 50] {
        let cut = &whole[..whole.len() - whole.len() / parts];
        refused("cut.wasm", cut, &["refused at step"]);
    }
    let mut flipped = whole.clone();
    for at in (100..flipped.len() / 2).step_by(97) {
        flipped[at] ^= 0x55;
    }
    refused("flipped.wasm", &flipped, &["refused at step"]);
    let other = crate::third_party::patched(
        &whole,
        b"codex:plugin/metric@1.0.0",
        b"codex:plugin/metric@2.0.0",
    );
    refused(
        "next.wasm",
        &other,
        &["step api", "built for plugin API 2.0.0"],
    );
    // A hole in a file costs nothing on disk, and nobody reads through it.
    let huge = bench.write("huge.wasm", b"\0asm\x0d\0\x01\0");
    let file = fs::OpenOptions::new().write(true).open(&huge).unwrap();
    file.set_len(3 << 30).unwrap();
    drop(file);
    bench
        .run(&["plugin", "install", "huge.wasm"])
        .code(3)
        .tells(&["step read", "more than"]);
    fs::remove_file(&huge).unwrap();
    assert_eq!(
        bench
            .run(&["plugin", "list", "--json"])
            .ok()
            .json()
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["runtime"] == "wasm")
            .count(),
        0
    );
}

#[test]
fn a_plugin_cannot_take_the_name_of_another() {
    let Some(whole) = bytes() else { return };
    let bench = Bench::new();
    let stolen = crate::third_party::patched(&whole, b"id = \"hostile\"", b"id = \"../lib/\"");
    bench.write("stolen.wasm", &stolen);
    // An id names a folder, so it cannot be a path.
    bench
        .run(&["plugin", "install", "stolen.wasm"])
        .code(3)
        .tells(&["step manifest"]);
    let component = crate::third_party::patched(
        &whole,
        b"kind = \"metric\"\nname = \"hostile\"",
        b"kind = \"metric\"\nname = \"lm\"     ",
    );
    bench.write("component.wasm", &component);
    bench
        .run(&["plugin", "install", "component.wasm"])
        .code(3)
        .tells(&["metric \"lm\" of hostile 0.1.0 is already given by metric-lm"]);
}
