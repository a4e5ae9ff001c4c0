//! Guests that fail in the middle of a run: with a metric or a tracker less it goes on, without its dataset, tokenizer or
//! model it stops, and what was saved is whole.

use std::fs;

use super::{Cage, traps};
use crate::bench::Ran;

/// A run of which everything but its trackers and metrics is the hostile plugin's.
const RUN: [&str; 9] = [
    "train",
    "run.name=r",
    "data.name=hostile",
    "tokenizer.name=hostile",
    "model.name=hostile",
    "training.steps=6",
    "training.evaluate_every=2",
    "training.checkpoint_every=2",
    "training.keep_last=9",
];

fn train(cage: &Cage, settings: &[&str]) -> Ran {
    let _ = fs::remove_dir_all(cage.bench.work().join("runs"));
    cage.bench.run(&[&RUN[..], settings].concat())
}

/// The exports of a kind in the WIT, but for `create`.
fn exports(kind: &str) -> Vec<String> {
    let all = traps::exports();
    let (_, functions) = all.into_iter().find(|(name, _)| name == kind).unwrap();
    functions
        .into_iter()
        .filter(|name| name != "create")
        .collect()
}

/// The run is at its end, with its model.
#[track_caller]
fn finished(cage: &Cage, ran: Ran) -> Ran {
    assert!(
        cage.bench.work().join("runs/r/model/config.json").is_file(),
        "{}",
        ran.stderr
    );
    ran.ok().shows(&["bits_per_byte"])
}

#[test]
fn a_tracker_that_traps_is_heard_of_once_and_the_run_goes_on() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    for export in exports("tracker") {
        let tracker = format!("trackers=[files,{{name: hostile, deed: '{export}:trap'}}]");
        let ran = finished(&cage, train(&cage, &[&tracker]));
        let named = format!(
            "warning: tracker hostile failed and hears no more of this run: plugin hostile 0.1.0 panicked in tracker \
             hostile, {export}: it stopped itself"
        );
        assert_eq!(ran.stderr.matches(&named).count(), 1, "{}", ran.stderr);
    }
    // One that cannot even be made is found out before there is a run.
    train(&cage, &["trackers=[{name: hostile, deed: 'create:trap'}]"])
        .fails(3, &["plugin hostile 0.1.0", "tracker hostile, create"]);
    assert!(!cage.bench.work().join("runs").exists());
}

#[test]
fn a_metric_that_traps_is_left_out_and_the_run_goes_on() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    for export in exports("metric") {
        let metric = format!("metrics=[lm,{{name: hostile, deed: '{export}:trap'}}]");
        let ran = train(&cage, &[&metric]);
        match export.as_str() {
            // Asked when it is made, before there is a run.
            "needs" => {
                ran.fails(
                    3,
                    &[
                        "plugin hostile 0.1.0",
                        "metric hostile",
                        "asked for its needs",
                    ],
                );
            }
            // One process evaluates at a time: there is nothing to merge.
            "state" | "merge" => {
                let ran = finished(&cage, ran);
                assert!(!ran.stderr.contains("warning:"), "{}", ran.stderr);
            }
            _ => {
                finished(&cage, ran).tells(&[&format!(
                    "warning: metric hostile failed: plugin hostile 0.1.0 panicked in metric hostile, {export}: it \
                     stopped itself"
                ), "going on without it"]);
            }
        }
    }
}

#[test]
fn a_limit_that_is_met_in_a_run_is_named_with_the_command_that_raises_it() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let ran = train(
        &cage,
        &[
            "metrics=[lm,{name: hostile, deed: 'update:spin'}]",
            "trackers=[{name: hostile, deed: 'start:allocate'}]",
        ],
    );
    finished(&cage, ran).tells(&[
        "metric hostile failed: it ran longer than its limit of 300ms (plugin hostile 0.1.0, metric hostile, update)",
        "hint: if it is meant to, raise the limit: codex-ml plugin limit hostile time=600ms",
        "tracker hostile failed and hears no more of this run: it needs more memory than its limit of 64MiB",
        "(plugin hostile 0.1.0, tracker hostile, start)",
        "codex-ml plugin limit hostile memory=128MiB",
    ]);
    train(&cage, &["model.deed=forward-backward:spin"])
        .fails(
            3,
            &[
                "it ran longer than its limit of 300ms",
                "plugin hostile 0.1.0, model hostile, forward_backward",
            ],
        )
        .tells(&[
            "hint: if it is meant to, raise the limit: codex-ml plugin limit hostile time=600ms",
        ]);
    train(&cage, &["data.deed=read:allocate"])
        .fails(
            3,
            &[
                "it needs more memory than its limit of 64MiB",
                "plugin hostile 0.1.0, dataset hostile, read",
            ],
        )
        .tells(&["codex-ml plugin limit hostile memory=128MiB"]);
}

/// What no training run calls, by kind: each is tried by itself in `traps`.
const NOT_CALLED: [(&str, &[&str]); 3] = [
    ("dataset", &[]),
    (
        "tokenizer",
        &[
            "decode",
            "token-bytes",
            "token-texts",
            "token-id",
            "feed",
            "finish-training",
        ],
    ),
    (
        "model",
        &[
            "import-state",
            "embed",
            "open-session",
            "extend-sessions",
            "truncate-session",
            "close-session",
            "sites",
            "add-adapter",
            "load-adapter",
            "save-adapter",
            "activate-adapters",
            "merge-adapter",
        ],
    ),
];

#[test]
fn a_dataset_a_tokenizer_or_a_model_that_traps_stops_the_run() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    for (kind, not_called) in NOT_CALLED {
        let section = if kind == "dataset" { "data" } else { kind };
        let mut all = exports(kind);
        all.push("create".to_owned());
        for export in all {
            let ran = train(&cage, &[&format!("{section}.deed={export}:trap")]);
            if not_called.contains(&export.as_str()) {
                finished(&cage, ran);
            } else {
                let call = export.replace('-', "_").replace("do_", "");
                ran.fails(
                    3,
                    &["plugin hostile 0.1.0", &format!("{kind} hostile"), &call],
                );
            }
        }
    }
}

#[test]
fn a_model_that_traps_late_leaves_whole_checkpoints_and_a_run_that_can_be_resumed() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    train(&cage, &["model.deed=forward-backward:trap-later"]).fails(
        3,
        &["plugin hostile 0.1.0", "model hostile, forward_backward"],
    );
    let checkpoints = cage.bench.work().join("runs/r/checkpoints");
    for step in [2, 4] {
        let folder = checkpoints.join(format!("step-{step:08}"));
        assert!(folder.join("manifest.json").is_file(), "step {step}");
    }
    // Its fifth call in a process is the one that traps, and only two steps are left.
    let ran = cage.bench.run(&["train", "--resume", "r"]);
    finished(&cage, ran).tells(&["continuing r after step 4 of 6"]);
}
