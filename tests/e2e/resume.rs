//! What survives: kill -9 anywhere, Ctrl-C, damaged checkpoints, full and read-only disks.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::{Bench, Ran, built};
use crate::first_steps::events;

const RUN: [&str; 8] = [
    "train",
    "run.name=r",
    "training.steps=60",
    "training.evaluate_every=15",
    "training.checkpoint_every=10",
    "training.keep_last=2",
    "data.documents=300",
    "model.dropout=0.1",
];

/// The events of run `r` without what measures time.
pub(crate) fn timeless(bench: &Bench) -> Vec<Value> {
    events(bench, "r")
        .into_iter()
        .map(|mut event| {
            if let Some(fields) = event.as_object_mut() {
                fields.retain(|key, _| {
                    key != "time" && !key.contains("per_second") && !key.contains("seconds")
                });
            }
            event
        })
        .collect()
}

fn weights(bench: &Bench) -> Vec<u8> {
    fs::read(bench.work().join("runs/r/model/model.safetensors")).unwrap()
}

fn lines(bench: &Bench) -> usize {
    fs::read_to_string(bench.work().join("runs/r/events.ndjson"))
        .map_or(0, |text| text.lines().count())
}

/// Waits until the run has written `count` events; false when it ended before.
pub(crate) fn wait_for_events(
    bench: &Bench,
    child: &mut std::process::Child,
    count: usize,
) -> bool {
    let start = Instant::now();
    while lines(bench) < count {
        assert!(
            start.elapsed() < Duration::from_mins(2),
            "the run writes no events"
        );
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn a_run_that_was_killed_again_and_again_ends_as_if_it_had_not() {
    let alone = Bench::new();
    alone.run(&RUN).ok();

    let killed = Bench::new();
    let mut child = killed.start(&RUN);
    let mut kills = 0;
    // Each kill falls a few events after the last: in steps, in evaluations, in checkpoints and in the export.
    for count in [0, 1, 5, 11, 12, 19, 27, 34, 41, 52, 60, 66, 70] {
        if !wait_for_events(&killed, &mut child, count) {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        child = killed.start(&["train", "--resume", "r"]);
        if !killed.work().join("runs/r/config.yaml").exists() {
            // Killed before the run existed: there is nothing to resume, so begin again.
            child.wait().unwrap();
            child = killed.start(&RUN);
        }
    }
    let ended = Ran::new(
        &["train", "--resume", "r"],
        child.wait_with_output().unwrap(),
    );
    ended.ok();
    assert!(kills >= 5, "only {kills} kills");
    assert_eq!(weights(&alone), weights(&killed), "the weights differ");
    let (left, right) = (timeless(&alone), timeless(&killed));
    let steps = |events: &[Value]| -> Vec<Value> {
        events
            .iter()
            .filter(|event| event["event"] != "run_started")
            .cloned()
            .collect()
    };
    assert_eq!(steps(&left), steps(&right));
}

#[test]
fn ctrl_c_saves_a_checkpoint_and_resume_continues() {
    let bench = Bench::new();
    let mut child = bench.start(&RUN);
    assert!(wait_for_events(&bench, &mut child, 8));
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let ran = Ran::new(&RUN, child.wait_with_output().unwrap());
    ran.code(130).tells(&["--resume"]);
    let resumed = bench.run(&["train", "--resume"]).ok();
    drop(resumed);
    let alone = Bench::new();
    alone.run(&RUN).ok();
    assert_eq!(weights(&alone), weights(&bench));
}

/// The newest checkpoint's folder.
fn newest(bench: &Bench) -> PathBuf {
    let mut folders: Vec<PathBuf> = fs::read_dir(bench.work().join("runs/r/checkpoints"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.is_dir()
                && path
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("step-")
        })
        .collect();
    folders.sort();
    folders.pop().unwrap()
}

fn interrupted_run() -> Bench {
    let bench = Bench::new();
    let mut child = bench.start(&RUN);
    assert!(wait_for_events(&bench, &mut child, 30));
    child.kill().unwrap();
    child.wait().unwrap();
    bench
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_is_used() {
    for damage in ["truncated", "flipped"] {
        let bench = interrupted_run();
        let file = newest(&bench).join("model.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        if damage == "truncated" {
            bytes.truncate(bytes.len() / 2);
        } else {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
        }
        fs::write(&file, bytes).unwrap();
        bench
            .run(&["train", "--resume", "r"])
            .ok()
            .tells(&["warning:", "model.safetensors"]);
    }
}

#[test]
fn with_every_checkpoint_damaged_resume_refuses() {
    let bench = interrupted_run();
    for entry in fs::read_dir(bench.work().join("runs/r/checkpoints"))
        .unwrap()
        .flatten()
    {
        if entry.path().is_dir() {
            fs::write(entry.path().join("model.safetensors"), b"short").unwrap();
        }
    }
    bench
        .run(&["train", "--resume", "r"])
        .fails(4, &["checkpoint"]);
}

#[test]
fn a_run_folder_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    bench.write("blocked", "a file where a folder is due");
    bench
        .run(&[
            "train",
            "run.dir=blocked",
            "training.steps=1",
            "data.documents=100",
        ])
        .fails(1, &["blocked"]);
    if cfg!(target_os = "linux") {
        // /proc refuses new folders even to root, as a read-only disk does.
        bench
            .run(&[
                "train",
                "run.dir=/proc/runs",
                "training.steps=1",
                "data.documents=100",
            ])
            .fails(1, &["/proc/runs"]);
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_run_and_loses_no_checkpoint() {
    let bench = Bench::new();
    bench.run(&quick_steps(20)).ok();
    // A limit on the size of a file stands for a full disk: the system refuses to write further.
    let program = built().join("codex-ml");
    let script = format!(
        "trap '' XFSZ; ulimit -f 200; exec '{}' train run.name=full training.steps=60 training.checkpoint_every=5 data.documents=300",
        program.display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    bench.prepare(&mut command);
    let ran = Ran::new(&["train on a full disk"], command.output().unwrap());
    let ran = ran.fails(1, &["full"]);
    assert!(ran.stderr.contains("because:"), "{}", ran.stderr);
    let folder = bench.work().join("runs/full/checkpoints");
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(
            !name.starts_with("step-") || entry.path().join("manifest.json").is_file(),
            "{name} is half written"
        );
    }
}

#[cfg(unix)]
fn quick_steps(steps: u32) -> Vec<&'static str> {
    let steps: &'static str = Box::leak(format!("training.steps={steps}").into_boxed_str());
    vec!["train", "run.name=first", steps, "data.documents=300"]
}

#[test]
fn two_processes_do_not_train_in_one_folder() {
    let bench = Bench::new();
    let mut child = bench.start(&RUN);
    assert!(wait_for_events(&bench, &mut child, 3));
    bench.run(&["train", "--resume", "r"]).fails(2, &["runs/r"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let bench = Bench::new();
    bench.run(&quick_steps(2)).ok();
    bench
        .run(&quick_steps(2))
        .fails(2, &["first"])
        .tells(&["--resume"]);
}
