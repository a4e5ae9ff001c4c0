#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::testing::offer;

fn lock(lines: &[&str]) -> Lock {
    let locked = |line: &&str| Locked::of(&offer(line), "../shop");
    Lock {
        plugins: lines
            .iter()
            .map(locked)
            .map(|locked| (locked.name.clone(), locked))
            .collect(),
    }
}

fn wanted(text: &str) -> Vec<Requirement> {
    text.split(", ")
        .filter_map(|one| one.split_once(' '))
        .map(|(name, versions)| Requirement {
            name: name.into(),
            versions: versions.parse().unwrap(),
            registry: None,
        })
        .collect()
}

#[test]
fn what_is_written_is_read_again_and_always_written_alike() {
    let lock = lock(&[
        "words 1.0.0 on x86_64-linux+aarch64-macos",
        "shout 1.2.0-rc.1: words ^1",
    ]);
    let text = lock.text().unwrap();
    assert_eq!(Lock::parse(&text, "lock").unwrap(), lock);
    assert_eq!(Lock::parse(&text, "lock").unwrap().text().unwrap(), text);
    let at = |word: &str| {
        text.find(word)
            .unwrap_or_else(|| panic!("{word} is not in\n{text}"))
    };
    assert!(at("name = \"shout\"") < at("name = \"words\""), "{text}");
    for word in [
        "version = 1\n",
        "url = \"../shop\"",
        "aarch64-macos = ",
        "x86_64-linux = ",
        "words = \"^1\"",
    ] {
        at(word);
    }
}

#[test]
fn a_damaged_lock_is_named() {
    let good = lock(&["shout 1.0.0"]).text().unwrap();
    let sha = sha256(b"shout 1.0.0");
    for (text, word) in [
        (
            good.replace("version = 1\n", "version = 2\n"),
            "has version 2",
        ),
        (good.replace("\nname = ", "\nnmae = "), "unknown field"),
        (good.replace(&sha, "../../etc"), "where a SHA-256 is due"),
        (
            good.replace(&sha, &sha.to_uppercase()),
            "where a SHA-256 is due",
        ),
        (good.replace("\"shout\"", "\"../up\""), "../up"),
        (good.replace("[[plugin]]", "[[plugin"), "line"),
        (
            good.clone()
                + good
                    .split_once("\n[[")
                    .map(|(_, rest)| format!("[[{rest}"))
                    .unwrap()
                    .as_str(),
            "twice",
        ),
        (String::new(), "version"),
    ] {
        let error = Lock::parse(&text, "codex-plugins.lock").unwrap_err();
        assert!(error.message().contains(word), "{error} lacks {word}");
        assert!(error.hint_text().is_some());
    }
}

#[test]
fn a_lock_answers_exactly_what_is_asked_for() {
    let lock = lock(&["shout 1.2.0: words ^1", "words 1.4.0"]);
    let none = BTreeMap::new();
    let pin = |version: &str| BTreeMap::from([("words".to_owned(), version.parse().unwrap())]);
    for (asked, pins, expected) in [
        ("shout ^1", &none, true),
        ("shout ^1, words ^1.4", &none, true),
        ("shout ^2", &none, false),
        ("shout ^1, words ^2", &none, false),
        ("words ^1", &none, false),
        ("shout ^1, caption *", &none, false),
        ("shout ^1", &pin("1.4.0"), true),
        ("shout ^1", &pin("1.3.0"), false),
    ] {
        assert_eq!(lock.answers(&wanted(asked), pins), expected, "{asked}");
    }
    let mut elsewhere = wanted("shout ^1");
    elsewhere[0].registry = Some("other".into());
    assert!(!lock.answers(&elsewhere, &none));
}

#[test]
fn changes_are_told_in_one_line_each() {
    let before = lock(&["a 1.0.0", "b 1.0.0", "c 1.0.0"]);
    let after = lock(&["b 1.1.0", "c 1.0.0", "d 0.1.0"]);
    let lines: Vec<String> = before.changes(&after).iter().map(Change::line).collect();
    assert_eq!(lines, ["- a 1.0.0", "b 1.0.0 -> 1.1.0", "+ d 0.1.0"]);
}

#[test]
fn what_is_asked_for_has_one_digest_however_it_is_written() {
    let permissions = |text: &str| -> Permissions { toml::from_str(text).unwrap() };
    let one = "clock = {reason = \"a\"}\n[[network]]\nhost = \"a\"\nreason = \"x\"\n[[network]]\nhost = \"b\"\nreason = \"x\"\n";
    let other = "clock = {reason = \"b\"}\n[[network]]\nhost = \"b\"\nreason = \"y\"\n[[network]]\nhost = \"a\"\nreason = \"z\"\n";
    let more = format!("{other}[[network]]\nhost = \"c\"\nreason = \"z\"\n");
    let digest = |text: &str| permission_digest(&permissions(text));
    assert_eq!(digest(one), digest(other));
    assert_ne!(digest(one), digest(&more));
}
