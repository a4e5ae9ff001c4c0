//! What git has staged. In a binary of its own, since it changes the working folder of the process.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::print_stdout,
    reason = "a test that leaves something out says so"
)]

use std::fs;
use std::process::Command;
use std::sync::Arc;

use codex_plugin_api::serde_json::{Value, json};
use codex_plugin_api::testing::RecordingHost;
use codex_plugin_api::{Arguments, Command as _, HostRef};
use codex_plugin_sanitizer_default::SanitizeCommand;

fn git(arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=n", "-c", "user.email=e@example.org"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn sanitize(arguments: Value) -> (codex_plugin_api::Result<i32>, Vec<Value>) {
    let host = Arc::new(RecordingHost::default());
    let held: HostRef = Arc::clone(&host) as HostRef;
    let mut all = json!({"staged": true, "report": "ndjson", "fail-on": "high", "key": "../key", "only": ["secrets"]});
    for (name, value) in arguments.as_object().unwrap() {
        all[name] = value.clone();
    }
    let code = SanitizeCommand.run(&Arguments(all.as_object().unwrap().clone()), &held);
    let lines = host.output();
    let lines = lines
        .lines()
        .map(|line| codex_plugin_api::serde_json::from_str(line).unwrap());
    (code, lines.collect())
}

#[test]
fn what_will_be_committed_is_scanned_not_what_the_folder_holds() {
    if Command::new("git").arg("--version").output().is_err() {
        println!("git is not here: nothing was tried");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("key"), [7; 32]).unwrap();
    let repository = root.path().join("repository");
    fs::create_dir(&repository).unwrap();
    std::env::set_current_dir(&repository).unwrap();
    let (error, _) = sanitize(json!({}));
    let error = error.unwrap_err();
    assert!(
        error.message().contains("git cannot say what is staged"),
        "{error}"
    );
    let key = ["AK", "IA", "Z2XK7QLM", "4RT5WN3P"].concat();
    git(&["init", "--quiet"]);
    fs::write("old.txt", &key).unwrap();
    fs::write("a.txt", "nothing").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "first"]);
    assert_eq!(sanitize(json!({})).0.unwrap(), 0, "nothing is staged");
    // Staged with a secret, and clean in the folder by now; and the other way round.
    fs::create_dir("sub dir").unwrap();
    for name in ["a.txt", "sub dir/žluť \"b\".txt", "-c.txt"] {
        fs::write(name, format!("x\n{key}\n")).unwrap();
    }
    git(&["add", "."]);
    for name in ["a.txt", "sub dir/žluť \"b\".txt"] {
        fs::write(name, "nothing").unwrap();
    }
    fs::write("later.txt", &key).unwrap();
    git(&["rm", "--quiet", "--cached", "old.txt"]);
    let (code, found) = sanitize(json!({}));
    assert_eq!(code.unwrap(), 1);
    let mut paths: Vec<&str> = found
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["-c.txt", "a.txt", "sub dir/žluť \"b\".txt"]);
    assert!(found.iter().all(|line| line["line"] == 2));
    let (_, found) = sanitize(json!({"path": ["sub dir"]}));
    assert_eq!(found.len(), 1);
    // A baseline of the folder knows what is staged by the same names.
    for name in ["a.txt", "sub dir/žluť \"b\".txt"] {
        fs::write(name, &key).unwrap();
    }
    let arguments = json!({"staged": false, "path": ["."], "write-baseline": "../known.json"});
    assert_eq!(sanitize(arguments).0.unwrap(), 0);
    let (code, found) = sanitize(json!({"baseline": "../known.json"}));
    assert_eq!((code.unwrap(), found.len()), (0, 0));
    // The baseline itself may be staged: its salt is no finding.
    fs::copy("../known.json", "known.json").unwrap();
    git(&["add", "known.json"]);
    let (code, found) = sanitize(json!({"baseline": "./known.json"}));
    assert_eq!((code.unwrap(), found.len()), (0, 0));
}
