//! What a user and a machine decide: distrust, policies, grants that do not pass to others, the report of an audit.

use std::fs;
use std::time::SystemTime;

use semver::Version;
use serde_json::Value;

use super::shop::{Shop, component, manifest};
use super::{in_use, is_refused, load};
use crate::bench::{Bench, Ran};

const ASKS: &str = "[permissions]\nclock = { reason = \"to time itself\" }\n";

#[test]
fn what_is_distrusted_is_not_run_until_it_is_trusted_again() {
    let bench = Bench::new();
    let _shop = Shop::with_words(&bench);
    bench
        .run(&["plugin", "distrust", "words"])
        .ok()
        .shows(&["distrusted"]);
    is_refused(&bench, "you do not trust words any more");
    bench
        .run(&["plugin", "trust", "words"])
        .ok()
        .shows(&["words is trusted"]);
    load(&bench).ok();
    bench
        .run(&["plugin", "trust", "wrds"])
        .fails(2, &["wrds"])
        .tells(&["did you mean words?"]);
    bench
        .run(&["plugin", "trust"])
        .ok()
        .shows(&["words", "main", "1.0.0"]);
    bench.run(&["plugin", "distrust", "words", "--forget"]).ok();
    is_refused(&bench, "nothing was ever pinned for words");
}

fn under(bench: &Bench, policy: &str, arguments: &[&str]) -> Ran {
    let file = bench.write("system-policy.toml", policy);
    let mut command = bench.command(arguments);
    command.env("CODEX_ML_POLICY", file);
    Ran::new(arguments, command.output().unwrap())
}

#[test]
fn a_policy_of_the_machine_holds_whatever_the_user_says() {
    let bench = Bench::new();
    let _shop = Shop::with_words(&bench);
    let info = ["plugin", "info", "words", "--config"];
    fs::write(
        bench.data().join("policy.toml"),
        "minimum-level = \"local\"\nlocal = true\n",
    )
    .unwrap();
    for (policy, words) in [
        ("minimum-level = \"registry-signed\"", "minimum-level"),
        (
            "registries = [\"https://plugins.example.org\"]",
            "is not in registries",
        ),
        ("[keys]\n\"wor*\" = []", "keys."),
    ] {
        under(&bench, policy, &info)
            .fails(3, &["trust", words, "system-policy.toml"])
            .tells(&["plugin policy show"]);
        under(&bench, policy, &["plugin", "update"]);
    }
    under(&bench, "minimum-level = \"pinned-key\"", &info).ok();
    let rules = under(
        &bench,
        "native = \"deny\"",
        &["plugin", "policy", "show", "--json"],
    )
    .ok()
    .json();
    assert_eq!(rules["policy"]["native"], "deny", "{rules}");
    assert_eq!(rules["files"].as_array().unwrap().len(), 2, "{rules}");
    under(&bench, "native = \"deny\"", &["plugin", "policy", "show"])
        .ok()
        .shows(&["native = \"deny\""]);
    // First-party plugins are part of the program.
    under(
        &bench,
        "native = \"deny\"\nlocal = false",
        &["plugin", "doctor"],
    )
    .ok();
    // A policy that cannot be understood stops everything that it might forbid.
    under(&bench, "natve = \"deny\"", &info).fails(3, &["trust", "unknown field `natve`"]);
    under(&bench, "natve = \"deny\"", &["plugin", "policy", "show"]).fails(2, &["line 1", "natve"]);

    let file = bench.write(
        "other.wasm",
        component(&manifest("other", "1.0.0", ""), "good", &[]),
    );
    under(
        &bench,
        "local = false",
        &["plugin", "install", file.to_str().unwrap()],
    )
    .fails(3, &["local = false"]);
    // A trial grants what is asked; it does not allow what is forbidden.
    let trial = ["plugin", "test", file.to_str().unwrap(), "--grant"];
    let ran = under(&bench, "local = false", &trial).code(3);
    assert!(ran.stderr.contains("local = false"), "{}", ran.stderr);
    bench
        .run(&["plugin", "install", file.to_str().unwrap()])
        .ok();
    under(
        &bench,
        "denied-permissions = [\"network\"]",
        &["plugin", "doctor"],
    )
    .ok();
}

#[test]
fn another_plugin_of_the_same_id_inherits_no_grant() {
    let bench = Bench::new();
    let shop = Shop::new(&bench, "main");
    shop.publish_package(&shop.package("words", "1.0.0", ASKS), &shop.author);
    bench.run(&["plugin", "install", "words"]).ok();
    let standing = || {
        let ran = bench.run(&["plugin", "grant", "words", "--json"]).ok();
        ran.json()["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!(standing(), "undecided");
    bench.run(&["plugin", "grant", "words", "--all"]).ok();
    assert_eq!(standing(), "granted");
    // A file that comes first on the search path has the same id and asks for the same.
    let folder = bench.work().join(".codex-ml/plugins");
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join("words.wasm"),
        component(&manifest("words", "1.0.0", ASKS), "evil", &[]),
    )
    .unwrap();
    assert_eq!(standing(), "undecided");
    fs::remove_dir_all(bench.work().join(".codex-ml")).unwrap();
    assert_eq!(standing(), "granted");
    // An update from the same place keeps them, unless it asks for more.
    shop.publish_package(&shop.package("words", "1.1.0", ASKS), &shop.author);
    bench.run(&["plugin", "update"]).ok();
    assert_eq!(standing(), "granted");
    let more = format!("{ASKS}random = {{ reason = \"to shuffle\" }}\n");
    shop.publish_package(&shop.package("words", "1.2.0", &more), &shop.author);
    bench.run(&["plugin", "update"]).ok();
    assert_eq!(in_use(&bench).as_deref(), Some("1.2.0"));
    assert_eq!(standing(), "asks-for-other");
    bench.run(&["plugin", "remove", "words"]).ok();
    bench.run(&["plugin", "install", "words"]).ok();
    assert_eq!(standing(), "undecided");
}

#[test]
fn an_audit_names_everything_that_is_known_against_what_is_in_use() {
    let bench = Bench::new();
    let shop = Shop::with_words(&bench);
    bench.run(&["plugin", "audit"]).ok();
    let kinds = |arguments: &[&str]| {
        let ran = bench.run(arguments).code(3).json();
        let rows = ran.as_array().unwrap();
        rows.iter()
            .map(|row| row["kind"].as_str().unwrap().to_owned())
            .collect::<Vec<String>>()
    };
    let audit = ["plugin", "audit", "--json"];
    let version = Version::new(1, 0, 0);
    shop.change(|registry| {
        registry
            .yank("words", &version, "it counts wrongly", SystemTime::now())
            .unwrap();
    });
    assert_eq!(kinds(&audit), ["yanked"]);
    bench
        .run(&["plugin", "audit"])
        .code(3)
        .shows(&["it counts wrongly", "plugin update words"]);
    load(&bench).ok();

    let file = bench.write(
        "other.wasm",
        component(&manifest("other", "1.0.0", ASKS), "good", &[]),
    );
    bench
        .run(&["plugin", "install", file.to_str().unwrap()])
        .ok();
    assert_eq!(kinds(&audit), ["yanked", "over-permissioned", "local"]);
    bench.run(&["plugin", "remove", "other"]).ok();

    shop.change(|registry| {
        registry
            .revoke_key(&shop.author.public().id(), "stolen", SystemTime::now())
            .unwrap();
    });
    assert_eq!(
        kinds(&["plugin", "audit", "--json", "--offline"]),
        ["revoked", "yanked"]
    );
    // What the audit learned holds from then on, also when the registry says otherwise later.
    is_refused(&bench, "is revoked by registry main: stolen");

    fs::rename(&shop.folder, shop.folder.with_extension("gone")).unwrap();
    assert_eq!(kinds(&audit), ["outdated-snapshot"]);
}

#[test]
fn an_audit_names_plugins_of_ones_own_and_counts_them_as_nothing_bad() {
    let bench = Bench::new();
    let own = |folder: &str, name: &str| {
        let place = bench.work().join(folder);
        fs::create_dir_all(&place).unwrap();
        let file = place.join(format!("{name}.wasm"));
        fs::write(&file, component(&manifest(name, "1.0.0", ""), "good", &[])).unwrap();
        file
    };
    let built = own("built", "mine");
    bench
        .run(&["plugin", "install", built.to_str().unwrap()])
        .ok();
    own(".codex-ml/plugins", "dropped");
    let audit = |code: i32| {
        let rows = bench.run(&["plugin", "audit", "--json"]).code(code).json();
        let row = |row: &Value| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            format!("{} {} {}", text("severity"), text("kind"), text("subject"))
        };
        rows.as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(
        audit(0),
        ["note local dropped 1.0.0", "note local mine 1.0.0"]
    );
    bench
        .run(&["plugin", "audit"])
        .ok()
        .shows(&[
            "you installed it from a path, and its file is what it was then",
            "nothing notices when it changes",
        ])
        .tells(&["2 of them from no registry: nothing is known against them"]);
    // One that stands where a signed one of that name was is something else.
    let shop = Shop::new(&bench, "main");
    shop.publish("dropped", "1.0.0");
    bench.run(&["plugin", "install", "dropped"]).ok();
    assert_eq!(
        audit(3),
        ["finding unsigned dropped 1.0.0", "note local mine 1.0.0"]
    );
}

#[test]
fn what_is_granted_and_taken_back_is_in_the_log() {
    let bench = Bench::new();
    let shop = Shop::new(&bench, "main");
    shop.publish_package(&shop.package("words", "1.0.0", ASKS), &shop.author);
    bench.run(&["plugin", "install", "words"]).ok();
    let log = || fs::read_to_string(bench.data().join("trust.log")).unwrap();
    let events = || {
        let lines: Vec<Value> = log()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &Value| line["subject"] == "words")
            .collect();
        let text = |line: &Value| {
            format!(
                "{} {}",
                line["event"].as_str().unwrap(),
                line["detail"].as_str().unwrap_or_default()
            )
        };
        lines.iter().map(text).collect::<Vec<_>>()
    };
    let before = events().len();
    bench.run(&["plugin", "grant", "words", "--all"]).ok();
    bench.run(&["plugin", "limit", "words", "memory=1GiB"]).ok();
    bench.run(&["plugin", "revoke", "words", "--clock"]).ok();
    bench.run(&["plugin", "revoke", "words"]).ok();
    let seen = events().split_off(before);
    let starts = [
        "granted the clock",
        "limits-set {\"memory\":\"1GiB\"}",
        "grant-revoked the clock",
        "grant-revoked nothing",
    ];
    assert_eq!(seen.len(), starts.len(), "{seen:?}");
    for (line, start) in seen.iter().zip(starts) {
        assert!(
            line.starts_with(start),
            "{line} does not begin with {start}"
        );
    }
    assert!(seen[0].contains("(registry file://"), "{seen:?}");
    bench.run(&["plugin", "verify"]).ok();
    // What is granted must be written down; what is taken back holds whatever became of the log.
    bench.run(&["plugin", "grant", "words", "--all"]).ok();
    fs::write(
        bench.data().join("trust.log"),
        log().replacen("granted", "trusted", 1),
    )
    .unwrap();
    bench
        .run(&["plugin", "limit", "words", "memory=2GiB"])
        .code(3)
        .tells(&["trust.log"]);
    bench
        .run(&["plugin", "revoke", "words"])
        .code(3)
        .tells(&["trust.log"]);
    let ran = bench.run(&["plugin", "grant", "words", "--json"]).ok();
    assert_eq!(ran.json()["standing"], "undecided");
}

#[test]
fn an_audit_names_plugins_for_another_plugin_api() {
    let bench = Bench::new();
    let text = manifest("old", "1.0.0", "").replace("api = \"1\"", "api = \"0.9\"");
    bench.write(".codex-ml/plugins/old.wasm", component(&text, "good", &[]));
    let rows = bench.run(&["plugin", "audit", "--json"]).code(3).json();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(rows[0]["kind"], "api-deprecated", "{rows}");
    assert!(
        rows[0]["reason"].as_str().unwrap().contains("0.9"),
        "{rows}"
    );
}
