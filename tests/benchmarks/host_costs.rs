//! What the host itself costs: start-up with 10 and 200 installed plugins, loading a native plugin, and a call through the
//! ABI beside the same call made directly: `cargo run --release -p codex-ml-tests --example host_costs`.
//!
//! Prints medians; the call through the ABI and the direct one alternate, and their ratio is of one run.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark program"
)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use codex_ml::app::App;
use codex_ml::interrupt::Interrupt;
use codex_ml::output::{Color, Output};
use codex_ml_tests::{Bench, built, library};
use codex_plugin_api::{Factory, Ids, Metric, NoHost, Samples};
use serde_json::{Value, json};

// Links the plugin's code into this program, for the direct calls.
use codex_plugin_metric_lm as _;

const RUNS: usize = 21;

fn main() {
    for count in [0, 10, 200] {
        start_up(count);
    }
    load();
    calls();
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// `count` plugins with ids and component names of their own: copies of one library whose manifest was changed in place.
fn plugins(folder: &Path, count: usize) {
    let original = fs::read(built().join(library("codex-plugin-metric-lm"))).unwrap();
    for index in 0..count {
        let mut bytes = original.clone();
        let letters = [b'a' + (index / 26) as u8, b'a' + (index % 26) as u8];
        replace(
            &mut bytes,
            b"id = \"metric-lm\"",
            format!("id = \"metric-{}\"", String::from_utf8_lossy(&letters)).as_bytes(),
        );
        replace(
            &mut bytes,
            b"name = \"lm\"",
            format!("name = \"{}\"", String::from_utf8_lossy(&letters)).as_bytes(),
        );
        fs::write(
            folder.join(library(&format!("codex-plugin-copy-{index}"))),
            bytes,
        )
        .unwrap();
    }
}

/// Overwrites the first place where `from` stands with `to`, which is as long.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .expect("the manifest is in the library");
    bytes[at..at + to.len()].copy_from_slice(to);
}

fn start_up(count: usize) {
    let bench = Bench::new();
    let folder = bench.data().join("plugins");
    fs::create_dir_all(&folder).unwrap();
    plugins(&folder, count);
    // The index does not trust what was written within its clock's resolution; plugins that are in use are older.
    std::thread::sleep(Duration::from_millis(2500));
    let first = Instant::now();
    let listed = bench.run(&["plugin", "list", "--json"]).ok();
    let first = first.elapsed();
    let usable = listed.json().as_array().map_or(0, Vec::len);
    for arguments in [&["--version"][..], &["--help"], &["plugin", "list"]] {
        let times = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                bench.run(arguments).ok();
                start.elapsed()
            })
            .collect();
        println!(
            "{usable:>4} plugins, codex-ml {}: {:.1} ms",
            arguments.join(" "),
            median(times).as_secs_f64() * 1e3
        );
    }
    println!(
        "{usable:>4} plugins, the first start, without an index: {:.1} ms",
        first.as_secs_f64() * 1e3
    );
}

fn load() {
    let times = |name: &str| {
        let mut loads = Vec::new();
        let mut creates = Vec::new();
        for _ in 0..RUNS {
            // A new registry knows nothing of what was loaded before, but the system keeps the library in memory: the first
            // load of a process also pays for reading it.
            let registry = app().registry().unwrap();
            let start = Instant::now();
            black_box(registry.create_metric(name, &json!({})).unwrap());
            loads.push(start.elapsed());
            let start = Instant::now();
            black_box(registry.create_metric(name, &json!({})).unwrap());
            creates.push(start.elapsed());
        }
        println!(
            "load {name} and create a metric: first {:.3} ms, median {:.3} ms",
            loads[0].as_secs_f64() * 1e3,
            median(loads).as_secs_f64() * 1e3
        );
        println!(
            "create a metric of a loaded plugin: {:.3} ms",
            median(creates).as_secs_f64() * 1e3
        );
    };
    times("lm");
}

fn app() -> App {
    App::new(
        Output::new(false, true, 0, Color::Never),
        Interrupt::default(),
        vec![built().to_path_buf()],
        1,
    )
}

fn calls() {
    let mut through_abi = app()
        .registry()
        .unwrap()
        .create_metric("lm", &json!({}))
        .unwrap();
    let component = codex_plugin_api::components()
        .into_iter()
        .find(|component| component.name == "lm")
        .unwrap();
    let Factory::Metric(create) = component.factory else {
        unreachable!("lm is a metric")
    };
    let mut direct = create(Value::Null, NoHost::shared()).unwrap();

    let needs = |metric: &mut (dyn Metric + 'static), count: u32| {
        for _ in 0..count {
            black_box(black_box(&*metric).needs());
        }
    };
    compare("needs()", 100_000, &mut *direct, &mut *through_abi, &needs);

    for tokens in [1_usize, 1_000, 100_000] {
        let ids = vec![7; tokens];
        let offsets = [0, tokens as u64];
        let (log_probabilities, ranks) = (vec![-1.5; tokens], vec![0; tokens]);
        let byte_lengths = [3 * tokens as u64];
        let samples = Samples {
            count: 1,
            byte_lengths: &byte_lengths,
            targets: Ids::new(&ids, &offsets).unwrap(),
            log_probabilities: &log_probabilities,
            ranks: &ranks,
            ..Samples::default()
        };
        let update = |metric: &mut (dyn Metric + 'static), count: u32| {
            for _ in 0..count {
                black_box(&mut *metric).update(black_box(&samples)).unwrap();
            }
        };
        let count = (2_000_000 / (tokens + 50)).clamp(10, 20_000) as u32;
        compare(
            &format!("update() of {tokens} tokens"),
            count,
            &mut *direct,
            &mut *through_abi,
            &update,
        );
    }
}

fn compare(
    what: &str,
    count: u32,
    direct: &mut (dyn Metric + 'static),
    through_abi: &mut (dyn Metric + 'static),
    call: &dyn Fn(&mut (dyn Metric + 'static), u32),
) {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        for (metric, times) in [(&mut *direct, &mut left), (&mut *through_abi, &mut right)] {
            let start = Instant::now();
            call(metric, count);
            times.push(start.elapsed());
        }
    }
    let nanoseconds = |times| median(times).as_secs_f64() * 1e9 / f64::from(count);
    let (direct, through_abi) = (nanoseconds(left), nanoseconds(right));
    println!(
        "{what}: direct {direct:.1} ns, through the ABI {through_abi:.1} ns, ratio {:.2}",
        through_abi / direct
    );
}
