//! What a metric costs in the sandbox: a call, a load, memory, and a whole evaluation.

use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use codex_ml::plugins::Registry;
use codex_ml_tests::Ran;
use codex_plugin_api::{Ids, Metric, Samples};
use serde_json::{Value, json};

use super::{ROUNDS, Sandbox, binary, built, in_turns, median, seconds, short};

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

pub(super) fn calls(sandbox: &Sandbox) {
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

pub(super) fn loads(sandbox: &Sandbox) {
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

pub(super) fn memory(sandbox: &Sandbox) {
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

pub(super) fn evaluations(sandbox: &Sandbox) {
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
