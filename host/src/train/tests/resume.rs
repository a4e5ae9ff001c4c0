//! Runs that are taken up again: after Ctrl-C, from bad checkpoints, with something changed.

use std::fs;
use std::path::Path;

use codex_plugin_api::ErrorKind;

use super::fakes::Fakes;
use super::{Bench, checkpoints, events, same};
use crate::train::folder::{Draft, RunFolder};
use crate::train::{Status, checkpoint, resume};

#[test]
fn an_interrupted_run_goes_on_as_if_nothing_had_happened() {
    let whole = Bench::new();
    whole.start(&["model.noise=0.1"]).unwrap();
    for (fault, at, steps) in [
        ("interrupt", 5, 5),
        ("interrupt", 4, 4),
        ("interrupted", 7, 6),
        ("interrupted", 1, 0),
        ("interrupt", 10, 10),
    ] {
        let bench = Bench::new();
        let outcome = bench
            .start(&[
                "model.noise=0.1",
                &format!("model.fault={fault}"),
                &format!("model.at={at}"),
            ])
            .unwrap();
        assert_eq!(
            (outcome.status, outcome.steps, &outcome.model),
            (Status::Interrupted, steps, &None),
            "{fault} {at}"
        );
        assert_eq!(
            events(&bench.run()).last().unwrap()["status"],
            "interrupted"
        );
        let saved = bench
            .run()
            .join("checkpoints")
            .join(checkpoint::name(steps));
        assert_eq!(saved.is_dir(), steps > 0);
        let again = bench.calm();
        let outcome = again.resume().unwrap();
        assert_eq!(outcome.status, Status::Finished, "{fault} {at}");
        same(&whole.run(), &again.run());
    }
}

#[test]
fn a_bad_checkpoint_is_named_and_the_one_before_it_used() {
    type Damage = fn(&Path);
    let damage: [(&str, Damage); 4] = [
        ("is not what was written: sha-256 ", |path| {
            let mut content = fs::read(path).unwrap();
            content[100] ^= 1;
            fs::write(path, content).unwrap();
        }),
        ("has 100 bytes where 16448 were written (sha-256 ", |path| {
            let content = fs::read(path).unwrap();
            fs::write(path, &content[..100]).unwrap();
        }),
        ("is missing", |path| fs::remove_file(path).unwrap()),
        ("manifest.json is damaged", |path| {
            fs::write(
                path.with_file_name("manifest.json"),
                "{\"format\": 1, \"fil",
            )
            .unwrap();
        }),
    ];
    let whole = Bench::new();
    whole.start(&["model.noise=0.1"]).unwrap();
    for (message, damage) in damage {
        let bench = Bench::new();
        bench
            .start(&["model.noise=0.1", "model.fault=error", "model.at=8"])
            .unwrap_err();
        assert_eq!(
            checkpoints(&bench.run()),
            ["step-00000004", "step-00000006"]
        );
        let file = |step: u64| {
            bench
                .run()
                .join("checkpoints")
                .join(checkpoint::name(step))
                .join("model.bin")
        };
        let error = |step: u64| checkpoint::verify(file(step).parent().unwrap()).unwrap_err();
        damage(&file(6));
        assert!(error(6).message().contains(message), "{}", error(6));
        assert_eq!(error(6).kind(), ErrorKind::Data);
        // The fault strikes again, but only after the run went back to step 4 and forth again.
        let again = bench.resume().unwrap_err();
        assert_eq!(again.message(), "the machine is on fire");
        assert_eq!(
            checkpoints(&bench.run()),
            ["step-00000004", "step-00000006"]
        );
        checkpoint::verify(file(6).parent().unwrap()).unwrap();
        let (found, expected) = (events(&bench.run()), events(&whole.run()));
        let length = found.len() - 1;
        assert_eq!(found[1..length], expected[1..length]);

        damage(&file(6));
        damage(&file(4));
        let error = bench.resume().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(
            error.message().contains("no checkpoint of r is good")
                && error.message().contains(message),
            "{error}"
        );
    }
}

#[test]
fn what_changed_since_a_run_began_is_refused() {
    let bench = Bench::new();
    bench
        .start(&["model.fault=error", "model.at=5"])
        .unwrap_err();
    let settings = [
        "training.learning_rate=0.25".to_owned(),
        "training.steps=20".to_owned(),
    ];
    let error = resume(&bench.run(), None, &settings, &bench.fakes, &bench.app).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error
            .message()
            .ends_with("training.learning_rate was 0.5, now 0.25; training.steps was 10, now 20"),
        "{error}"
    );
    let changed = Fakes {
        suffix: " again".into(),
        ..Fakes::default()
    };
    let error = resume(&bench.run(), None, &[], &changed, &bench.app).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        error
            .message()
            .starts_with("the training documents changed"),
        "{error}"
    );
}

#[test]
fn two_processes_do_not_train_in_one_folder() {
    let bench = Bench::new();
    bench
        .start(&["model.fault=error", "model.at=5"])
        .unwrap_err();
    let _held = RunFolder::open(&bench.run()).unwrap();
    let error = bench.resume().unwrap_err();
    assert!(
        error
            .message()
            .starts_with("another process is training in"),
        "{error}"
    );
}

#[test]
fn a_run_that_was_killed_before_it_had_a_name_leaves_nothing() {
    let bench = Bench::new();
    let runs = bench.root.path().join("runs");
    for name in [".tmp-run-1-0", ".tmp-run-2-0"] {
        fs::create_dir_all(runs.join(name)).unwrap();
    }
    fs::write(runs.join(".tmp-run-1-0/.lock"), "").unwrap();
    let at_work = Draft::new(&bench.config(&["run.name=other"]).config).unwrap();
    bench.start(&[]).unwrap();
    assert!(at_work.path().is_dir());
    assert!(!runs.join(".tmp-run-1-0").exists());
    assert!(
        runs.join(".tmp-run-2-0").exists(),
        "it may have begun this moment"
    );
}
