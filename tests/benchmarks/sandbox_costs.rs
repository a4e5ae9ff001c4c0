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

#[path = "../../wasm-plugins/dataset-rust/src/sentences.rs"]
mod sentences;

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
use codex_ml_tests::{Bench, Ran, root};
use codex_plugin_api::{
    Batch, Column, EncodeOptions, Ids, Metric, Samples, TextBuffer, Tokenizer, Values,
};
use sentences::Sentences;
use serde_json::{Value, json};

const ROUNDS: usize = 21;

/// The guests, by their folders' names.
const GUESTS: [&str; 5] = [
    "dataset-rust",
    "lm-metric-rust",
    "text-metric-python",
    "text-metric-rust",
    "tokenizer-rust",
];

/// Measures something and prints it.
type Table = fn(&Sandbox);

/// In this order: how much memory an instance adds can be told only before much was given back.
const TABLES: [(&str, Table); 6] = [
    ("memory", memory),
    ("calls", calls),
    ("loads", loads),
    ("datasets", datasets),
    ("tokenizers", tokenizers),
    ("evaluations", evaluations),
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

/// The numbers that a model would give for `tokens` targets.
struct Numbers {
    ids: Vec<u32>,
    offsets: [u64; 2],
    byte_lengths: [u64; 1],
    log_probabilities: Vec<f32>,
    ranks: Vec<u32>,
}

impl Numbers {
    fn new(tokens: usize) -> Self {
        Self {
            ids: vec![7; tokens],
            offsets: [0, tokens as u64],
            byte_lengths: [3 * tokens as u64],
            log_probabilities: vec![-1.5; tokens],
            ranks: vec![0; tokens],
        }
    }

    fn samples(&self) -> Samples<'_> {
        Samples {
            count: 1,
            byte_lengths: &self.byte_lengths,
            targets: Ids::new(&self.ids, &self.offsets).unwrap(),
            log_probabilities: &self.log_probabilities,
            ranks: &self.ranks,
            ..Samples::default()
        }
    }
}

fn calls(sandbox: &Sandbox) {
    println!(
        "| call of the metric | native | sandbox | ratio | sandbox, Python |\n|---|---|---|---|---|"
    );
    let registry = sandbox.registry(&sandbox.cache());
    let metric = |name: &str| registry.create_metric(name, &json!({})).unwrap();
    let (mut native, mut guest) = (metric("lm"), metric("lm-wasm"));
    let mut python = sandbox
        .has("text-metric-python")
        .then(|| metric("surprise-python"));
    for tokens in [1, 1_000, 100_000] {
        let numbers = Numbers::new(tokens);
        let samples = numbers.samples();
        let count = (4_000_000 / (tokens + 200)).clamp(10, 10_000);
        let update = |metric: &mut Box<dyn Metric>, count: usize| {
            let all = seconds(|| {
                for _ in 0..count {
                    metric.update(black_box(&samples)).unwrap();
                }
            });
            all / count as f64 * 1e6
        };
        let [native, guest, ratio] = in_turns(
            ROUNDS,
            || update(&mut native, count),
            || update(&mut guest, count),
        );
        let python = python.as_mut().map_or("–".to_owned(), |metric| {
            let times = (0..5).map(|_| update(metric, count.div_ceil(20)));
            format!("{} µs", short(median(times.collect())))
        });
        println!(
            "| `update()` of {tokens} tokens | {} µs | {} µs | {} | {python} |",
            short(native),
            short(guest),
            short(ratio)
        );
    }
    assert_eq!(native.state().unwrap(), guest.state().unwrap());
}

fn loads(sandbox: &Sandbox) {
    println!(
        "| guest | file | first load, compiled | cached load | another instance |\n|---|---|---|---|---|"
    );
    for (guest, component, rounds) in [
        ("lm-metric-rust", "lm-wasm", ROUNDS),
        ("text-metric-python", "surprise-python", 5),
    ] {
        if !sandbox.has(guest) {
            continue;
        }
        let (mut first, mut cached, mut another) = (Vec::new(), Vec::new(), Vec::new());
        let create = |registry: &Registry| {
            seconds(|| registry.create_metric(component, &json!({})).unwrap()) * 1e3
        };
        for _ in 0..rounds {
            let cache = tempfile::tempdir().unwrap();
            // A new registry has loaded nothing, and an empty cache holds nothing compiled.
            first.push(create(&sandbox.registry(cache.path())));
            let registry = sandbox.registry(cache.path());
            cached.push(create(&registry));
            another.push(create(&registry));
        }
        let bytes = fs::metadata(sandbox.guests.join(format!("{guest}.wasm"))).unwrap();
        println!(
            "| `{guest}` | {} MB | {} ms | {} ms | {} ms |",
            short(bytes.len() as f64 / 1e6),
            short(median(first)),
            short(median(cached)),
            short(median(another)),
        );
    }
}

/// The memory that this process has in RAM, in kB; only Linux tells.
fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn memory(sandbox: &Sandbox) {
    println!("| guest | live instances | memory of each |\n|---|---|---|");
    let registry = sandbox.registry(&sandbox.cache());
    let numbers = Numbers::new(1_000);
    for (guest, component, count) in [
        ("lm-metric-rust", "lm-wasm", 100),
        ("text-metric-python", "surprise-python", 10),
    ] {
        if !sandbox.has(guest) {
            continue;
        }
        let used = || {
            let mut metric = registry.create_metric(component, &json!({})).unwrap();
            metric.update(&numbers.samples()).unwrap();
            metric
        };
        // The first one brings the code, which all share.
        let first = used();
        let Some(before) = resident() else {
            println!("this system does not tell how much memory a process has");
            return;
        };
        let metrics: Vec<_> = (0..count).map(|_| used()).collect();
        let after = resident().unwrap_or(before);
        drop((first, metrics));
        println!(
            "| `{guest}` | {count} | {} MB |",
            short((after - before) / 1e3 / f64::from(count))
        );
    }
}

/// The guest's own code, compiled natively, as a dataset plugin would give its rows.
fn native_rows(dataset: &Sentences, start: u64, count: u64) -> Batch {
    let rows = start..(start + count).min(dataset.rows);
    let (mut texts, mut text) = (TextBuffer::new(), String::new());
    for row in rows.clone() {
        text.clear();
        dataset.write(row, &mut text);
        texts.push(&text);
    }
    let probabilities = vec![dataset.log_probability(); (rows.end - rows.start) as usize];
    let column = |name: &str, values| Column {
        name: name.to_owned(),
        values,
        validity: None,
    };
    Batch::new(vec![
        column("text", Values::Text(texts)),
        column("log_probability", Values::F64(probabilities)),
    ])
    .unwrap()
}

fn text_bytes(batch: &Batch) -> usize {
    let Values::Text(texts) = &batch.column("text").unwrap().values else {
        panic!("the column text holds something else");
    };
    texts.as_texts().bytes().len()
}

fn datasets(sandbox: &Sandbox) {
    println!(
        "| rows a call | the same rows natively | sandbox | ratio of times | native `grammar` through the ABI |\n|---|---|---|---|---|"
    );
    let registry = sandbox.registry(&sandbox.cache());
    let config = json!({"rows": 1_000_000, "seed": 1, "largest": 99, "sentences": 4});
    let direct: Sentences = serde_json::from_value(config.clone()).unwrap();
    direct.check().unwrap();
    let guest = registry.create_dataset("arithmetic", &config).unwrap();
    let info = guest.info().unwrap();
    assert_eq!(info.fingerprint, direct.fingerprint());
    let grammar = registry
        .create_dataset("grammar", &json!({"documents": 1_000_000}))
        .unwrap();
    assert_eq!(
        guest.read(5, 9).unwrap(),
        native_rows(&direct, 5, 9),
        "the rows are the same"
    );
    for rows in [1, 2_048] {
        let reads = 8_192 / rows;
        let all = |read: &dyn Fn(u64, u64) -> Batch| {
            let mut bytes = 0;
            let time = seconds(|| {
                for index in 0..reads {
                    bytes += text_bytes(&black_box(read(index * rows, rows)));
                }
            });
            time / bytes as f64 * 1e6
        };
        let [native, sandboxed, ratio] = in_turns(
            ROUNDS,
            || all(&|start, count| native_rows(&direct, start, count)),
            || all(&|start, count| guest.read(start, count).unwrap()),
        );
        let grammar = (0..5).map(|_| all(&|start, count| grammar.read(start, count).unwrap()));
        println!(
            "| {rows} | {} MB/s | {} MB/s | {} | {} MB/s |",
            short(1.0 / native),
            short(1.0 / sandboxed),
            short(ratio),
            short(1.0 / median(grammar.collect())),
        );
    }
}

fn tokenizers(sandbox: &Sandbox) {
    println!(
        "| texts a call | native `hf`, one thread | sandbox, `bytes` | ratio of times |\n|---|---|---|---|"
    );
    let registry = sandbox.registry(&sandbox.cache());
    let guest = registry.create_tokenizer("bytes", &json!({})).unwrap();
    // Both read the same vocabulary: the folder that the guest saves.
    let folder = sandbox.bench.work().join("tokenizer");
    fs::create_dir(&folder).unwrap();
    guest.save(folder.to_str().unwrap()).unwrap();
    let native = registry
        .create_tokenizer("hf", &json!({"path": folder}))
        .unwrap();
    let sentences: Sentences =
        serde_json::from_value(json!({"rows": 4_000, "seed": 2, "largest": 999, "sentences": 4}))
            .unwrap();
    let texts: Vec<String> = (0..sentences.rows)
        .map(|row| {
            let mut text = String::new();
            sentences.write(row, &mut text);
            text + " Žluťoučký kůň, 日本語."
        })
        .collect();
    for size in [1, 1_000] {
        let batches: Vec<TextBuffer> = texts
            .chunks(size)
            .map(|part| part.iter().collect())
            .collect();
        let bytes: usize = texts.iter().map(String::len).sum();
        let ids = |tokenizer: &dyn Tokenizer, batch: &TextBuffer| {
            let options = EncodeOptions::default();
            tokenizer.encode(batch.as_texts(), options).unwrap().ids
        };
        assert_eq!(ids(&*native, &batches[0]), ids(&*guest, &batches[0]));
        let all = |tokenizer: &dyn Tokenizer| {
            let time = seconds(|| {
                for batch in &batches {
                    black_box(ids(tokenizer, batch));
                }
            });
            time / bytes as f64 * 1e6
        };
        let [native, guest, ratio] = in_turns(7, || all(&*native), || all(&*guest));
        println!(
            "| {size} | {} M tokens/s | {} M tokens/s | {} |",
            short(1.0 / native),
            short(1.0 / guest),
            short(ratio)
        );
    }
}

fn evaluations(sandbox: &Sandbox) {
    let bench = &sandbox.bench;
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary(&built()));
        bench.prepare(&mut command);
        command
            .arg("--plugin-dir")
            .arg(&sandbox.guests)
            .args(arguments);
        Ran::new(arguments, command.output().unwrap()).ok()
    };
    run(&[
        "train",
        "run.name=small",
        "training.steps=20",
        "training.evaluate_every=20",
        "training.checkpoint_every=20",
    ]);
    let evaluate = |metric: &str| {
        let arguments = [
            "evaluate",
            "--json",
            "--model",
            "runs/small/model",
            "--metric",
            metric,
        ];
        let start = Instant::now();
        let report: Value = run(&arguments).json();
        (start.elapsed().as_secs_f64() * 1e3, report)
    };
    let (_, reports) = (evaluate("lm"), [evaluate("lm").1, evaluate("lm-wasm").1]);
    assert_eq!(reports[0]["metrics"], reports[1]["metrics"]);
    let [native, guest, ratio] = in_turns(9, || evaluate("lm").0, || evaluate("lm-wasm").0);
    println!(
        "| `codex-ml evaluate` of {} targets | native `lm` | sandbox | ratio |\n|---|---|---|---|",
        reports[0]["tokens"]
    );
    println!(
        "| whole process | {} ms | {} ms | {ratio:.3} |",
        short(native),
        short(guest)
    );
}
