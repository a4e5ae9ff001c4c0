//! Loops, allocations, traps: what is met is named with the command that raises it, and the next instance works.

use std::time::{Duration, Instant};

use codex_plugin_api::{Ids, Metric, Samples};

use super::{Cage, deed, is_plugins_fault, names};

fn update(metric: &mut dyn Metric) -> codex_plugin_api::Result<()> {
    metric.update(&Samples {
        count: 1,
        byte_lengths: &[1],
        targets: Ids::new(&[1], &[0, 1]).unwrap(),
        log_probabilities: &[-1.0],
        ..Samples::default()
    })
}

#[test]
fn endless_work_meets_its_limit_and_the_host_goes_on() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    for (what, words) in [
        (
            "spin",
            &[
                "ran longer than its limit of 300ms",
                "plugin limit hostile time=600ms",
            ][..],
        ),
        (
            "allocate",
            &[
                "needs more memory than its limit of 64MiB",
                "plugin limit hostile memory=128MiB",
            ],
        ),
        ("recurse", &["exhausted its stack"]),
        (
            "recurse-in-memory",
            &["reached beyond its memory, most likely by a recursion without end"],
        ),
        ("trap", &["it stopped itself"]),
        ("panic", &["a guest lost its nerve"]),
    ] {
        let config = deed(&format!("update:{what}"));
        let mut metric = registry.create_metric("hostile", &config).unwrap();
        let begun = Instant::now();
        let error = update(metric.as_mut()).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        is_plugins_fault(&error);
        names(&error, words);
        names(&error, &["metric hostile", "update"]);
        // What was stopped stays stopped; another instance of the same plugin is as good as new.
        let again = metric.compute().unwrap_err();
        names(&again, &["it was stopped before"]);
        let mut fresh = registry.create_metric("hostile", &deed("")).unwrap();
        update(fresh.as_mut()).unwrap();
        assert_eq!(fresh.compute().unwrap()[0].name, "harmless");
    }
}

#[test]
fn a_trap_in_any_call_is_an_error_of_that_call() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    for call in ["create", "needs"] {
        let config = deed(&format!("{call}:trap"));
        let error = registry
            .create_metric("hostile", &config)
            .map(drop)
            .unwrap_err();
        is_plugins_fault(&error);
        names(&error, &["it stopped itself"]);
    }
    type Call = fn(&mut dyn Metric) -> Option<codex_plugin_api::Error>;
    let calls: [(&str, Call); 4] = [
        ("update", |metric| update(metric).err()),
        ("state", |metric| metric.state().err()),
        ("merge", |metric| metric.merge(b"x").err()),
        ("compute", |metric| metric.compute().err()),
    ];
    for (name, call) in calls {
        let config = deed(&format!("{name}:trap"));
        let mut metric = registry.create_metric("hostile", &config).unwrap();
        let error = call(metric.as_mut()).unwrap();
        is_plugins_fault(&error);
        names(&error, &["it stopped itself", name]);
    }
    let mut tracker = registry
        .create_tracker("hostile", &deed("events:trap"))
        .unwrap();
    is_plugins_fault(&tracker.events("{}\n").unwrap_err());
    let dataset = registry
        .create_dataset("hostile", &deed("read:trap"))
        .unwrap();
    is_plugins_fault(&dataset.read(0, 1).unwrap_err());
    let dataset = registry
        .create_dataset("hostile", &deed("info:trap"))
        .unwrap();
    is_plugins_fault(&dataset.info().unwrap_err());
}

#[test]
fn lists_that_no_memory_holds_and_too_much_at_once_are_refused() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    let metric = registry
        .create_metric("hostile", &deed("state:lie"))
        .unwrap();
    is_plugins_fault(&metric.state().unwrap_err());
    let metric = registry
        .create_metric("hostile", &deed("state:transfer"))
        .unwrap();
    let error = metric.state().unwrap_err();
    is_plugins_fault(&error);
    names(
        &error,
        &[
            "handed over more than its limit of 16MiB",
            "plugin limit hostile transfer=32MiB",
        ],
    );
}

#[test]
fn a_limit_that_was_raised_holds() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    cage.bench
        .run(&["plugin", "limit", "hostile", "transfer=64MiB", "time=100ms"])
        .ok();
    let registry = cage.registry();
    let metric = registry
        .create_metric("hostile", &deed("state:transfer"))
        .unwrap();
    assert_eq!(metric.state().unwrap().len(), 20 << 20);
    let mut metric = registry
        .create_metric("hostile", &deed("update:spin"))
        .unwrap();
    names(&update(metric.as_mut()).unwrap_err(), &["limit of 100ms"]);
    // More than any clock can count is as good as no limit, and no panic.
    cage.bench
        .run(&["plugin", "limit", "hostile", "time=500000000000years"])
        .ok();
    let registry = cage.registry();
    let mut metric = registry.create_metric("hostile", &deed("")).unwrap();
    update(metric.as_mut()).unwrap();
    let mut metric = registry
        .create_metric("hostile", &deed("update:allocate"))
        .unwrap();
    names(&update(metric.as_mut()).unwrap_err(), &["more memory"]);
}

#[test]
fn an_endless_guest_behind_a_host_call_ends_both() {
    let Some(cage) = Cage::new() else { return };
    cage.bench
        .run(&["plugin", "grant", "hostile", "--components", "metric"])
        .ok();
    let begun = Instant::now();
    cage.try_to("create-spinning", "")
        .code(3)
        .tells(&["ran longer than its limit of 300ms", "hostile 0.1.0"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
    // The same behind a call of a component that it already holds.
    cage.try_to("use-metric", "")
        .code(3)
        .tells(&["ran longer than its limit of 300ms", "hostile 0.1.0"]);
    cage.try_to("create-itself", "")
        .code(3)
        .tells(&["more than 64 components at once"]);
}

#[test]
fn scores_that_are_no_numbers_and_words_that_move_the_cursor_do_no_harm() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    let metric = registry
        .create_metric("hostile", &deed("compute:numbers"))
        .unwrap();
    let scores = metric.compute().unwrap();
    assert!(scores[0].value.is_nan() && scores[1].value.is_infinite());
    // As JSON they are nothing, and the report is whole.
    let text = serde_json::to_string(&scores).unwrap();
    assert!(text.contains("null"), "{text}");
    let metric = registry
        .create_metric("hostile", &deed("compute:error"))
        .unwrap();
    let error = metric.compute().unwrap_err();
    names(&error, &["two lines"]);
    // Two hundred thousand scores: more than a report can use, and no reason to fall over.
    let metric = registry
        .create_metric("hostile", &deed("compute:many"))
        .unwrap();
    let _ = metric.compute();
    let mut metric = registry
        .create_metric("hostile", &deed("update:log"))
        .unwrap();
    update(metric.as_mut()).unwrap();
}

/// Bytes of this process in memory.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_instances_leave_nothing_behind() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    let cycle = || {
        let mut metric = registry.create_metric("hostile", &deed("")).unwrap();
        update(metric.as_mut()).unwrap();
    };
    (0..500).for_each(|_| cycle());
    let before = resident();
    (0..10_000).for_each(|_| cycle());
    let grown = resident().saturating_sub(before);
    // Other tests of this process run meanwhile; one leaked instance alone has more than a megabyte.
    assert!(
        grown < 300 << 20,
        "{grown} bytes more after 10,000 instances"
    );
}
