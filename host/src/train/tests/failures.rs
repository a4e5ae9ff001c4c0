//! What goes wrong in a run, and what is left of it then.

use std::fs;
use std::path::Path;

use codex_plugin_api::ErrorKind;
use serde_json::json;

use super::{Bench, checkpoints, events, same};
use crate::testing;
use crate::train::events::{Events, Trackers};
use crate::train::{checkpoint, find, resume};

#[test]
fn an_infinite_loss_stops_with_step_batch_and_hint() {
    for (fault, message) in [
        ("nan", "the loss is NaN at step 5 (epoch "),
        ("bad-norm", "the gradient norm is NaN at step 5 (epoch "),
    ] {
        let bench = Bench::new();
        let error = bench
            .start(&[&format!("model.fault={fault}"), "model.at=5"])
            .unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
        assert!(
            error
                .hint_text()
                .unwrap()
                .contains("training.learning_rate"),
            "{error}"
        );
        assert!(
            error.hint_text().unwrap().contains("step-00000004"),
            "{:?}",
            error.hint_text()
        );
        let events = events(&bench.run());
        let last = events.last().unwrap();
        assert_eq!(
            (&last["status"], &last["steps"]),
            (&json!("failed"), &json!(4))
        );
        assert_eq!(last["error"], error.message());
        assert_eq!(
            checkpoints(&bench.run()),
            ["step-00000003", "step-00000004"]
        );
        assert!(!bench.run().join("model").exists());
    }
}

#[test]
fn the_first_step_names_parameters_without_a_gradient() {
    let bench = Bench::new();
    let error = bench.start(&["model.fault=no-gradient"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin);
    assert_eq!(
        error.message(),
        "2 of 3 trainable parameters received no gradient at step 1: extra.a, extra.b"
    );
    let bench = Bench::new();
    let error = bench.start(&["model.fault=bad-gradient"]).unwrap_err();
    assert!(
        error.message().starts_with(
            "the gradients of 1 of 1 trainable parameters are not finite at step 1 (epoch 0"
        ),
        "{error}"
    );
    assert!(error.message().ends_with(": table"), "{error}");
}

#[test]
fn names_and_folders_that_cannot_be_are_refused_before_any_work() {
    let bench = Bench::new();
    bench.start(&[]).unwrap();
    let error = bench.start(&[]).unwrap_err();
    assert!(
        error.message().starts_with("there is already a run \"r\""),
        "{error}"
    );
    assert!(error.hint_text().unwrap().contains("--resume r"), "{error}");

    fs::write(bench.root.path().join("file"), "").unwrap();
    let dir = format!("run.dir={}", bench.root.path().join("file/runs").display());
    let error = bench.start(&[&dir]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.message().contains("file/runs"), "{error}");

    let error = resume(
        &bench.root.path().join("nothing"),
        None,
        &[],
        &bench.fakes,
        &bench.app,
    )
    .unwrap_err();
    assert!(error.message().contains("is not a run folder"), "{error}");
    let runs = bench.root.path().join("runs");
    let error = find(&runs, Some("q"), &bench.app).unwrap_err();
    assert!(
        error.message().starts_with("there is no run \"q\""),
        "{error}"
    );
    let error = find(&runs, None, &bench.app).unwrap_err();
    assert!(
        error.message().starts_with("there is no unfinished run"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_loses_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    bench
        .start(&["model.fault=error", "model.at=5"])
        .unwrap_err();
    let folder = bench.run().join("checkpoints");
    let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    if fs::write(folder.join("probe"), "").is_ok() {
        let app = testing::app();
        app.output
            .warn("skipped: this user may write into folders that are read-only");
        mode(0o755);
        return;
    }
    let error = bench.resume().unwrap_err();
    mode(0o755);
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.hint_text().unwrap().contains("writable"), "{error}");
    assert_eq!(
        checkpoints(&bench.run()),
        ["step-00000003", "step-00000004"]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_with_the_file_named() {
    let app = testing::app();
    let error = Events::open(
        Path::new("/dev/full"),
        0,
        Trackers::default(),
        testing::no_sanitizers(),
    )
    .and_then(|mut events| events.add("step", json!({}), &app))
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.message().contains("/dev/full"), "{error}");
}

#[test]
fn trackers_hear_every_event_and_a_bad_one_hurts_nobody() {
    let bench = Bench::new();
    bench.start(&["trackers=[bad, list]"]).unwrap();
    let heard = bench.fakes.heard.lock().unwrap().clone();
    let good: Vec<&String> = heard
        .iter()
        .filter(|line| !line.starts_with("bad"))
        .collect();
    let expected: Vec<String> = events(&bench.run())
        .iter()
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(good[0], "start r false");
    assert_eq!(
        good[1..good.len() - 1]
            .iter()
            .map(|line| line.as_str())
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(good[good.len() - 1], "finish");
    assert_eq!(
        heard
            .iter()
            .filter(|line| line.starts_with("bad"))
            .collect::<Vec<_>>(),
        ["bad start r false"]
    );
}

#[test]
fn mistakes_in_sections_name_their_origin_and_leave_nothing_behind() {
    for (setting, message) in [
        ("data.row=3", "unknown key data.row (command line)"),
        (
            "data.name=unknown",
            "there is no dataset \"unknown\" (data.name, command line)",
        ),
        ("sanitizers=[x]", "there is no sanitizer \"x\""),
        (
            "training.schedule_options.lr_end=3 training.schedule=polynomial",
            "training.schedule_options.lr_end is 3",
        ),
        (
            "training.early_stopping.patience=1 metrics=[other]",
            "training.early_stopping is set, but no metric",
        ),
    ] {
        let bench = Bench::new();
        let settings: Vec<&str> = setting.split(' ').collect();
        let error = bench.start(&settings).unwrap_err();
        assert!(error.message().starts_with(message), "{setting}: {error}");
        assert_eq!(error.kind(), ErrorKind::Config);
        let left: Vec<_> = fs::read_dir(bench.root.path().join("runs"))
            .into_iter()
            .flatten()
            .collect();
        assert!(
            left.is_empty() || setting.starts_with("training.early"),
            "{left:?}"
        );
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_earlier_ones() {
    let whole = Bench::new();
    whole.start(&["model.noise=0.1"]).unwrap();
    let bench = Bench::new();
    let error = bench
        .start(&["model.noise=0.1", "model.fault=full", "model.at=6"])
        .unwrap_err();
    assert!(error.message().contains("model.bin"), "{error}");
    let names = checkpoints(&bench.run());
    assert_eq!(names, ["step-00000003", "step-00000004"]);
    let left = fs::read_dir(bench.run().join("checkpoints"))
        .unwrap()
        .count();
    assert_eq!(left, 4, "two checkpoints and two names");
    for name in names {
        checkpoint::verify(&bench.run().join("checkpoints").join(name)).unwrap();
    }
    let again = bench.calm();
    again.resume().unwrap();
    same(&whole.run(), &again.run());
}
