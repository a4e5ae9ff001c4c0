//! `plugin dev`: one process, several versions of a plugin.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use super::{build, in_project, new_project, prepare_cargo};
use crate::bench::Bench;
use crate::first_steps::quick;

/// A loop that runs, and the lines that it writes.
struct Loop {
    child: Child,
    results: Receiver<String>,
    told: Receiver<String>,
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Loop {
    fn start(bench: &Bench, form: &str, words: &[&str]) -> Self {
        let mut command = bench.command(words);
        prepare_cargo(&mut command, form);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            results: lines(child.stdout.take().unwrap()),
            told: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    /// The next result; a build may take its time.
    fn result(&self) -> Value {
        match self.results.recv_timeout(Duration::from_mins(3)) {
            Ok(line) => serde_json::from_str(&line).unwrap(),
            Err(error) => panic!(
                "no result: {error}\n{:?}",
                self.told.try_iter().collect::<Vec<_>>()
            ),
        }
    }

    /// Waits for a line on standard error.
    fn tells(&self, word: &str) {
        let mut before = Vec::new();
        loop {
            match self.told.recv_timeout(Duration::from_mins(3)) {
                Ok(line) if line.contains(word) => return,
                Ok(line) => before.push(line),
                Err(error) => panic!("nobody said {word:?}: {error}\n{before:#?}"),
            }
        }
    }

    /// Ends it as Ctrl-C does; gives the exit code.
    fn interrupt(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        let code = self.child.wait().unwrap().code();
        assert!(self.told.iter().any(|line| line == "ended"));
        code
    }
}

/// Changes a source of the project; the text must be there.
fn change(bench: &Bench, file: &str, from: &str, to: &str) {
    let text = bench.read(file);
    assert!(text.contains(from), "{file} lacks {from}");
    bench.write(file, text.replace(from, to));
}

/// The rate that an evaluation in the loop found.
fn rate(result: &Value) -> f64 {
    result["metrics"]["my_rate"].as_f64().unwrap()
}

/// A metric whose bound is raised to 1 counts every token; a broken source is shown, and the loop goes on.
fn a_changed_metric_is_swapped_in(form: &'static str, file: &str, from: &str, to: &str) {
    let bench = Bench::new();
    new_project(&bench, "my-rate", "metric", form).ok();
    if !build(&bench, "my-rate", form) {
        return;
    }
    bench.run(&quick(&[])).ok();
    let evaluate = [
        "evaluate",
        "--model",
        "runs/quick/model",
        "--metric",
        "my-rate",
        "--max-documents",
        "5",
    ];
    let words = [&["--json", "plugin", "dev", "my-rate", "--"], &evaluate[..]].concat();
    let looping = Loop::start(&bench, form, &words);
    let first = rate(&looping.result());
    assert!(first < 1.0, "{first}");
    let file = format!("my-rate/{file}");
    change(&bench, &file, from, to);
    assert_eq!(rate(&looping.result()), 1.0);
    let whole = bench.read(&file);
    bench.write(&file, format!("{whole}\nthis is no code\n"));
    looping.tells("ended with exit code");
    bench.write(&file, whole);
    assert_eq!(rate(&looping.result()), 1.0);
    change(&bench, &file, to, from);
    assert_eq!(rate(&looping.result()), first);
    assert_eq!(looping.interrupt(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_changed_component_is_swapped_in() {
    a_changed_metric_is_swapped_in("c", "rate.c", "log(rate->bound)", "log(rate->bound) + 100");
}

#[cfg(unix)]
#[test]
fn a_changed_library_is_swapped_in() {
    a_changed_metric_is_swapped_in(
        "--native",
        "src/lib.rs",
        "score < self.bound",
        "score < self.bound + 100.0",
    );
}

#[test]
fn once_builds_tests_and_runs_once() {
    let bench = Bench::new();
    new_project(&bench, "my-sums", "dataset", "c").ok();
    if !build(&bench, "my-sums", "c") {
        return;
    }
    let inspect = [
        "plugin", "dev", "--once", "--", "data", "inspect", "my-sums",
    ];
    in_project(&bench, "my-sums", "c", &inspect)
        .ok()
        .shows(&[" + ", " = "])
        .tells(&["checks passed"]);
    // What is wrong has the exit code of its kind.
    let once = |words: &[&str]| {
        in_project(
            &bench,
            "my-sums",
            "c",
            &[&["plugin", "dev", "--once"], words].concat(),
        )
    };
    once(&["--", "data", "inspect", "my-sum"]).fails(2, &["my-sum"]);
    once(&["--", "plugin", "list"]).fails(2, &["codex-ml plugin"]);
    once(&["--", "evaluat"]).code(2).tells(&["evaluat"]);
    // A broken promise is named, and the version is not used.
    change(
        &bench,
        "my-sums/plugin.c",
        "start < rows ? start : rows;",
        "start < rows ? start : rows; count += start;",
    );
    once(&["--", "data", "inspect", "my-sums"]).fails(3, &["my-sums 0.1.0 breaks its contract"]);
    bench.write("my-sums/sums.c", "no code");
    once(&[])
        .fails(1, &["ended with exit code"])
        .tells(&["sums.c:1:"]);
    bench
        .run(&["plugin", "dev", "nowhere", "--once"])
        .fails(2, &["nowhere"]);
}
