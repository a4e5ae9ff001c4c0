//! The tables of a run, of one that was killed and resumed, and what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use codex_plugin_api::serde_json::json;
use codex_plugin_api::{FromConfig, NoHost, RunInfo, Tracker};
use codex_plugin_tracker_files::{FilesConfig, FilesTracker};

fn started(run: &Path, resumed: bool) -> FilesTracker {
    let mut tracker = FilesTracker::from_config(FilesConfig::default(), NoHost::shared()).unwrap();
    let folder = run.to_str().unwrap().to_owned();
    tracker
        .start(&RunInfo {
            name: "run".into(),
            folder,
            resumed,
            config: json!({}),
        })
        .unwrap();
    tracker
}

/// What a run of `steps` steps says after step `from`: an evaluation every third step, on two splits from step 6 on.
fn events(from: u64, to: u64) -> String {
    let mut lines = String::new();
    for step in from..=to {
        let event = json!({"event": "step", "time": step * 10, "step": step, "loss": 1.0 / step as f64, "tokens": 64});
        writeln!(lines, "{event}").unwrap();
        if step.is_multiple_of(3) {
            let event = json!({"event": "evaluation", "time": step * 10, "step": step, "split": "validation", "metrics": {"loss": 0.5}});
            writeln!(lines, "{event}").unwrap();
            if step >= 6 {
                let metrics = json!({"loss": 0.25, "bits_per_byte": 1e-7, "odd, \"name\"": "x\ny"});
                let event = json!({"event": "evaluation", "time": step * 10, "step": step, "split": "test", "metrics": metrics});
                writeln!(lines, "{event}").unwrap();
            }
            writeln!(
                lines,
                "{}",
                json!({"event": "checkpoint", "step": step, "path": "x"})
            )
            .unwrap();
        }
    }
    lines
}

fn tables(run: &Path) -> [String; 2] {
    ["steps.csv", "evaluations.csv"]
        .map(|file| fs::read_to_string(run.join("metrics").join(file)).unwrap())
}

fn uninterrupted() -> [String; 2] {
    let run = tempfile::tempdir().unwrap();
    let mut tracker = started(run.path(), false);
    for step in 1..=9 {
        tracker.events(&events(step, step)).unwrap();
    }
    tracker.finish().unwrap();
    tables(run.path())
}

#[test]
fn steps_and_evaluations_become_tables() {
    let [steps, evaluations] = uninterrupted();
    assert_eq!(steps.lines().count(), 10);
    assert_eq!(
        steps.lines().take(3).collect::<Vec<_>>(),
        ["step,time,loss,tokens", "1,10,1.0,64", "2,20,0.5,64"]
    );
    let expected = "step,split,time,loss,bits_per_byte,\"odd, \"\"name\"\"\"\n\
                    3,validation,30,0.5,,\n\
                    6,validation,60,0.5,,\n6,test,60,0.25,1e-7,\"x\ny\"\n\
                    9,validation,90,0.5,,\n9,test,90,0.25,1e-7,\"x\ny\"\n";
    assert_eq!(evaluations, expected);
}

#[test]
fn every_batch_is_in_the_file_at_once() {
    let run = tempfile::tempdir().unwrap();
    let mut tracker = started(run.path(), false);
    tracker.events(&events(1, 2)).unwrap();
    let steps = run.path().join("metrics/steps.csv");
    assert_eq!(fs::read_to_string(&steps).unwrap().lines().count(), 3);
    tracker.events("").unwrap();
    tracker.events("{\"event\":\"run_finished\"}\n\n").unwrap();
    assert_eq!(fs::read_to_string(&steps).unwrap().lines().count(), 3);
    assert!(!run.path().join("metrics/evaluations.csv").exists());
}

/// The run got to step `killed`, its record to step `kept` (cut there by the host), its tables to step `written`.
fn resumed(record: bool, written: u64, kept: u64) -> [String; 2] {
    let run = tempfile::tempdir().unwrap();
    let mut tracker = started(run.path(), false);
    tracker.events(&events(1, written)).unwrap();
    drop(tracker);
    if record {
        fs::write(run.path().join("events.ndjson"), events(1, kept)).unwrap();
    }
    let mut tracker = started(run.path(), true);
    tracker
        .events("{\"event\":\"warning\",\"message\":\"resumed\"}\n")
        .unwrap();
    for step in kept + 1..=9 {
        tracker.events(&events(step, step)).unwrap();
    }
    tracker.finish().unwrap();
    tables(run.path())
}

#[test]
fn a_resumed_run_has_the_tables_of_one_left_alone() {
    let expected = uninterrupted();
    for kept in 0..=9 {
        for written in 0..=9 {
            assert_eq!(
                resumed(true, written, kept),
                expected,
                "record to {kept}, tables to {written}"
            );
            if written >= kept && kept < 9 {
                assert_eq!(
                    resumed(false, written, kept),
                    expected,
                    "no record, resumed after {kept}, tables to {written}"
                );
            }
        }
    }
}

#[test]
fn an_evaluation_that_is_sent_again_is_there_once() {
    let expected = uninterrupted();
    let run = tempfile::tempdir().unwrap();
    let mut tracker = started(run.path(), false);
    tracker.events(&events(1, 8)).unwrap();
    drop(tracker);
    // The host cuts its record after the trackers started, and goes on with the second evaluation of step 6.
    fs::write(
        run.path().join("events.ndjson"),
        events(1, 8) + "{\"event\":\"step\",\"st",
    )
    .unwrap();
    let mut tracker = started(run.path(), true);
    let again: String = events(6, 9)
        .lines()
        .skip(2)
        .fold(String::new(), |text, line| text + line + "\n");
    tracker.events(&again).unwrap();
    tracker.finish().unwrap();
    assert_eq!(tables(run.path()), expected);
}

#[test]
fn a_new_run_does_not_keep_older_tables() {
    let run = tempfile::tempdir().unwrap();
    let mut tracker = started(run.path(), false);
    tracker.events(&events(1, 9)).unwrap();
    tracker.finish().unwrap();
    let mut tracker = started(run.path(), false);
    tracker.events(&events(1, 1)).unwrap();
    assert_eq!(
        fs::read_to_string(run.path().join("metrics/steps.csv"))
            .unwrap()
            .lines()
            .count(),
        2
    );
    assert!(!run.path().join("metrics/evaluations.csv").exists());
}

#[test]
fn folders_outside_the_run_and_broken_events_are_refused() {
    for folder in [
        "",
        "..",
        "../x",
        "a/../../b",
        "/tmp",
        "a//b",
        "C:\\x",
        "\\\\server",
        ".",
    ] {
        let error = FilesTracker::from_config(
            FilesConfig {
                folder: folder.into(),
            },
            NoHost::shared(),
        )
        .err()
        .unwrap();
        assert!(
            error.message().contains("is not a folder inside"),
            "{folder}: {error}"
        );
    }
    let run = tempfile::tempdir().unwrap();
    let mut tracker = FilesTracker::from_config(
        FilesConfig {
            folder: "a/b".into(),
        },
        NoHost::shared(),
    )
    .unwrap();
    assert_eq!(
        tracker.events("{}").unwrap_err().message(),
        "events came before the run started"
    );
    tracker.finish().unwrap();
    let folder = run.path().to_str().unwrap().to_owned();
    tracker
        .start(&RunInfo {
            name: "run".into(),
            folder,
            resumed: false,
            config: json!({}),
        })
        .unwrap();
    assert_eq!(
        tracker.events("{\"event\"").unwrap_err().message(),
        "an event is not JSON: {\"event\""
    );
    tracker.events(&events(1, 3)).unwrap();
    assert!(run.path().join("a/b/evaluations.csv").is_file());

    let blocked = tempfile::tempdir().unwrap();
    fs::write(blocked.path().join("metrics"), "a file").unwrap();
    let mut tracker = FilesTracker::from_config(FilesConfig::default(), NoHost::shared()).unwrap();
    let folder = blocked.path().to_str().unwrap().to_owned();
    let error = tracker
        .start(&RunInfo {
            name: "run".into(),
            folder,
            resumed: false,
            config: json!({}),
        })
        .unwrap_err();
    assert!(error.message().starts_with("cannot create"), "{error}");
}
