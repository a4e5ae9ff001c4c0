//! Every limit: set by the manifest, set by the user, met, and named with the value that raises it; and calls into the
//! guest that nobody sees, to which the same limits apply.

use std::time::{Duration, Instant};

use codex_plugin_api::Samples;

use super::{Cage, bytes, deed, is_plugins_fault, names};
use crate::third_party::patched;

/// A limit of the user's, what meets it, and what is said then.
const MET: [(&str, &str, [&str; 2]); 6] = [
    (
        "time=100ms",
        "update:spin",
        [
            "ran longer than its limit of 100ms",
            "plugin limit hostile time=200ms",
        ],
    ),
    (
        "memory=8MiB",
        "update:allocate",
        [
            "more memory than its limit of 8MiB",
            "plugin limit hostile memory=16MiB",
        ],
    ),
    (
        "transfer=1MiB",
        "update:shout",
        [
            "more than its limit of 1MiB in one call",
            "plugin limit hostile transfer=2MiB",
        ],
    ),
    // Those that the module's own parts meet, before any of its code runs.
    (
        "table_elements=1",
        "",
        [
            "more table_elements than its limit of 1",
            "plugin limit hostile table_elements=2",
        ],
    ),
    (
        "instances=1",
        "",
        [
            "more parts than its limit of 1",
            "plugin limit hostile instances=2",
        ],
    ),
    (
        "memory=64KiB",
        "",
        [
            "more memory than its limit of 64KiB",
            "plugin limit hostile memory=128KiB",
        ],
    ),
];

#[test]
fn each_limit_of_the_user_holds_and_is_named_with_what_raises_it() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    for (setting, what, words) in MET {
        let key = setting.split('=').next().unwrap();
        cage.bench
            .run(&["plugin", "limit", "hostile", setting])
            .ok();
        let registry = cage.registry();
        let error = registry
            .create_metric("hostile", &deed(what))
            .and_then(|mut metric| metric.update(&Samples::default()))
            .unwrap_err();
        is_plugins_fault(&error);
        names(&error, &words);
        // Taken back, it works again.
        let back = format!("{key}=");
        cage.bench.run(&["plugin", "limit", "hostile", &back]).ok();
        let mut metric = cage.registry().create_metric("hostile", &deed("")).unwrap();
        metric.update(&Samples::default()).unwrap();
    }
}

#[test]
fn a_manifest_may_ask_for_less_and_gets_more_only_when_granted() {
    let Some(whole) = bytes() else { return };
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let file = cage.bench.data().join("plugins/hostile.wasm");
    let limit = |from: &str, to: &str| {
        std::fs::write(&file, patched(&whole, from.as_bytes(), to.as_bytes())).unwrap();
        let registry = cage.registry();
        let config = deed(if from.starts_with("memory") {
            "update:allocate"
        } else {
            "update:spin"
        });
        registry
            .create_metric("hostile", &config)
            .and_then(|mut metric| metric.update(&Samples::default()))
            .unwrap_err()
    };
    names(
        &limit("time = \"300ms\"", "time = \"100ms\""),
        &["limit of 100ms"],
    );
    names(
        &limit("memory = \"64MiB\"", "memory = \"16MiB\""),
        &["limit of 16MiB"],
    );
    // Beyond the default it is one thing more that is asked for, so that the user decides again.
    let more = limit("memory = \"64MiB\"", "memory = \"300MB\"");
    names(
        &more,
        &[
            "now asks for something else than you granted",
            "memory",
            "codex-ml plugin grant hostile --all",
        ],
    );
    cage.bench
        .run(&["plugin", "grant", "hostile", "--none"])
        .ok();
    // Taking that much takes its time.
    cage.bench
        .run(&["plugin", "limit", "hostile", "time=1m"])
        .ok();
    names(
        &limit("memory = \"64MiB\"", "memory = \"300MB\""),
        &["limit of 256MiB"],
    );
    cage.bench
        .run(&["plugin", "grant", "hostile", "--limits"])
        .ok();
    let granted = limit("memory = \"64MiB\"", "memory = \"300MB\"");
    assert!(granted.message().contains("more memory"), "{granted}");
    assert!(!granted.message().contains("256MiB"), "{granted}");
}

#[test]
fn making_room_and_giving_it_back_are_calls_like_any_other() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    for (what, words) in [
        // The host passes arguments in, and the guest makes no room for them.
        (
            "arguments:spin",
            &["ran longer than its limit of 300ms"][..],
        ),
        // The answer is there, and the guest does not take its room back.
        (
            "compute:spin-after",
            &["ran longer than its limit of 300ms"],
        ),
        ("compute:trap-after", &["it stopped itself"]),
    ] {
        let begun = Instant::now();
        let error = registry
            .create_metric("hostile", &deed(what))
            .and_then(|mut metric| {
                metric.merge(b"state")?;
                metric.compute()
            })
            .unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        is_plugins_fault(&error);
        names(&error, words);
    }
}

#[test]
fn a_guest_that_makes_no_room_for_the_hosts_answer_is_ended() {
    let Some(cage) = Cage::new() else { return };
    cage.bench
        .run(&["plugin", "grant", "hostile", "--environment", "HOSTILE_KEY"])
        .ok();
    let mut command =
        cage.bench
            .command(&["hostile", "spin-when-answered", "--with", "HOSTILE_KEY"]);
    let begun = Instant::now();
    let ran = crate::bench::Ran::new(
        &["hostile", "spin-when-answered"],
        command.env("HOSTILE_KEY", "a secret").output().unwrap(),
    );
    ran.fails(
        3,
        &["ran longer than its limit of 300ms", "hostile 0.1.0", "run"],
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_text_that_is_no_utf8_is_the_guests_fault() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let metric = cage
        .registry()
        .create_metric("hostile", &deed("compute:utf8"))
        .unwrap();
    let error = metric.compute().unwrap_err();
    is_plugins_fault(&error);
    names(&error, &["metric hostile, compute", "utf-8"]);
}
