//! A run that is killed at any moment and continued ends as one that was left alone. The disk is copied at every point
//! where a file was written or renamed; each copy is what a process killed there leaves behind.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::TempDir;

use super::super::durable::tests::watching;
use super::{Bench, checkpoints, events, same};
use crate::train::resume;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_kill_at_any_moment_does_no_harm() {
    let settings = [
        "model.noise=0.1",
        "training.steps=7",
        "training.evaluate_every=3",
        "training.checkpoint_every=2",
        "training.keep_last=1",
        "training.early_stopping.patience=9",
        "trackers=[list]",
    ];
    let bench = Bench::new();
    let copies = TempDir::new().unwrap();
    let taken: Rc<RefCell<Vec<PathBuf>>> = Rc::default();
    let (run, all, folder) = (bench.run(), Rc::clone(&taken), copies.path().to_path_buf());
    let look = move || {
        if run.join("config.yaml").exists() {
            let target = folder.join(all.borrow().len().to_string()).join("r");
            copy(&run, &target);
            all.borrow_mut().push(target);
        }
    };
    watching(look, || bench.start(&settings)).unwrap();
    let whole = events(&bench.run());
    let taken = taken.take();
    assert!(taken.len() > 60, "only {} points", taken.len());
    let (mut resumed, mut torn_resumed) = (0, 0);
    for (number, killed) in taken.iter().enumerate() {
        for torn in [false, true] {
            let run = killed
                .with_file_name(if torn { "torn" } else { "clean" })
                .join("r");
            copy(killed, &run);
            let log = run.join("events.ndjson");
            let mut text = fs::read_to_string(&log).unwrap();
            let finished = text.contains("run_finished");
            if torn {
                if finished {
                    continue;
                }
                // The process died while it wrote a line.
                text.push_str("{\"event\":\"st");
                fs::write(&log, text).unwrap();
                torn_resumed += 1;
            }
            if finished {
                assert_eq!(whole, events(&run), "point {number}");
                continue;
            }
            resume(&run, None, &[], &bench.fakes, &bench.app)
                .unwrap_or_else(|error| panic!("point {number}: {error}"));
            same(&bench.run(), &run);
            assert_eq!(
                checkpoints(&bench.run()),
                checkpoints(&run),
                "point {number}"
            );
            let left: Vec<String> = fs::read_dir(&run)
                .unwrap()
                .chain(fs::read_dir(run.join("checkpoints")).unwrap())
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.starts_with('.') && name != ".lock")
                .collect();
            assert!(left.is_empty(), "point {number}: {left:?}");
            resumed += 1;
        }
    }
    assert!(
        resumed > 100 && torn_resumed > 50,
        "{resumed} {torn_resumed}"
    );
}
