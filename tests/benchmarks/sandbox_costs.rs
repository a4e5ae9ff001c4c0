//! What a plugin costs in the sandbox beside the same thing in a native plugin: `sandbox_costs [GUESTS [TABLE …]]`, where
//! GUESTS is a folder with the guests of `wasm-plugins/` as `codex-ml plugin build` makes them (without it they are built
//! first), and the tables are `memory`, `calls`, `loads`, `datasets`, `tokenizers`, `evaluations`.
//!
//! Prints tables of medians; the two sides of a row take turns, each first every second round, and give equal results. The
//! binary and the native plugins are those beside this program's folder, so build the workspace before.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark program"
)]

#[path = "sandbox_costs/metrics.rs"]
mod metrics;
#[path = "../../wasm-plugins/dataset-rust/src/sentences.rs"]
mod sentences;
#[path = "sandbox_costs/streams.rs"]
mod streams;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use codex_ml::app::App;
use codex_ml::folders::Folders;
use codex_ml::interrupt::Interrupt;
use codex_ml::output::{Color, Output};
use codex_ml::plugins::Registry;
use codex_ml_tests::{Bench, root};

const ROUNDS: usize = 21;

/// The guests, by their folders' names.
const GUESTS: [&str; 4] = [
    "dataset-rust",
    "lm-metric-rust",
    "text-metric-python",
    "tokenizer-rust",
];

/// Measures something and prints it.
type Table = fn(&Sandbox);

/// In this order: how much memory an instance adds can be told only before much was given back.
const TABLES: [(&str, Table); 6] = [
    ("memory", metrics::memory),
    ("calls", metrics::calls),
    ("loads", metrics::loads),
    ("datasets", streams::datasets),
    ("tokenizers", streams::tokenizers),
    ("evaluations", metrics::evaluations),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let bench = Bench::new();
    let guests = match arguments.next() {
        Some(folder) => PathBuf::from(folder),
        None => build(&bench),
    };
    let asked: Vec<String> = arguments.collect();
    let sandbox = Sandbox { bench, guests };
    for (name, table) in TABLES {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            table(&sandbox);
            println!();
        }
    }
}

/// Where the binary and the native plugins are.
fn built() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().and_then(Path::parent).unwrap();
    assert!(
        binary(folder).exists(),
        "no codex-ml in {}: cargo build --release --workspace --all-targets",
        folder.display()
    );
    folder.to_owned()
}

fn binary(folder: &Path) -> PathBuf {
    folder.join(format!("codex-ml{}", std::env::consts::EXE_SUFFIX))
}

/// Builds the guests; one whose language this machine has no tools for is left out.
fn build(bench: &Bench) -> PathBuf {
    let folder = bench.work().join("guests");
    fs::create_dir(&folder).unwrap();
    for guest in GUESTS {
        let mut command = Command::new(binary(&built()));
        command
            .args(["plugin", "build", "--output"])
            .arg(folder.join(format!("{guest}.wasm")))
            .arg(root().join("wasm-plugins").join(guest))
            .env("CARGO_TARGET_DIR", built().parent().unwrap().join("guests"));
        let output = command.output().unwrap();
        if !output.status.success() {
            println!(
                "left out: {guest} cannot be built here: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    folder
}

/// The guests, and folders of their own for the host to work in.
struct Sandbox {
    bench: Bench,
    guests: PathBuf,
}

impl Sandbox {
    fn has(&self, guest: &str) -> bool {
        self.guests.join(format!("{guest}.wasm")).exists()
    }

    /// A registry that has loaded nothing yet; compiled code is kept in `cache`.
    fn registry(&self, cache: &Path) -> Arc<Registry> {
        let mut app = App::new(
            Output::new(false, true, 0, Color::Never),
            Interrupt::default(),
            vec![built(), self.guests.clone()],
            1,
        );
        app.folders = Folders {
            data: Some(self.bench.data()),
            cache: Some(cache.to_owned()),
            project: None,
        };
        app.registry().unwrap()
    }

    fn cache(&self) -> PathBuf {
        self.bench.work().join("cache")
    }
}

/// The median, and nothing of whatever came in between.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds that two jobs take in turns: their medians and the median of the rounds' ratios, second by first.
fn in_turns(
    rounds: usize,
    mut first: impl FnMut() -> f64,
    mut second: impl FnMut() -> f64,
) -> [f64; 3] {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            left.push(first());
            right.push(second());
        } else {
            right.push(second());
            left.push(first());
        }
    }
    let ratios = left.iter().zip(&right).map(|(left, right)| right / left);
    let ratio = median(ratios.collect());
    [median(left), median(right), ratio]
}

fn seconds<T>(call: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(call());
    start.elapsed().as_secs_f64()
}

/// A number with three digits that count.
fn short(value: f64) -> String {
    let digits = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}
