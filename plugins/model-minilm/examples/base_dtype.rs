//! What a base of some dtype takes: memory after opening and at most while a LoRA of rank 8 trains on all linear maps, the
//! time of a step, and the loss. The table of docs/fine-tuning.md is from here.
//!
//! `cargo run --release -p codex-plugin-model-minilm --example base_dtype -- make FOLDER` writes a model with GPT-2's layers and
//! fresh weights; `… -- FOLDER f32|bf16|int8|nf4` opens it, or any other folder, and measures. Each dtype needs a process of
//! its own: the system counts the most that a process ever had. Linux only.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::time::Instant;

use codex_plugin_api::{
    AdapterPlan, Error, Ids, Init, Model, Operation, OptimizerStep, Result, SiteOperation,
    TokenBatch, TrainingPass, TrainingSettings,
};
use codex_plugin_model_minilm::{BaseDtype, MiniLm, Settings};

const THREADS: usize = 2;
const SEQUENCES: usize = 4;
const TOKENS: usize = 128;
const STEPS: u64 = 6;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", folder] => make(folder),
        [folder, dtype] => measure(folder, dtype),
        _ => Err(Error::config("expected make FOLDER, or FOLDER and a dtype")),
    }
}

fn make(folder: &str) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|cause| Error::failed(format!("cannot make {folder}")).because(&cause))?;
    let settings = Settings {
        vocab_size: 8192,
        hidden_size: 768,
        layers: 12,
        heads: 12,
        ..Settings::default()
    };
    MiniLm::new(&settings, THREADS)?.save(folder)
}

/// One of the lines in which the system says what this process has, in MiB.
fn memory(key: &str) -> Result<f64> {
    let path = "/proc/self/status";
    let text = std::fs::read_to_string(path)
        .map_err(|cause| Error::failed(format!("cannot read {path}")).because(&cause))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.and_then(|line| line.trim_end_matches("kB").trim().parse::<f64>().ok());
    kibibytes
        .map(|kibibytes| kibibytes / 1024.0)
        .ok_or_else(|| Error::failed(format!("{path} has no {key}")))
}

fn lora(model: &MiniLm) -> Result<AdapterPlan> {
    let sites = model.sites()?.into_iter();
    let inner = sites.filter(|site| site.role != "embedding" && site.role != "head");
    let operations = inner.map(|site| SiteOperation {
        site: site.name,
        operation: Operation::LowRank {
            rank: 8,
            scale: 2.0,
            dropout: 0.0,
            a: Init::KaimingUniform,
            b: Init::Constant { value: 0.0 },
            train: true,
            shared: None,
            rank_scale: None,
            output_scale: None,
        },
    });
    Ok(AdapterPlan {
        operations: operations.collect(),
        ..AdapterPlan::default()
    })
}

fn measure(folder: &str, dtype: &str) -> Result<()> {
    let base_dtype: BaseDtype = serde_json::from_value(dtype.into())
        .map_err(|cause| Error::config(format!("no dtype {dtype:?}")).because(&cause))?;
    let settings = Settings {
        path: Some(folder.to_owned()),
        base_dtype,
        ..Settings::default()
    };
    let start = Instant::now();
    let mut model = MiniLm::new(&settings, THREADS)?;
    let opened = start.elapsed().as_secs_f64();
    let (after, while_opening) = (memory("VmRSS:")?, memory("VmHWM:")?);
    let plan = lora(&model)?;
    model.add_adapter("default", &plan)?;
    let task = model.info()?.tasks.remove(0);
    model.begin_training(&TrainingSettings {
        task,
        ..TrainingSettings::default()
    })?;
    let ids: Vec<u32> = (0..(SEQUENCES * TOKENS) as u32)
        .map(|at| (at * at * 31 + at * 7) % 1000)
        .collect();
    let offsets: Vec<u64> = (0..=SEQUENCES).map(|at| (at * TOKENS) as u64).collect();
    let batch = TokenBatch::new(Ids::new(&ids, &offsets)?);
    let loss_scale = 1.0 / batch.causal_targets() as f64;
    let (mut fastest, mut loss) = (f64::INFINITY, 0.0);
    for step in 1..=STEPS {
        let start = Instant::now();
        let pass = TrainingPass {
            step,
            accumulation: 0,
            loss_scale,
        };
        loss = model.forward_backward(&batch, &pass)?.sum * loss_scale;
        model.optimizer_step(&OptimizerStep {
            learning_rate: 1e-3,
            max_grad_norm: 1.0,
        })?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{dtype}: opened in {opened:.2} s, {after:.0} MiB (at most {while_opening:.0}); trained with at most {:.0} MiB, \
         {:.0} ms a step, loss {loss:.4}",
        memory("VmHWM:")?,
        1e3 * fastest
    );
    Ok(())
}
