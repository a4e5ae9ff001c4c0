//! How many tokens a second a training step takes in, at the two sizes that the documentation quotes.
//!
//! `cargo run --release -p codex-plugin-model-minilm --example step -- [THREADS [JOB]]`, where JOB is a part of a job's name.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::time::Instant;

use codex_plugin_api::{
    Ids, Model, OptimizerStep, Result, TokenBatch, TrainingPass, TrainingSettings,
};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm, Settings};

struct Job {
    name: &'static str,
    settings: Settings,
    sequences: usize,
}

fn main() -> Result<()> {
    let threads = std::env::args()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(2);
    let wanted = std::env::args().nth(2).unwrap_or_default();
    let small = Settings {
        vocab_size: 1024,
        hidden_size: 128,
        layers: 4,
        heads: 4,
        ..Settings::default()
    };
    let medium = Settings {
        vocab_size: 8192,
        hidden_size: 384,
        layers: 6,
        heads: 12,
        ..Settings::default()
    };
    let llama = |settings: &Settings| Settings {
        architecture: ArchitectureName::Llama,
        ..settings.clone()
    };
    for job in [
        Job {
            name: "gpt2 4x128, vocabulary 1024, 16x128",
            settings: small.clone(),
            sequences: 16,
        },
        Job {
            name: "llama 4x128, vocabulary 1024, 16x128",
            settings: llama(&small),
            sequences: 16,
        },
        Job {
            name: "gpt2 6x384, vocabulary 8192, 8x128",
            settings: medium.clone(),
            sequences: 8,
        },
        Job {
            name: "llama 6x384, vocabulary 8192, 8x128",
            settings: llama(&medium),
            sequences: 8,
        },
    ] {
        if job.name.contains(&wanted) {
            run(&job, threads)?;
        }
    }
    Ok(())
}

fn run(job: &Job, threads: usize) -> Result<()> {
    let length = 128;
    let total = job.sequences * length;
    let ids: Vec<u32> = (0..total as u32)
        .map(|i| i.wrapping_mul(2_654_435_761) % job.settings.vocab_size)
        .collect();
    let offsets: Vec<u64> = (0..=job.sequences as u64)
        .map(|i| i * length as u64)
        .collect();
    let batch = TokenBatch::new(Ids::new(&ids, &offsets)?);
    let mut model = MiniLm::new(&job.settings, threads)?;
    model.begin_training(&TrainingSettings::default())?;
    let mut seconds = Vec::new();
    let (mut loss, mut pass_seconds) = (0.0, 0.0);
    let begun = Instant::now();
    while seconds.len() < 5 || begun.elapsed().as_secs_f64() < 4.0 {
        let start = Instant::now();
        let loss_scale = 1.0 / batch.causal_targets() as f64;
        let pass = TrainingPass {
            step: seconds.len() as u64 + 1,
            accumulation: 0,
            loss_scale,
        };
        loss = model.forward_backward(&batch, &pass)?.sum * loss_scale;
        pass_seconds = start.elapsed().as_secs_f64();
        model.optimizer_step(&OptimizerStep {
            learning_rate: 1e-3,
            max_grad_norm: 1.0,
        })?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let (median, best) = (seconds[seconds.len() / 2], seconds[0]);
    println!(
        "{}: {:.0} tokens/s median, {:.0} best ({:.1} ms a step, pass {:.1} ms; {} parameters, {threads} threads, loss {loss:.3})",
        job.name,
        total as f64 / median,
        total as f64 / best,
        median * 1e3,
        pass_seconds * 1e3,
        model.info()?.parameters,
    );
    Ok(())
}
