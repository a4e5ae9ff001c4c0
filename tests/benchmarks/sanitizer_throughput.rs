//! Measures how fast texts are scanned on one core: `sanitizer_throughput [--only CHOICE] [--times N] [--slowest N] FILE…`, in
//! MB/s of processor time, the best of three runs or of N.
//!
//! Files are read first and scanned as chunks of about 1 MiB, as the host gives them; processor time, because the machine
//! may have other work.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::time::Instant;

use codex_plugin_sanitizer_default::rules::builtin::{Family, load_families};
use codex_plugin_sanitizer_default::scan::Engine;

const USAGE: &str = "usage: sanitizer_throughput [--only CHOICE] [--times N] [--slowest N] FILE…";

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
    only: Option<String>,
    times: usize,
    slowest: usize,
    paths: Vec<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        only: None,
        times: 3,
        slowest: 0,
        paths: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        match argument.as_str() {
            "--times" => options.times = number().ok_or(USAGE)?,
            "--slowest" => options.slowest = number().ok_or(USAGE)?,
            "--only" => options.only = Some(arguments.next().ok_or(USAGE)?),
            _ => options.paths.push(argument),
        }
    }
    if options.paths.is_empty() {
        return Err(USAGE.to_owned());
    }
    Ok(options)
}

fn measure(
    options: &Options,
    engine: &Engine,
    path: &str,
    families: &[Family],
) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let text = String::from_utf8_lossy(&bytes);
    let megabytes = text.len() as f64 / 1e6;
    let mut best = f64::INFINITY;
    let mut findings = 0;
    for _ in 0..options.times {
        let start = Instant::now();
        let before = processor_time(start);
        findings = scan(engine, &text)?;
        best = best.min(processor_time(start) - before);
    }
    let speed = megabytes / best;
    println!("  {path}: {speed:.0} MB/s, {findings} findings in {megabytes:.1} MB");
    if options.slowest > 0 {
        slowest(&text, families, options.slowest)?;
    }
    Ok(())
}

fn main() -> Result<(), String> {
    let options = options()?;
    for (name, families) in CHOICES {
        if options.only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let start = Instant::now();
        let before = processor_time(start);
        let set = load_families(|family| families.contains(&family));
        let engine = Engine::new(set.map_err(|error| error.to_string())?);
        let ready = (processor_time(start) - before) * 1e3;
        println!("{name}: ready in {ready:.1} ms");
        for path in &options.paths {
            measure(&options, &engine, path, families)?;
        }
    }
    Ok(())
}
