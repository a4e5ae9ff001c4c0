//! Plugins that must not load and plugins that fail once they run: each at its gate, each with its reason and a mend, and
//! the host goes on.

mod layout;
mod manifest;
mod panics;

use std::fs;
use std::path::PathBuf;

use codex_plugin_api::abi::stamp::{FORMAT, MAGIC};
use codex_plugin_api::abi::v1;
use serde_json::Value;

use crate::bench::{Bench, Ran, fixtures, library};
use crate::third_party::{files, patched};

/// A built library of the workspace with broken plugins.
fn broken(name: &str) -> PathBuf {
    fixtures("broken").join(library(name))
}

/// A sound plugin's bytes.
fn sound() -> Vec<u8> {
    fs::read(fixtures("third-party").join(library("third-party"))).unwrap()
}

/// Where one candidate must be stopped.
struct Stopped<'a> {
    /// The candidate's name in its folder.
    name: &'a str,
    step: &'a str,
    /// What the reason says.
    reason: &'a [&'a str],
    hint: &'a str,
    /// Whether the plugin's code has to run before the fault shows.
    runs: bool,
}

/// The rows of `plugin doctor` for the folder `plugins` of the bench.
#[track_caller]
fn doctor(bench: &Bench) -> Vec<Value> {
    let ran = bench
        .run(&["plugin", "doctor", "--json", "--plugin-dir", "plugins"])
        .code(3);
    assert_eq!(
        ran.stderr.matches("panicked at").count(),
        0,
        "{}",
        ran.stderr
    );
    ran.json().as_array().unwrap().clone()
}

/// Looks at the one candidate in `plugins` of the bench through the doctor, the list and the installation.
#[track_caller]
fn is_stopped(bench: &Bench, expected: &Stopped<'_>) {
    let Stopped {
        name,
        step,
        reason,
        hint,
        runs,
    } = expected;
    let path = bench.work().join("plugins").join(name);
    let found = doctor(bench);
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    let row = &found[0];
    assert!(
        row["path"]
            .as_str()
            .is_some_and(|shown| path.ends_with(shown)),
        "{name}: {row}"
    );
    assert_eq!(row["step"], *step, "{name}: {row}");
    let said = row["reason"].as_str().unwrap();
    assert!(
        reason.iter().all(|word| said.contains(word)) && !said.contains('\n') && said.len() < 500,
        "{name}: {row}"
    );
    assert!(
        row["hint"].as_str().unwrap().contains(hint),
        "{name}: {row}"
    );
    assert!(
        row.get("causes").is_none(),
        "{name}: without -v there are no causes: {row}"
    );
    let dir = ["--plugin-dir", "plugins"];
    bench
        .run(&[&["plugin", "doctor"], &dir[..]].concat())
        .code(3)
        .shows(&[name, step, reason[0]]);

    let listed = bench
        .run(&[&["plugin", "list", "--json"], &dir[..]].concat())
        .ok()
        .json();
    let listed = listed.as_array().unwrap().clone();
    let state = if *runs { "ready" } else { "refused" };
    let row = listed
        .iter()
        .find(|row| row["path"] == found[0]["path"])
        .unwrap_or_else(|| panic!("{name}: {listed:?}"));
    assert_eq!(row["state"], state, "{row}");
    assert!(
        listed.iter().filter(|row| row["state"] == "ready").count() >= 6,
        "{listed:?}"
    );
    bench.run(&[&["--help"], &dir[..]].concat()).ok();

    let ran = bench
        .run(&["plugin", "install", path.to_str().unwrap()])
        .fails(3, reason);
    assert!(
        ran.stderr.contains(name) && ran.stderr.contains(step),
        "{}",
        ran.stderr
    );
    assert_eq!(
        files(&bench.data()),
        [] as [PathBuf; 0],
        "{name} left something behind"
    );
}

/// A file of these bytes, alone in the folder `plugins`, must be stopped.
#[track_caller]
fn file_is_stopped(bytes: impl AsRef<[u8]>, expected: Stopped<'_>) -> Bench {
    let bench = Bench::new();
    bench.write(&format!("plugins/{}", expected.name), bytes);
    is_stopped(&bench, &expected);
    bench
}

#[test]
fn what_is_no_library() {
    let name = library("strange");
    let stopped = |reason| Stopped {
        name: &name,
        step: "read",
        reason,
        hint: "again",
        runs: false,
    };
    file_is_stopped(
        "#!/bin/sh\necho I am a library, believe me\n",
        stopped(&["text file"]),
    );
    file_is_stopped("", stopped(&["empty"]));
    file_is_stopped(
        [0xde, 0xad, 0xbe, 0xef].repeat(999),
        stopped(&["not a library"]),
    );
    let sound = sound();
    for part in [sound.len() / 2, sound.len() - 100, 4096, 65, 20] {
        file_is_stopped(&sound[..part], stopped(&["truncated"]));
    }
}

#[test]
fn a_library_that_is_no_plugin() {
    let stampless = fs::read(broken("stampless")).unwrap();
    let name = library("stampless");
    file_is_stopped(
        stampless,
        Stopped {
            name: &name,
            step: "stamp",
            reason: &["not a codex-ml plugin"],
            hint: "plugin!",
            runs: false,
        },
    );
    let name = library("damaged");
    for (offset, bytes, reason) in [
        (0, &b"CODEXPLX"[..], "begin with CODEXPLG"),
        (8, &[9, 0], "layout 9"),
        (14, &[0xff; 2], "65535 texts"),
        (14, &[0; 2], "0 texts"),
        (16, &[0xff; 4], "it ends after"),
        (16, &[0xff; 20], "it ends after"),
        (36, &[0xff], "UTF-8"),
    ] {
        let stopped = Stopped {
            name: &name,
            step: "stamp",
            reason: &[reason],
            hint: "",
            runs: false,
        };
        file_is_stopped(with_stamp(offset, bytes), stopped);
    }
}

/// A sound plugin with these bytes at a place of its stamp.
fn with_stamp(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut library = sound();
    let begin = [&MAGIC[..], &FORMAT.to_le_bytes(), &v1::MAJOR.to_le_bytes()].concat();
    let at = library
        .windows(begin.len())
        .position(|part| part == begin)
        .unwrap()
        + offset;
    library[at..at + bytes.len()].copy_from_slice(bytes);
    library
}

#[test]
fn a_plugin_for_another_interface() {
    let name = library("later");
    for (bytes, reason) in [
        (with_stamp(10, &[2, 0]), &["ABI 2.0", "ABI 1.0"][..]),
        (with_stamp(12, &[9, 0]), &["ABI 1.9", "ABI 1.0"]),
        (
            patched(&sound(), b"\napi = \"1\"", b"\napi = \"2\""),
            &["plugin API ^2", codex_plugin_api::API_VERSION],
        ),
    ] {
        let stopped = Stopped {
            name: &name,
            step: "api",
            reason,
            hint: "rebuild",
            runs: false,
        };
        let bench = file_is_stopped(bytes, stopped);
        // Who asks for something that it would offer is told why there is none.
        let ran = bench.run(&[
            "train",
            "data.name=squares",
            "training.steps=1",
            "--plugin-dir",
            "plugins",
        ]);
        ran.fails(
            3,
            &[&["dataset squares", &name, "step api"], reason].concat(),
        );
        let runs = bench.work().join("runs");
        assert!(
            !runs.exists() || files(&runs).is_empty(),
            "{:?}",
            files(&runs)
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_plugin_for_another_processor() {
    let other: u16 = if cfg!(target_arch = "aarch64") {
        62
    } else {
        183
    };
    let mut bytes = sound();
    bytes[18..20].copy_from_slice(&other.to_le_bytes());
    let name = library("foreign");
    let word = if cfg!(target_arch = "aarch64") {
        "x86_64"
    } else {
        "aarch64"
    };
    let reason = [word, codex_plugin_api::abi::TARGET];
    file_is_stopped(
        bytes,
        Stopped {
            name: &name,
            step: "target",
            reason: &reason,
            hint: "--target",
            runs: false,
        },
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_plugin_whose_dependency_is_missing() {
    let name = library("needy");
    let bytes = patched(&sound(), b"libgcc_s.so.1\0", b"libgcc_x.so.1\0");
    let reason = ["libgcc_x.so.1", "not on this system"];
    let bench = file_is_stopped(
        bytes,
        Stopped {
            name: &name,
            step: "load",
            reason: &reason,
            hint: "LD_LIBRARY_PATH",
            runs: true,
        },
    );
    bench
        .run(&[
            "train",
            "data.name=squares",
            "training.steps=1",
            "--plugin-dir",
            "plugins",
        ])
        .fails(
            3,
            &[
                "dataset squares",
                "third-party 0.3.1",
                "step load",
                "libgcc_x.so.1",
            ],
        );
}

#[test]
fn two_plugins_that_give_the_same_name() {
    let bench = Bench::new();
    let (first, second) = (library("first"), library("second"));
    bench.write(&format!("plugins/{first}"), sound());
    bench.write(
        &format!("plugins/{second}"),
        patched(&sound(), b"id = \"third-party\"", b"id = \"third-sport\""),
    );
    let found = doctor(&bench);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0]["path"].as_str().unwrap().ends_with(&second) && found[0]["step"] == "name",
        "{found:?}"
    );
    for word in [
        "dataset \"squares\"",
        "third-sport 0.3.1",
        "third-party 0.3.1",
        &first,
    ] {
        assert!(
            found[0]["reason"].as_str().unwrap().contains(word),
            "{found:?}"
        );
    }
    assert!(
        found[0]["hint"].as_str().unwrap().contains("plugin remove"),
        "{found:?}"
    );
    bench
        .run(&["greet", "Ada", "--plugin-dir", "plugins"])
        .ok()
        .shows(&["hello, Ada"]);

    // The host's own commands are nobody else's.
    let bench = Bench::new();
    bench.write(
        &format!("plugins/{first}"),
        patched(&sound(), b"name = \"greet\"", b"name = \"serve\""),
    );
    let found = doctor(&bench);
    assert!(found.len() == 1 && found[0]["step"] == "name", "{found:?}");
    assert!(
        found[0]["reason"].as_str().unwrap().contains("serve"),
        "{found:?}"
    );
}

#[test]
fn a_library_that_ends_the_process_that_loads_it() {
    let crashes = broken("crashes");
    let bench = Bench::new();
    bench.write(
        &format!("plugins/{}", library("crashes")),
        fs::read(&crashes).unwrap(),
    );
    for (how, word) in [
        ("abort", "signal 6"),
        ("fault", "signal 11"),
        ("exit", "exit code 0"),
    ] {
        let word = if cfg!(unix) { word } else { "exit code" };
        let run = |arguments: &[&str]| {
            let mut command = bench.command(arguments);
            command.env("CRASHES_BY", how).env("RUST_BACKTRACE", "0");
            Ran::new(arguments, command.output().unwrap())
        };
        let ran = run(&["plugin", "install", crashes.to_str().unwrap()]);
        ran.fails(3, &["crashes", "step load", "ended the process", word]);
        assert_eq!(files(&bench.data()), [] as [PathBuf; 0]);
        let rows = run(&["plugin", "doctor", "--json", "--plugin-dir", "plugins"])
            .code(3)
            .json();
        assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
        assert!(
            rows[0]["step"] == "load" && rows[0]["reason"].as_str().unwrap().contains(word),
            "{rows}"
        );
        assert!(!rows[0]["hint"].as_str().unwrap().is_empty());
        run(&["plugin", "list", "--plugin-dir", "plugins"]).ok();
    }
}
