//! A plugin built against another layout of the same interface: a short reason, and the whole comparison with `-v`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Stopped, file_is_stopped};
use crate::bench::{cargo, fixtures, library, root};
use crate::third_party::files;

#[test]
fn a_plugin_whose_tables_are_laid_out_differently() {
    let name = library("other-layout");
    let stopped = Stopped {
        name: &name,
        step: "layout",
        reason: &[
            "built for API",
            codex_plugin_api::API_VERSION,
            "this host supports API",
            "layout",
            "direction",
        ],
        hint: "rebuild",
        runs: true,
    };
    let bench = file_is_stopped(fs::read(other_layout()).unwrap(), stopped);
    let ran = bench
        .run(&["quit", "0", "--plugin-dir", "plugins"])
        .fails(3, &["command quit", "quits 0.1.0", "step layout"]);
    assert!(ran.stderr.lines().count() <= 3, "{}", ran.stderr);
    let ran = bench
        .run(&["quit", "0", "--plugin-dir", "plugins", "-v"])
        .fails(3, &["step layout"]);
    assert!(
        ran.stderr.lines().count() > 10,
        "-v tells the whole comparison:\n{}",
        ran.stderr
    );
    let rows = bench
        .run(&[
            "plugin",
            "doctor",
            "--json",
            "-v",
            "--plugin-dir",
            "plugins",
        ])
        .code(3)
        .json();
    assert!(rows[0]["causes"][0].as_str().unwrap().len() > 500, "{rows}");
}

/// A plugin built against a copy of the plugin API in which one field has another type. Only what changed is written, so
/// that a second run compiles nothing.
fn other_layout() -> PathBuf {
    let release = fixtures("broken");
    let place = release.parent().unwrap().join("other-layout");
    let write = |name: &Path, content: String| {
        let path = place.join(name);
        if fs::read_to_string(&path).is_ok_and(|old| old == content) {
            return;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let changed = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from:?} is gone: change the test too");
        text.replace(from, to)
    };
    let between = |text: &str, from: &str, to: &str| {
        text.find(from)
            .map(|at| (at, at + text[at..].find(to).unwrap()))
    };

    let api = root().join("plugin-api");
    for file in files(&api.join("src"))
        .into_iter()
        .chain([api.join("build.rs"), api.join("Cargo.toml")])
    {
        if file.is_dir() {
            continue;
        }
        let mut text = fs::read_to_string(&file).unwrap();
        if file.ends_with("abi/v1/metric.rs") {
            text = changed(&text, "direction: u8,", "direction: u16,");
            text = changed(
                &text,
                "u8::from(score.direction",
                "u16::from(score.direction",
            );
        }
        if file.ends_with("plugin-api/Cargo.toml")
            && let Some((start, end)) = between(&text, "[dev-dependencies]", "[lints]")
        {
            text.replace_range(start..end, "");
        }
        write(file.strip_prefix(root()).unwrap(), text);
    }
    let fixture = root().join("tests/fixtures/broken/quits");
    for name in ["Cargo.toml", "plugin.toml", "src/lib.rs"] {
        let mut text = fs::read_to_string(fixture.join(name)).unwrap();
        if name == "Cargo.toml" {
            text = changed(&text, "name = \"quits\"", "name = \"other-layout\"");
        }
        write(&Path::new("plugin").join(name), text);
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, settings) = workspace.split_once("[workspace.package]").unwrap();
    let head = "[workspace]\nresolver = \"3\"\nmembers = [\"plugin-api\", \"plugin\"]\n\n[workspace.package]";
    write(Path::new("Cargo.toml"), format!("{head}{settings}"));
    if !place.join("Cargo.lock").exists() {
        fs::copy(
            root().join("tests/fixtures/broken/Cargo.lock"),
            place.join("Cargo.lock"),
        )
        .unwrap();
    }
    let out = release.parent().unwrap().to_str().unwrap().to_owned();
    cargo(
        &[
            "build",
            "--release",
            "--offline",
            "-p",
            "other-layout",
            "--target-dir",
            &out,
        ],
        &place,
    );
    release.join(library("other-layout"))
}
