//! `environment.json`: with what a run was made, so that it can be made again.

use std::process::Command;

use serde_json::{Value, json};

use super::adapter::Trained;
use super::clock;
use super::components::Components;
use super::setup::Setup;
use crate::app::App;

/// Versions, machine, plugins with digests, data, seed.
pub(super) fn describe(setup: &Setup, components: &dyn Components, app: &App) -> Value {
    let config = &setup.resolved.config;
    json!({
        "codex_ml": env!("CARGO_PKG_VERSION"),
        "plugin_api": codex_plugin_api::API_VERSION,
        "time": clock::timestamp(),
        "seed": config.seed,
        "config_hash": setup.resolved.hash(),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "cpu": cpu(),
        "cores": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "threads": app.threads,
        "device": setup.model.info().map(|info| info.device).ok(),
        "git": git(),
        "plugins": components.in_use(),
        "data": setup.data,
        "adapter": setup.adapter.as_ref().map(Trained::described),
    })
}

/// The processor's name, where the system tells it in a file.
fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The commit of the folder that the run was started in, with `+` behind it when something was changed.
fn git() -> Option<String> {
    let ask = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let commit = ask(&["rev-parse", "HEAD"])?;
    let changed = ask(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() {
        commit
    } else {
        format!("{commit}+")
    })
}
