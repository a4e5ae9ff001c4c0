//! Measures how fast texts are scanned, beside other scanners on the same texts in the same run:
//! `sanitizer_throughput --prose PATH… --code PATH… [--ripsecrets PROGRAM] [--detect-secrets PROGRAM]`.
//!
//! Files are read first and scanned as chunks of about 1 MiB, as the host gives them. Figures are MB/s of processor time,
//! medians of `--times` runs, because the machine may have other work; only the speed of two cores over one is told by
//! the clock. `--megabytes` says how much is read of each kind, `--slowest N` which rules cost most.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]
#![allow(clippy::print_stderr, reason = "and what keeps it from them")]

mod corpus;
mod peers;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use codex_plugin_sanitizer_default::rules::builtin::{Family, load_families};
use codex_plugin_sanitizer_default::scan::Engine;
use codex_plugin_sanitizer_default::{Config, DefaultSanitizer};

use corpus::Corpus;
use peers::Peer;

const USAGE: &str = "usage: sanitizer_throughput --prose PATH… --code PATH… [--ripsecrets PROGRAM] \
    [--detect-secrets PROGRAM] [--megabytes N] [--times N] [--slowest N]";

/// Processor time of this process in seconds, where the system tells; else the wall's.
fn processor_time(start: Instant) -> f64 {
    let ticks = std::fs::read_to_string("/proc/self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    ticks.map_or_else(
        || start.elapsed().as_secs_f64(),
        |nanoseconds| nanoseconds / 1e9,
    )
}

fn chunks(text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(1 << 20);
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (chunk, next) = rest.split_at(end);
        chunks.push(chunk);
        rest = next;
    }
    chunks
}

/// Reads all of `text` once; how many findings there are.
fn scan(engine: &Engine, text: &str) -> Result<usize, String> {
    chunks(text).into_iter().try_fold(0, |sum, chunk| {
        let spans = engine
            .scan(chunk, None)
            .map_err(|error| error.to_string())?;
        Ok(sum + spans.len())
    })
}

/// The rules that cost most, each alone, in nanoseconds a byte.
fn slowest(text: &str, wanted: &[Family], count: usize) -> Result<(), String> {
    let load =
        || load_families(|family| wanted.contains(&family)).map_err(|error| error.to_string());
    let mut costs = Vec::new();
    for number in 0..load()?.rules.len() {
        let mut set = load()?;
        set.rules = vec![set.rules.swap_remove(number)];
        let id = set.rules[0].id.clone();
        let engine = Engine::new(set);
        let start = Instant::now();
        let before = processor_time(start);
        let findings = scan(&engine, text)?;
        costs.push((
            (processor_time(start) - before) * 1e9 / text.len() as f64,
            id,
            findings,
        ));
    }
    costs.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (cost, id, findings) in costs.into_iter().take(count) {
        println!("    {cost:.2} ns a byte, {findings} findings: {id}");
    }
    Ok(())
}

/// What is measured: its name, and which families of rules it has.
type Choice = (&'static str, &'static [Family]);

const CHOICES: [Choice; 3] = [
    ("secrets", &[Family::Secrets]),
    (
        "secrets and personal data",
        &[Family::Secrets, Family::Personal],
    ),
    (
        "everything",
        &[Family::Secrets, Family::Personal, Family::Prompt],
    ),
];

/// What the command line asks for.
struct Options {
    prose: Vec<PathBuf>,
    code: Vec<PathBuf>,
    peers: Vec<Peer>,
    megabytes: usize,
    times: usize,
    slowest: usize,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        prose: Vec::new(),
        code: Vec::new(),
        peers: Vec::new(),
        megabytes: 64,
        times: 5,
        slowest: 0,
    };
    let mut arguments = std::env::args().skip(1);
    let mut of_prose = true;
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().ok_or(USAGE);
        let number = |text: String| text.parse().map_err(|_| format!("{text:?} is no number"));
        match argument.as_str() {
            "--prose" => of_prose = true,
            "--code" => of_prose = false,
            "--ripsecrets" => options.peers.push(Peer::ripsecrets(next()?.into())),
            "--detect-secrets" => options.peers.push(Peer::detect_secrets(next()?.into())),
            "--megabytes" => options.megabytes = number(next()?)?,
            "--times" => options.times = number(next()?)?.max(1),
            "--slowest" => options.slowest = number(next()?)?,
            other if other.starts_with("--") => return Err(USAGE.to_owned()),
            path if of_prose => options.prose.push(path.into()),
            path => options.code.push(path.into()),
        }
    }
    if options.prose.is_empty() && options.code.is_empty() {
        return Err(USAGE.to_owned());
    }
    Ok(options)
}

fn engine(families: &[Family]) -> Result<Engine, String> {
    load_families(|family| families.contains(&family))
        .map(Engine::new)
        .map_err(|error| error.to_string())
}

/// The middle of measurements, and the most.
fn median(mut speeds: Vec<f64>) -> (f64, f64) {
    speeds.sort_by(f64::total_cmp);
    (speeds[speeds.len() / 2], speeds[speeds.len() - 1])
}

/// Prints the speed of every choice of rules; returns that of the first.
fn own(options: &Options, corpus: &Corpus) -> Result<f64, String> {
    let megabytes = corpus.text.len() as f64 / 1e6;
    let mut first = None;
    for (name, families) in CHOICES {
        let engine = engine(families)?;
        let mut findings = 0;
        let mut speeds = Vec::new();
        for _ in 0..options.times {
            let start = Instant::now();
            let before = processor_time(start);
            findings = scan(&engine, &corpus.text)?;
            speeds.push(megabytes / (processor_time(start) - before));
        }
        let (middle, best) = median(speeds);
        first.get_or_insert(middle);
        println!("  {name}: {middle:.0} MB/s (at best {best:.0}), {findings} findings");
        if options.slowest > 0 {
            slowest(&corpus.text, families, options.slowest)?;
        }
    }
    Ok(first.unwrap_or_default())
}

/// Seconds by the clock for as many threads as are asked for, which take chunks until none is left.
fn by_threads(engine: &Engine, chunks: &[&str], threads: usize) -> f64 {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    std::hint::black_box(engine.scan(chunk, None).is_ok());
                }
            });
        }
    });
    start.elapsed().as_secs_f64()
}

/// Prints how much faster two cores are than one, by turns, so that other work slows both.
fn cores(options: &Options, corpus: &Corpus) -> Result<(), String> {
    let engine = engine(CHOICES[0].1)?;
    let chunks = chunks(&corpus.text);
    let ratios = (0..options.times.max(5)).map(|_| {
        let one = by_threads(&engine, &chunks, 1);
        one / by_threads(&engine, &chunks, 2)
    });
    let (middle, best) = median(ratios.collect());
    println!("  two cores: {middle:.2} times one (at best {best:.2}), secrets, by the clock");
    Ok(())
}

fn start(options: &Options) -> Result<(), String> {
    let (mut ready, mut first) = (Vec::new(), Vec::new());
    for _ in 0..options.times {
        let start = Instant::now();
        let sanitizer = DefaultSanitizer::new(&Config::default()).map_err(|e| e.to_string())?;
        ready.push(start.elapsed().as_secs_f64() * 1e3);
        let scan = sanitizer
            .engine()
            .scan("one line, 4111 1111 1111 1111", None);
        std::hint::black_box(scan.is_ok());
        first.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let (ready, first) = (median(ready).0, median(first).0);
    println!("start: ready in {ready:.1} ms, {first:.1} ms with the first text that has digits");
    Ok(())
}

fn main() -> Result<(), String> {
    let options = options()?;
    start(&options)?;
    let most = options.megabytes * 1_000_000;
    let mut corpora = Vec::new();
    if !options.prose.is_empty() {
        corpora.push(Corpus::prose(&options.prose, most)?);
    }
    if !options.code.is_empty() {
        corpora.push(Corpus::code(&options.code, most)?);
    }
    for corpus in &corpora {
        let megabytes = corpus.text.len() as f64 / 1e6;
        println!(
            "{}: {megabytes:.1} MB of {} files",
            corpus.name, corpus.files
        );
        let secrets = own(&options, corpus)?;
        cores(&options, corpus)?;
        for peer in &options.peers {
            let (speed, given) = peer.speed(corpus)?;
            println!(
                "  {}: {speed:.2} MB/s of {given:.0} MB; ours, secrets: {:.0} times as fast",
                peer.name,
                secrets / speed
            );
        }
    }
    Ok(())
}
