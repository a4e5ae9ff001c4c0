//! A run that is killed at any moment and continued ends as one that was left alone. The disk is copied at every point
//! where a file was written or renamed; each copy is what a process killed there leaves behind.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::super::durable::tests::watching;
use super::fakes::Fakes;
use super::{Bench, checkpoints, events, same};
use crate::testing;
use crate::train::resume;

const THREADS: usize = 8;

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
    let taken = taken.take();
    assert!(taken.len() > 60, "only {} points", taken.len());
    // Most of the time goes into waiting for the disk, so the points are tried side by side.
    let (done, whole) = (AtomicUsize::new(0), bench.run());
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            let (taken, done, whole, root) = (&taken, &done, &whole, bench.root.path());
            scope.spawn(move || {
                for number in (first..taken.len()).step_by(THREADS) {
                    for torn in [false, true] {
                        if continue_from(&taken[number], whole, torn, root) {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let done = done.into_inner();
    assert!(done > 120, "only {done} runs were continued");
}

/// Continues a copy of what a killed process left, and compares the end with that of the run that was left alone.
/// Gives whether there was something to continue.
fn continue_from(killed: &Path, whole: &Path, torn: bool, root: &Path) -> bool {
    let run = killed
        .with_file_name(if torn { "torn" } else { "clean" })
        .join("r");
    copy(killed, &run);
    let log = run.join("events.ndjson");
    let mut text = fs::read_to_string(&log).unwrap();
    if text.contains("run_finished") {
        assert_eq!(events(whole), events(&run), "{}", killed.display());
        return false;
    }
    if torn {
        // The process died while it wrote a line.
        text.push_str("{\"event\":\"st");
        fs::write(&log, text).unwrap();
    }
    let mut app = testing::app();
    app.folders.cache = Some(root.join("cache"));
    resume(&run, None, &[], &Fakes::default(), &app)
        .unwrap_or_else(|error| panic!("{}: {error}", killed.display()));
    same(whole, &run);
    assert_eq!(
        checkpoints(whole),
        checkpoints(&run),
        "{}",
        killed.display()
    );
    let left: Vec<String> = fs::read_dir(&run)
        .unwrap()
        .chain(fs::read_dir(run.join("checkpoints")).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.') && name != ".lock")
        .collect();
    assert!(left.is_empty(), "{}: {left:?}", killed.display());
    true
}
