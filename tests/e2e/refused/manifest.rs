//! Manifests that are wrong, that differ from the one inside the library, or that do not tell what the code offers.

use std::fs;

use super::{Stopped, broken, file_is_stopped, is_stopped, sound};
use crate::bench::{Bench, library, root};

#[test]
fn a_manifest_that_is_wrong() {
    let good = fs::read_to_string(root().join("tests/fixtures/third-party/plugin.toml")).unwrap();
    let named = |library: &str| format!("version = \"0.3.1\"\nlibrary = \"{library}\"");
    let long = "x".repeat(65);
    for (from, to, step, reason) in [
        (
            "description =",
            "descripton =",
            "manifest",
            &["plugin.toml", "descripton", "line"][..],
        ),
        (
            "[permissions]",
            "[permission]",
            "manifest",
            &["plugin.toml", "permission"],
        ),
        (
            "\"0.3.1\"",
            "\"three\"",
            "manifest",
            &["plugin.toml", "line 3"],
        ),
        (
            "\"0.3.1\"",
            "\"0.3\"",
            "manifest",
            &["plugin.toml", "line 3"],
        ),
        (
            "api = \"1\"",
            "api = \"one\"",
            "manifest",
            &["plugin.toml", "line 4"],
        ),
        (
            "kind = \"metric\"",
            "kind = \"metrics\"",
            "manifest",
            &["plugin.toml", "metrics"],
        ),
        (
            "id = \"third-party\"",
            "id = \"../../up\"",
            "manifest",
            &["plugin.toml", "../../up"],
        ),
        (
            "id = \"third-party\"",
            &format!("id = \"{long}\""),
            "manifest",
            &["plugin.toml", "64"],
        ),
        (
            "version = \"0.3.1\"",
            &named("../away.so"),
            "manifest",
            &["../away.so", "leaves the plugin's folder"],
        ),
        (
            "version = \"0.3.1\"",
            &named("/away.so"),
            "manifest",
            &["/away.so", "leaves the plugin's folder"],
        ),
        (
            "version = \"0.3.1\"",
            &named("away.so"),
            "read",
            &["away.so", "cannot be read"],
        ),
        (
            "\"0.3.1\"",
            "\"0.3.2\"",
            "manifest",
            &["plugin.toml", "third-party 0.3.2", "third-party 0.3.1"],
        ),
        (
            "[plugin]",
            "[plugin",
            "manifest",
            &["plugin.toml", "line 1"],
        ),
        (good.as_str(), "", "manifest", &["plugin.toml", "plugin"]),
    ] {
        assert!(good.contains(from), "{from}");
        let bench = Bench::new();
        bench.write(
            &format!("plugins/wrong/{}", library("third-party")),
            sound(),
        );
        bench.write("plugins/wrong/plugin.toml", good.replacen(from, to, 1));
        is_stopped(
            &bench,
            &Stopped {
                name: "wrong",
                step,
                reason,
                hint: "",
                runs: false,
            },
        );
    }
    let bench = Bench::new();
    bench.write(
        &format!("plugins/wrong/{}", library("third-party")),
        sound(),
    );
    bench.write("plugins/wrong/plugin.toml", b"[plugin]\nid = \"caf\xe9\"\n");
    is_stopped(
        &bench,
        &Stopped {
            name: "wrong",
            step: "manifest",
            reason: &["plugin.toml"],
            hint: "",
            runs: false,
        },
    );
}

#[test]
#[cfg(unix)]
fn a_link_that_leaves_the_plugins_folder() {
    let bench = Bench::new();
    let good = fs::read_to_string(root().join("tests/fixtures/third-party/plugin.toml")).unwrap();
    let elsewhere = bench.write("elsewhere.so", sound());
    bench.write(
        "plugins/wrong/plugin.toml",
        good.replacen("api = \"1\"", "api = \"1\"\nlibrary = \"inner.so\"", 1),
    );
    std::os::unix::fs::symlink(elsewhere, bench.work().join("plugins/wrong/inner.so")).unwrap();
    let reason = ["inner.so", "leaves the plugin's folder"];
    is_stopped(
        &bench,
        &Stopped {
            name: "wrong",
            step: "read",
            reason: &reason,
            hint: "",
            runs: false,
        },
    );
}

#[test]
fn a_manifest_that_does_not_tell_what_the_code_offers() {
    for (name, reason) in [
        ("mismatch", &["declares", "dataset absent"][..]),
        ("undeclared", &["does not declare", "metric hidden"]),
    ] {
        let file = library(name);
        let stopped = Stopped {
            name: &file,
            step: "components",
            reason,
            hint: "[[component]]",
            runs: true,
        };
        let bench = file_is_stopped(fs::read(broken(name)).unwrap(), stopped);
        let ran = bench.run(&[
            "train",
            &format!("metrics=[{name}]"),
            "training.steps=1",
            "--plugin-dir",
            "plugins",
        ]);
        ran.fails(
            3,
            &[&[&format!("{name} 0.1.0"), "step components"], reason].concat(),
        );
    }
}
