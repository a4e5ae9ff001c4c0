//! What a sandboxed plugin asks for, and what its user decides: `plugin grant`, `revoke`, `limit` and `info`. The plugin
//! is a component without code; whether a guest is held to the decision is tested with guests that try.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::bench::{Bench, Ran};
use crate::third_party::with_plugin;

const ASKS: &str = r#"
[permissions]
clock = { reason = "to time itself" }
folders = [{ path = "data", write = true, reason = "to keep words" }]
network = [{ host = "example.org", reason = "to fetch words" }]
components = [{ kind = "tokenizer", reason = "to split words" }]

[limits]
memory = "1GiB"
time = "5s"
"#;

/// A component that exports an empty metric and carries the manifest of a version of `words`, with more lines.
pub(crate) fn component(version: &str, asks: &str) -> Vec<u8> {
    let manifest = format!(
        "[plugin]\nid = \"words\"\nversion = \"{version}\"\napi = \"1\"\ndescription = \"Counts words\"\n\
         [[component]]\nkind = \"metric\"\nname = \"words\"\n{asks}"
    );
    let name = format!("codex:plugin/metric@{}", codex_plugin_api::API_VERSION);
    // An instance without exports, exported under the interface's name: index 0 of sort 5, no type given.
    let export = [&[1, 0][..], &text(&name), &[5, 0, 0]].concat();
    [
        &b"\0asm\x0d\0\x01\0"[..],
        &section(5, &[1, 1, 0]),
        &section(11, &export),
        &section(0, &[&text("codex-plugin"), manifest.as_bytes()].concat()),
    ]
    .concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb128(content.len()), content].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&leb128(text.len()), text.as_bytes()].concat()
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A bench with the plugin in the user's data folder.
fn with_words(asks: &str) -> Bench {
    let bench = Bench::new();
    put(&bench, asks);
    fs::create_dir(bench.work().join("my words")).unwrap();
    bench
}

fn put(bench: &Bench, asks: &str) {
    let folder = bench.data().join("plugins");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("words.wasm"), component("0.1.0", asks)).unwrap();
}

fn grant(bench: &Bench, options: &[&str]) -> Ran {
    bench.run(&[&["plugin", "grant", "words"], options].concat())
}

fn decision(bench: &Bench) -> Value {
    grant(bench, &["--json"]).ok().json()
}

/// Whether each request is granted, by option.
#[track_caller]
fn granted(bench: &Bench, standing: &str, expected: &[(&str, bool)]) {
    let decision = decision(bench);
    assert_eq!(decision["standing"], standing, "{decision}");
    let asked = decision["asked"].as_array().unwrap();
    let found: Vec<(&str, bool)> = asked
        .iter()
        .map(|row| {
            (
                row["permission"].as_str().unwrap(),
                row["granted"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(found, expected, "{decision}");
}

#[test]
fn what_is_asked_is_shown_and_nothing_is_changed() {
    let bench = with_words(ASKS);
    let line = "codex-ml plugin grant words --all --folder data=PATH";
    let ran = grant(&bench, &[]).ok().shows(&[
        "words 0.1.0 asks to",
        "read and write folder data: to keep words",
        "use the clock: to time itself",
        "connect to example.org: to fetch words",
        "create tokenizer components: to split words",
        "memory 1GiB (default ",
        "not granted",
        "nothing is decided yet",
    ]);
    assert_eq!(ran.stdout.lines().last().unwrap().trim(), line);
    assert!(!ran.stdout.contains("time 5s"), "{}", ran.stdout);
    let decision = decision(&bench);
    assert_eq!(
        (&decision["id"], &decision["version"], &decision["command"]),
        (&json!("words"), &json!("0.1.0"), &json!(line))
    );
    assert_eq!(
        decision["asked"][0],
        json!({
            "permission": "folder", "name": "data", "what": "read and write folder data", "reason": "to keep words",
            "granted": false,
        })
    );
    assert!(!bench.data().join("grants.json").exists());
    let limits = bench
        .run(&["plugin", "limit", "words", "--json"])
        .ok()
        .json();
    assert_eq!(limits["limits"][0]["source"], "default", "{limits}");
    bench.run(&["plugin", "info", "words"]).ok().shows(&[
        "compute in a sandbox",
        "read and write folder data: to keep words",
        "not granted",
        line,
        "the manifest asks for 1GiB",
    ]);
    let asks = with_words("");
    grant(&asks, &[]).ok().shows(&["asks for nothing"]);
    grant(&asks, &["--all"]).ok().shows(&["asks for nothing"]);
    grant(&asks, &["--none"]).ok().shows(&["asks for nothing"]);
    grant(&asks, &["--clock"]).fails(2, &["does not ask for the clock"]);
    assert!(!asks.data().join("grants.json").exists());
}

#[test]
fn everything_or_some_of_it_is_granted_and_taken_back() {
    let bench = with_words(ASKS);
    grant(&bench, &["--all"])
        .fails(2, &["no folder of yours stands for data"])
        .tells(&["codex-ml plugin grant words --all --folder data=PATH"]);
    grant(&bench, &["--clock", "--network", "example.org"])
        .ok()
        .shows(&["granted", "not granted"]);
    let mut expected = [
        ("folder", false),
        ("network", true),
        ("components", false),
        ("clock", true),
        ("limits", false),
    ];
    granted(&bench, "granted", &expected);
    let limits = bench
        .run(&["plugin", "limit", "words", "--json"])
        .ok()
        .json();
    assert_eq!(
        (
            &limits["limits"][0]["source"],
            &limits["limits"][0]["asked"]
        ),
        (&json!("default"), &json!("1GiB")),
        "more memory was not granted: {limits}"
    );
    let ran = grant(&bench, &["--folder", "data=my words", "--limits"]).ok();
    let folder = bench.work().join("my words").display().to_string();
    ran.shows(&[&format!("granted: {folder}")]);
    (expected[0].1, expected[4].1) = (true, true);
    granted(&bench, "granted", &expected);
    assert_eq!(decision(&bench)["asked"][0]["path"], *folder);
    grant(&bench, &["--all"])
        .ok()
        .shows(&["codex-ml plugin revoke words"]);
    granted(&bench, "granted", &expected.map(|(name, _)| (name, true)));
    bench.run(&["plugin", "info", "words"]).ok().shows(&[
        &format!("granted: {folder}"),
        "1GiB",
        "manifest",
    ]);
    let info = bench
        .run(&["plugin", "info", "words", "--json"])
        .ok()
        .json();
    assert_eq!(
        (&info["runtime"], &info["grant"]["standing"]),
        (&json!("wasm"), &json!("granted"))
    );
    assert_eq!(
        info["limits"][0],
        json!({"key": "memory", "value": "1GiB", "source": "manifest"})
    );

    let revoke = |options: &[&str]| bench.run(&[&["plugin", "revoke", "words"], options].concat());
    revoke(&["--folder", "data", "--clock"])
        .ok()
        .shows(&["not granted"]);
    expected = [
        ("folder", false),
        ("network", true),
        ("components", true),
        ("clock", false),
        ("limits", true),
    ];
    granted(&bench, "granted", &expected);
    revoke(&["--clock"])
        .fails(2, &["words was not granted the clock"])
        .tells(&["host example.org"]);
    revoke(&["--all"]).ok().shows(&["you granted nothing"]);
    revoke(&[]).ok().shows(&["until you decide again"]);
    granted(
        &bench,
        "undecided",
        &expected.map(|(name, _)| (name, false)),
    );
    revoke(&["--clock"]).fails(2, &["nothing was granted to words"]);
    assert_eq!(revoke(&["--json"]).ok().json()["changed"], false);

    grant(&bench, &["--none"])
        .ok()
        .shows(&["you granted nothing"]);
    granted(&bench, "granted", &expected.map(|(name, _)| (name, false)));
    grant(&bench, &["--none", "--clock"]).code(2);
}

#[test]
fn what_is_wrong_is_named() {
    let bench = with_words(ASKS);
    for (options, words, hint) in [
        (
            &["--random"][..],
            &["words does not ask for random numbers"][..],
            "it asks for folder data, host example.org",
        ),
        (
            &["--network", "example.com"],
            &["host example.com"],
            "example.org",
        ),
        (
            &["--components", "model"],
            &["model components"],
            "tokenizer",
        ),
        (
            &["--folder", "date=my words"],
            &["folder date"],
            "folder data",
        ),
        (
            &["--folder", "data=nowhere"],
            &["nowhere is not there"],
            "make it first",
        ),
        (
            &["--folder", "data=../data"],
            &["no plugin may write to"],
            "holds nothing else",
        ),
    ] {
        grant(&bench, options).fails(2, words).tells(&[hint]);
    }
    grant(&bench, &["--components", "metrc"])
        .code(2)
        .tells(&["metrc"]);
    for command in ["grant", "revoke", "limit"] {
        bench
            .run(&["plugin", command, "wors"])
            .fails(2, &["\"wors\""])
            .tells(&["did you mean words?"]);
        bench
            .run(&["plugin", command, "--help"])
            .ok()
            .shows(&["Examples:", &format!("codex-ml plugin {command} word-list")]);
    }
    assert!(!bench.data().join("grants.json").exists());

    let native = with_plugin();
    for command in ["grant", "revoke", "limit"] {
        native
            .run(&["plugin", command, "third-party"])
            .fails(2, &["third-party 0.3.1 is native code", "full authority"])
            .tells(&["codex-ml plugin info third-party"]);
    }
}

#[test]
fn an_update_is_stopped_when_it_asks_for_more_and_goes_on_when_it_asks_for_less() {
    let bench = with_words(ASKS);
    grant(&bench, &["--all", "--folder", "data=my words"]).ok();
    let less = ASKS
        .replace("write = true, ", "")
        .replace("memory = \"1GiB\"", "");
    put(&bench, &less);
    granted(
        &bench,
        "granted",
        &[
            ("folder", true),
            ("network", true),
            ("components", true),
            ("clock", true),
        ],
    );
    put(&bench, &ASKS.replace("example.org", "example.com"));
    granted(
        &bench,
        "asks-for-other",
        &[
            ("folder", false),
            ("network", false),
            ("components", false),
            ("clock", false),
            ("limits", false),
        ],
    );
    grant(&bench, &[])
        .ok()
        .shows(&["granted before", "not granted", "until you decide again"]);
    grant(&bench, &["--network", "example.com"]).ok();
    granted(
        &bench,
        "granted",
        &[
            ("folder", true),
            ("network", true),
            ("components", true),
            ("clock", true),
            ("limits", true),
        ],
    );
}

#[test]
fn limits_are_the_users_before_the_manifests() {
    let bench = with_words(ASKS);
    let limit = |settings: &[&str]| bench.run(&[&["plugin", "limit", "words"], settings].concat());
    let row = |key: &str| {
        let limits = limit(&["--json"]).ok().json();
        let rows = limits["limits"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["key"] == key).unwrap()
    };
    assert_eq!(
        row("time"),
        json!({"key": "time", "value": "5s", "source": "manifest"})
    );
    assert_eq!(row("memory")["asked"], "1GiB");
    limit(&["memory=64MiB", "time=1m"])
        .ok()
        .shows(&["64MiB", "user (the manifest says 5s)"]);
    assert_eq!(
        row("memory"),
        json!({"key": "memory", "value": "64MiB", "source": "user", "asked": "1GiB"})
    );
    limit(&["time=", "memory=2GiB"]).ok();
    assert_eq!(row("time")["source"], "manifest");
    assert_eq!(row("memory")["value"], "2GiB");
    for (setting, word, hint) in [
        ("memry=1GiB", "no limit \"memry\"", "did you mean memory?"),
        (
            "memory=lots",
            "limit memory cannot be \"lots\"",
            "memory=64MiB",
        ),
        ("time", "\"time\" is no limit with a value", "KEY=VALUE"),
    ] {
        limit(&["transfer=1MiB", setting])
            .fails(2, &[word])
            .tells(&[hint]);
    }
    assert_eq!(row("transfer")["source"], "default", "all or nothing");
    bench.run(&["plugin", "revoke", "words"]).ok();
    assert_eq!(row("memory")["source"], "user");

    // What belongs to a plugin that is gone can be forgotten, limits included.
    fs::remove_file(bench.data().join("plugins/words.wasm")).unwrap();
    bench
        .run(&["plugin", "revoke", "words"])
        .ok()
        .shows(&["not among the plugins in use"]);
    bench
        .run(&["plugin", "revoke", "words"])
        .fails(2, &["\"words\""]);
}

#[test]
fn a_damaged_file_is_no_grant() {
    let bench = with_words(ASKS);
    grant(&bench, &["--clock"]).ok();
    let file = bench.data().join("grants.json");
    let damage = |file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, &text[..text.len() / 2]).unwrap();
    };
    damage(&file);
    for arguments in [
        &["plugin", "grant", "words"][..],
        &["plugin", "grant", "words", "--clock"],
        &["plugin", "revoke", "words"],
        &["plugin", "limit", "words", "time=1s"],
    ] {
        bench
            .run(arguments)
            .fails(1, &["grants.json is damaged"])
            .tells(&["delete the file"]);
    }
    let info = bench
        .run(&["plugin", "info", "words", "--json"])
        .ok()
        .tells(&["grants.json is damaged"])
        .json();
    assert_eq!(info["grant"]["standing"], "undecided");
    bench.run(&["plugin", "list"]).ok().shows(&["words"]);
    fs::remove_file(file).unwrap();
    grant(&bench, &["--clock"]).ok();
}
