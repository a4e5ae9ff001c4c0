//! The guests of this repository as plugins, each built once for all tests; and what is said where one cannot be built.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::bench::{Bench, Ran, built, root};

/// What the host says where the tools of a language are missing, and what it says to install.
pub(crate) const MISSING: [(&str, &str); 4] = [
    ("there is no Rust compiler", "rustup target add"),
    ("the Rust compiler cannot build for", "rustup target add"),
    (
        "there is no C compiler",
        "apt-get install clang lld wasi-libc",
    ),
    (
        "there is no componentize-py",
        "pip install \"componentize-py",
    ),
];

/// Says what is not tested. What a passing test prints is not shown, so this goes past the test's own output.
pub(crate) fn left_out(what: &str) {
    let _ = writeln!(std::io::stderr(), "left out: {what}");
}

/// Runs `plugin build` with the tools of the user who runs the tests: a bench's home has none.
pub(crate) fn build(bench: &Bench, arguments: &[&str]) -> Ran {
    let arguments = [&["plugin", "build"], arguments].concat();
    let mut command = bench.command(&arguments);
    if let Some(home) = std::env::var_os("HOME") {
        command.env("HOME", home);
    }
    command.env("CARGO_TARGET_DIR", built().parent().unwrap().join("guests"));
    Ran::new(&arguments, command.output().unwrap())
}

/// Builds a folder; `None`, and a line that says so, where this machine lacks the tools of its language. The error must
/// then say what to install. Any other failure is one of the test.
pub(crate) fn build_or_say(bench: &Bench, folder: &Path, arguments: &[&str]) -> Option<Ran> {
    let folder = folder.to_str().unwrap();
    let ran = build(bench, &[&[folder], arguments].concat());
    for (lacks, install) in MISSING {
        if ran.code == Some(1) && ran.stderr.contains(lacks) {
            assert!(ran.stderr.contains(install), "{}", ran.stderr);
            left_out(&format!("this machine cannot build {folder}: {lacks}"));
            return None;
        }
    }
    Some(ran.ok())
}

/// A built guest.
#[derive(Debug)]
pub(crate) struct Guest {
    /// The plugin's file.
    pub(crate) bytes: Vec<u8>,
    /// What the host compiled it to, as its cache names it: one of Python takes its time, so it is done once.
    compiled: Vec<(OsString, Vec<u8>)>,
}

/// Where a bench keeps what was compiled.
pub(crate) fn compiled(bench: &Bench) -> PathBuf {
    bench.work().parent().unwrap().join("cache/wasm")
}

/// The plugin made of a folder of this repository, which is built on the first call.
pub(crate) fn plugin(folder: &str) -> Option<Arc<Guest>> {
    static BUILT: Mutex<BTreeMap<String, Option<Arc<Guest>>>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built
        .entry(folder.to_owned())
        .or_insert_with(|| {
            let bench = Bench::new();
            build_or_say(&bench, &root().join(folder), &["--output", "guest.wasm"])?;
            bench.run(&["plugin", "install", "guest.wasm"]).ok();
            let compiled = fs::read_dir(compiled(&bench)).unwrap().flatten();
            Some(Arc::new(Guest {
                bytes: fs::read(bench.work().join("guest.wasm")).unwrap(),
                compiled: compiled
                    .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
                    .collect(),
            }))
        })
        .clone()
}

/// Puts the plugin made of a folder among those of the bench's user, compiled; false where it cannot be built.
pub(crate) fn put(bench: &Bench, folder: &str) -> bool {
    let Some(guest) = plugin(folder) else {
        return false;
    };
    let plugins = bench.data().join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    let name = folder.rsplit('/').next().unwrap();
    fs::write(plugins.join(format!("{name}.wasm")), &guest.bytes).unwrap();
    fs::create_dir_all(compiled(bench)).unwrap();
    for (name, code) in &guest.compiled {
        fs::write(compiled(bench).join(name), code).unwrap();
    }
    true
}
