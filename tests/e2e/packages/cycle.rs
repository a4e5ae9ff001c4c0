//! The whole life of plugins from a registry, and what two projects share.

use std::fs;
use std::process::Command;

use codex_plugin_api::abi::TARGET;
use serde_json::json;

use super::shop::Shop;
use super::{changes, listed, whole};
use crate::bench::{Bench, Ran};
use crate::first_steps::quick;

/// A bench with a registry of a few versions.
fn stocked() -> Option<(Bench, Shop)> {
    let bench = Bench::new();
    let shop = Shop::new(&bench)?;
    for line in [
        "shout 1.0.0: words ^1",
        "shout 1.1.0: words ^1",
        "shout 2.0.0: words ^2",
        "words 1.0.0",
        "words 1.1.0",
        "words 2.0.0",
    ] {
        shop.publish(line);
    }
    Some((bench, shop))
}

#[test]
fn a_plugin_is_installed_by_name_used_and_removed() {
    let bench = Bench::new();
    let Some(shop) = Shop::new(&bench) else {
        return;
    };
    shop.publish_metric(
        "shouting 0.1.0",
        "surprise",
        &[("README.md", b"# shouting")],
    );
    let ran = bench.run(&["plugin", "install", "shouting"]).ok();
    assert_eq!(changes(&ran), ["+ shouting 0.1.0  (shop)"]);
    ran.tells(&["shouting"]);
    assert_eq!(listed(&bench), ["shouting 0.1.0 user ready"]);
    bench
        .run(&["plugin", "info", "shouting"])
        .ok()
        .shows(&["registry", "shop", "the user's lock"]);
    let info = bench
        .run(&["plugin", "info", "shouting", "--json"])
        .ok()
        .json();
    assert_eq!(
        (&info["registry"]["name"], &info["scope"]),
        (&json!("shop"), &json!("user"))
    );
    let trained = bench
        .run(&quick(&["metrics=[lm,surprise]", "--json"]))
        .ok()
        .json();
    assert!(
        trained["metrics"]
            .as_object()
            .unwrap()
            .keys()
            .any(|key| key.contains("surprise")),
        "{trained}"
    );
    assert_eq!(
        bench.run(&["plugin", "doctor", "--json"]).ok().json(),
        json!([])
    );
    let project = fs::read_to_string(bench.data().join("codex-plugins.toml")).unwrap();
    assert!(
        project.ends_with("[plugins]\nshouting = \"^0.1.0\"\n"),
        "{project}"
    );
    assert_eq!(
        changes(&bench.run(&["plugin", "remove", "shouting"]).ok()),
        ["- shouting 0.1.0"]
    );
    assert!(listed(&bench).is_empty());
    bench
        .run(&["plugin", "clean"])
        .ok()
        .tells(&["0 versions removed", "1 kept"]);
    bench
        .run(&["plugin", "rollback"])
        .ok()
        .shows(&["+ shouting 0.1.0"]);
    bench.run(&["plugin", "remove", "shouting"]).ok();
    bench
        .run(&["plugin", "clean", "--history"])
        .ok()
        .shows(&["shouting/0.1.0-"])
        .tells(&["1 versions removed"]);
    assert_eq!(
        fs::read_dir(bench.data().join("store")).unwrap().count(),
        1,
        "only the lock of the store is left"
    );
}

#[test]
fn versions_are_updated_pinned_explained_and_rolled_back() {
    let Some((bench, shop)) = stocked() else {
        return;
    };
    let run = |arguments: &[&str]| changes(&bench.run(&[&["plugin"], arguments].concat()).ok());
    assert_eq!(
        run(&["install", "shout@=1.0.0"]),
        ["+ shout 1.0.0  (shop)", "+ words 1.1.0  (shop)"]
    );
    assert_eq!(run(&["install", "shout@1"]), [] as [&str; 0]);
    let outdated = bench.run(&["plugin", "outdated", "--json"]).ok().json();
    assert_eq!(
        outdated,
        json!([
            {"name": "shout", "version": "1.0.0", "update": "1.1.0", "newest": "2.0.0", "taken_back": null},
            {"name": "words", "version": "1.1.0", "update": null, "newest": "2.0.0", "taken_back": null},
        ])
    );
    assert_eq!(run(&["update", "--dry-run"]), ["shout 1.0.0 -> 1.1.0"]);
    assert_eq!(run(&["pin", "shout"]), [] as [&str; 0]);
    assert_eq!(run(&["update"]), [] as [&str; 0]);
    bench
        .run(&["plugin", "install", "shout@2"])
        .fails(2, &["shout", "1.0.0", "pinned"])
        .tells(&["plugin unpin shout"]);
    run(&["unpin", "shout"]);
    assert_eq!(run(&["update", "shout"]), ["shout 1.0.0 -> 1.1.0"]);
    assert_eq!(
        run(&["install", "shout@2"]),
        ["shout 1.1.0 -> 2.0.0", "words 1.1.0 -> 2.0.0"]
    );
    bench
        .run(&["plugin", "tree"])
        .ok()
        .shows(&["  shout 2.0.0  (^2)\n    words 2.0.0  (^2)"]);
    bench
        .run(&["plugin", "why", "words"])
        .ok()
        .shows(&["codex-plugins.toml asks for shout ^2, shout needs words ^2"]);
    assert_eq!(
        run(&["rollback"]),
        ["shout 2.0.0 -> 1.1.0", "words 2.0.0 -> 1.1.0"]
    );
    assert_eq!(run(&["rollback"]), ["shout 1.1.0 -> 1.0.0"]);
    let history = bench
        .run(&["plugin", "rollback", "--list", "--json"])
        .ok()
        .json();
    let states = history.as_array().unwrap();
    let forth = states
        .iter()
        .find(|state| state["what"] == "install shout@2")
        .unwrap();
    assert_eq!(
        run(&["rollback", "--to", &forth["number"].to_string()]).len(),
        2
    );
    assert_eq!(whole(&bench), ["shout 2.0.0", "words 2.0.0"]);
    bench
        .run(&["plugin", "remove", "words"])
        .fails(2, &["words is there because shout needs it"]);
    shop.yank("shout", "2.0.0");
    bench
        .run(&["plugin", "outdated"])
        .ok()
        .shows(&["yanked: it shouted"]);
    bench.run(&["plugin", "sync"]).ok();
    assert_eq!(
        whole(&bench),
        ["shout 2.0.0", "words 2.0.0"],
        "who has it keeps it"
    );
}

#[test]
fn two_projects_use_two_versions_and_the_user_a_third() {
    let Some((bench, _shop)) = stocked() else {
        return;
    };
    let in_project = |name: &str, arguments: &[&str]| -> Ran {
        let folder = bench.work().join(name);
        fs::create_dir_all(&folder).unwrap();
        let mut command = bench.command(&[&["plugin"], arguments].concat());
        Ran::new(arguments, command.current_dir(folder).output().unwrap())
    };
    in_project("one", &["add", "words@=1.0.0"]).ok();
    in_project("two", &["add", "words@2"]).ok();
    bench.run(&["plugin", "install", "words@1"]).ok();
    let rows = |name: &str| -> Vec<String> {
        let listed = in_project(name, &["list", "--json"]).ok().json();
        let rows = listed
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["id"] == "words");
        let text = |row: &serde_json::Value| {
            format!("{} {} {}", row["version"], row["scope"], row["state"]).replace('"', "")
        };
        rows.map(text).collect()
    };
    assert_eq!(rows("one"), ["1.0.0 project ready", "1.1.0 user shadowed"]);
    assert_eq!(rows("two"), ["2.0.0 project ready", "1.1.0 user shadowed"]);
    assert_eq!(rows("."), ["1.1.0 user ready"]);
    in_project("one/deep/inside", &["tree"])
        .ok()
        .shows(&["words 1.0.0"]);
    // What one project does not need, another may; what nobody names goes.
    fs::remove_dir_all(bench.work().join("two")).unwrap();
    let cleaned = bench.run(&["plugin", "clean", "--json"]).ok().json();
    assert_eq!(
        (
            &cleaned["kept"],
            cleaned["removed"].as_array().unwrap().len()
        ),
        (&json!(2), 1)
    );
}

#[test]
fn a_lock_serves_every_system_and_locked_fails_with_the_difference() {
    let Some((bench, shop)) = stocked() else {
        return;
    };
    shop.publish_native(TARGET);
    let added = bench.run(&["plugin", "add", "third-party", "words@1"]);
    added
        .fails(3, &["third-party 0.3.1 is native code", "full authority"])
        .tells(&["--allow-native third-party"]);
    assert!(!bench.work().join("codex-plugins.lock").exists());
    bench
        .run(&[
            "plugin",
            "add",
            "third-party",
            "words@1",
            "--allow-native",
            "third-party",
        ])
        .ok();
    bench
        .run(&["plugin", "info", "third-party", "--config"])
        .ok()
        .shows(&["rows", "the project's lock"]);
    let lock = bench.read("codex-plugins.lock");
    for target in [TARGET, "riscv64-plan9"] {
        assert!(
            lock.contains(&format!("{target} = \"")),
            "{target} is not in\n{lock}"
        );
    }
    // A colleague has the two files alone.
    let other = Bench::new();
    shop.connect(&other.data());
    for file in ["codex-plugins.toml", "codex-plugins.lock"] {
        other.write(file, bench.read(file));
    }
    let listed = other.run(&["plugin", "list", "--json"]).ok().json();
    let refused: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["state"] == "refused")
        .collect();
    assert_eq!(refused.len(), 2, "{listed}");
    other.run(&["plugin", "doctor"]).code(3).shows(&[
        "words 1.1.0 is in the project's lock",
        "codex-ml plugin sync",
    ]);
    other
        .run(&[
            "plugin",
            "sync",
            "--locked",
            "--allow-native",
            "third-party",
        ])
        .ok();
    assert_eq!(other.read("codex-plugins.lock"), lock);
    assert_eq!(
        other.run(&["plugin", "doctor", "--json"]).ok().json(),
        json!([])
    );
    let project = other.read("codex-plugins.toml").replace("^1\"", "^2\"");
    other.write("codex-plugins.toml", project);
    other.run(&["plugin", "sync", "--locked"]).fails(
        2,
        &["codex-plugins.lock does not answer", "words 1.1.0 -> 2.0.0"],
    );
    assert_eq!(other.read("codex-plugins.lock"), lock);
    bench.run(&["plugin", "install", "third-party"]).ok();
}

#[test]
fn what_cannot_be_had_is_said_with_who_asks_for_it() {
    let Some((bench, shop)) = stocked() else {
        return;
    };
    shop.publish("caption 1.0.0: words ^1");
    bench
        .run(&["plugin", "install", "shuot"])
        .fails(2, &["no registry has"])
        .tells(&["did you mean shout?"]);
    bench
        .run(&["plugin", "install", "shout@3"])
        .fails(2, &["shout ^3", "no such version"])
        .tells(&["2.0.0"]);
    bench
        .run(&["plugin", "install", "shout@2", "caption"])
        .fails(
            2,
            &[
                "no versions fit together",
                "shout 2.0.0 needs words ^2",
                "caption 1.0.0 needs words ^1",
            ],
        );
    bench
        .run(&["plugin", "install", "Shout"])
        .fails(2, &["Shout"]);
    bench
        .run(&["plugin", "install", "shout@one"])
        .fails(2, &["\"one\"", "no version requirement"]);
    assert!(whole(&bench).is_empty());
    fs::remove_file(bench.data().join("codex-plugins.toml")).unwrap();
    bench
        .run(&["plugin", "install", "shout"])
        .fails(2, &["no registry is connected"])
        .tells(&["registry connect"]);
}

#[test]
fn a_name_that_is_taken_is_refused_with_both_owners_before_anything_is_fetched() {
    let Some((bench, shop)) = stocked() else {
        return;
    };
    shop.publish_metric("loud 1.0.0", "words", &[]);
    bench.run(&["plugin", "install", "words@1"]).ok();
    bench
        .run(&["plugin", "install", "loud"])
        .fails(3, &["metric \"words\" of loud 1.0.0", "words 1.1.0"]);
    shop.publish_metric("lm-again 1.0.0", "lm", &[]);
    bench
        .run(&["plugin", "install", "lm-again"])
        .fails(3, &["metric \"lm\" of lm-again 1.0.0", "metric-lm"]);
    assert_eq!(whole(&bench), ["words 1.1.0"]);
    assert_eq!(fs::read_dir(bench.data().join("store")).unwrap().count(), 2);
}

#[test]
fn a_package_file_is_installed_like_a_folder() {
    let Some((bench, shop)) = stocked() else {
        return;
    };
    let package = shop.folder.join("archives/words/words-1.0.0.tar.zst");
    bench
        .run(&["plugin", "install", package.to_str().unwrap()])
        .ok()
        .shows(&["words 1.0.0"]);
    assert!(bench.data().join("plugins/words/words.wasm").is_file());
    bench.run(&["plugin", "remove", "words"]).ok();
}

#[test]
fn without_a_connection_what_was_fetched_is_enough() {
    let Some((bench, shop)) = stocked() else {
        return;
    };
    bench.run(&["plugin", "install", "words@1"]).ok();
    // The registry is gone; the store is enough, and so is the cache of archives.
    let away = shop.folder.with_extension("away");
    fs::rename(&shop.folder, &away).unwrap();
    bench.run(&["plugin", "sync", "--locked", "--offline"]).ok();
    assert_eq!(listed(&bench), ["words 1.1.0 user ready"]);
    bench.run(&["plugin", "remove", "words"]).ok();
    bench
        .run(&["plugin", "install", "words"])
        .fails(2, &["registry shop"]);
    let status = Command::new("mv")
        .args([&away, &shop.folder])
        .status()
        .unwrap();
    assert!(status.success());
    bench.run(&["plugin", "install", "words@1"]).ok();
}
