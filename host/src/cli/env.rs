//! `codex-ml env`: what this machine and this build are, and where codex-ml looks for things.

use std::fs;
use std::path::PathBuf;

use codex_plugin_api::abi::{RUSTC, TARGET};
use codex_plugin_api::{API_VERSION, Result};
use serde::Serialize;

use crate::app::App;
use crate::exit::Exit;
use crate::plugins::search::Place;

#[derive(Serialize)]
struct Report<'a> {
    version: &'a str,
    plugin_api: &'a str,
    abi: String,
    rustc: &'a str,
    target: &'a str,
    os: &'a str,
    arch: &'a str,
    cpu: Option<String>,
    cpu_features: Vec<&'a str>,
    cores: usize,
    threads: usize,
    memory_bytes: Option<u64>,
    executable: Option<PathBuf>,
    working_directory: Option<PathBuf>,
    data_dir: Option<&'a PathBuf>,
    cache_dir: Option<&'a PathBuf>,
    plugin_path: &'a [Place],
    plugins: usize,
    plugins_refused: usize,
    plugins_shadowed: usize,
}

pub(super) fn run(app: &App) -> Result<Exit> {
    use codex_plugin_api::abi::v1::{MAJOR, MINOR};
    let registry = app.registry()?;
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        plugin_api: API_VERSION,
        abi: format!("{MAJOR}.{MINOR}"),
        rustc: RUSTC,
        target: TARGET,
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        cpu: cpu_name(),
        cpu_features: cpu_features(),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads: app.threads,
        memory_bytes: memory(),
        executable: std::env::current_exe().ok(),
        working_directory: std::env::current_dir().ok(),
        data_dir: app.folders.data.as_ref(),
        cache_dir: app.folders.cache.as_ref(),
        plugin_path: registry.places(),
        plugins: registry.plugins().len(),
        plugins_refused: registry.refused().len(),
        plugins_shadowed: registry.shadowed().len(),
    };
    if app.output.is_json() {
        app.output.value(&report)?;
    } else {
        app.output.line(text(&report))?;
    }
    Ok(Exit::Done)
}

fn text(report: &Report<'_>) -> String {
    let path = |path: Option<&PathBuf>| {
        path.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
    };
    let memory = report.memory_bytes.map_or_else(
        || "unknown".to_owned(),
        |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    );
    let rows = [
        ("codex-ml", report.version.to_owned()),
        (
            "plugin API",
            format!("{} (ABI {})", report.plugin_api, report.abi),
        ),
        (
            "built with",
            format!("{} for {}", report.rustc, report.target),
        ),
        ("system", format!("{} {}", report.os, report.arch)),
        (
            "processor",
            report.cpu.clone().unwrap_or_else(|| "unknown".to_owned()),
        ),
        ("features", report.cpu_features.join(" ")),
        (
            "cores",
            format!("{} ({} used)", report.cores, report.threads),
        ),
        ("memory", memory),
        ("executable", path(report.executable.as_ref())),
        ("data", path(report.data_dir)),
        ("cache", path(report.cache_dir)),
        (
            "plugins",
            format!(
                "{} usable, {} refused, {} shadowed",
                report.plugins, report.plugins_refused, report.plugins_shadowed
            ),
        ),
    ];
    let mut lines: Vec<String> = rows
        .iter()
        .map(|(name, value)| format!("{name:11} {value}"))
        .collect();
    lines.push("plugins are looked for in".to_owned());
    for place in report.plugin_path {
        let note = if place.path.exists() {
            ""
        } else {
            " (not there)"
        };
        lines.push(format!("  {}{note}", place.path.display()));
    }
    lines.join("\n")
}

/// What the processor can do that compute kernels ask for.
fn cpu_features() -> Vec<&'static str> {
    macro_rules! detected {
        ($detect:ident: $($feature:tt),*) => {
            [$(($feature, std::arch::$detect!($feature))),*].into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
        };
    }
    #[cfg(target_arch = "x86_64")]
    return detected!(is_x86_feature_detected: "sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512vnni", "avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return detected!(is_aarch64_feature_detected: "neon", "fp16", "dotprod", "bf16", "i8mm", "sve");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return Vec::new();
}

/// The processor's name, where the system tells it in a file.
fn cpu_name() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// All memory of the machine, where the system tells it in a file.
fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kilobytes| kilobytes * 1024)
}
