//! How many tokens a second a training step takes in, at the two sizes that the documentation quotes.
//!
//! `cargo run --release -p codex-plugin-model-minilm --example step -- [--lora] [THREADS [JOB]]`, where JOB is a part of a
//! job's name. With `--lora`, each job is run a second time with a LoRA of rank 8 on every linear layer: turn by turn with
//! the full step, so that both see the same machine.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::time::Instant;

use codex_plugin_api::{
    AdapterPlan, Error, Ids, Init, Model, Operation, OptimizerStep, Result, SiteOperation,
    TokenBatch, TrainingPass, TrainingSettings,
};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm, Settings};

struct Job {
    name: &'static str,
    settings: Settings,
    sequences: usize,
}

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let lora = words.iter().any(|word| word == "--lora");
    words.retain(|word| word != "--lora");
    let threads = words
        .first()
        .and_then(|word| word.parse().ok())
        .unwrap_or(2);
    let wanted = words.get(1).cloned().unwrap_or_default();
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
            run(&job, threads, lora)?;
        }
    }
    Ok(())
}

/// The model again, opened from a folder and with a LoRA of rank 8 on all that its layers multiply with.
fn with_lora(model: &MiniLm, threads: usize) -> Result<MiniLm> {
    let folder = std::env::temp_dir().join(format!("codex-ml-step-{}", std::process::id()));
    let failed = |cause| Error::failed(format!("cannot use {}", folder.display())).because(&cause);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let path = folder.display().to_string();
    model.save(&path)?;
    let settings = Settings {
        path: Some(path),
        ..Settings::default()
    };
    let mut model = MiniLm::new(&settings, threads)?;
    std::fs::remove_dir_all(&folder).map_err(failed)?;
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
    let plan = AdapterPlan {
        operations: operations.collect(),
        ..AdapterPlan::default()
    };
    model.add_adapter("default", &plan)?;
    Ok(model)
}

/// What was measured of one model.
struct Measured {
    name: &'static str,
    model: MiniLm,
    seconds: Vec<f64>,
    pass_seconds: f64,
    loss: f64,
}

impl Measured {
    fn new(name: &'static str, mut model: MiniLm) -> Result<Self> {
        model.begin_training(&TrainingSettings::default())?;
        Ok(Self {
            name,
            model,
            seconds: Vec::new(),
            pass_seconds: 0.0,
            loss: 0.0,
        })
    }

    fn step(&mut self, batch: &TokenBatch<'_>) -> Result<()> {
        let start = Instant::now();
        let loss_scale = 1.0 / batch.causal_targets() as f64;
        let pass = TrainingPass {
            step: self.seconds.len() as u64 + 1,
            accumulation: 0,
            loss_scale,
        };
        self.loss = self.model.forward_backward(batch, &pass)?.sum * loss_scale;
        self.pass_seconds = start.elapsed().as_secs_f64();
        self.model.optimizer_step(&OptimizerStep {
            learning_rate: 1e-3,
            max_grad_norm: 1.0,
        })?;
        self.seconds.push(start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Prints, and gives the median.
    fn report(&mut self, total: usize, threads: usize) -> Result<f64> {
        self.seconds.sort_by(f64::total_cmp);
        let (median, best) = (self.seconds[self.seconds.len() / 2], self.seconds[0]);
        let trained = self.model.parameters()?.into_iter();
        let trained = trained.filter(|parameter| parameter.trainable);
        println!(
            "{}: {:.0} tokens/s median, {:.0} best ({:.1} ms a step, pass {:.1} ms; {} parameters train, {threads} threads, loss {:.3})",
            self.name,
            total as f64 / median,
            total as f64 / best,
            median * 1e3,
            self.pass_seconds * 1e3,
            trained
                .map(|one| one.shape.iter().product::<u64>())
                .sum::<u64>(),
            self.loss,
        );
        Ok(median)
    }
}

fn run(job: &Job, threads: usize, lora: bool) -> Result<()> {
    let length = 128;
    let total = job.sequences * length;
    let ids: Vec<u32> = (0..total as u32)
        .map(|i| i.wrapping_mul(2_654_435_761) % job.settings.vocab_size)
        .collect();
    let offsets: Vec<u64> = (0..=job.sequences as u64)
        .map(|i| i * length as u64)
        .collect();
    let batch = TokenBatch::new(Ids::new(&ids, &offsets)?);
    let model = MiniLm::new(&job.settings, threads)?;
    let adapted = lora.then(|| with_lora(&model, threads)).transpose()?;
    let mut all = vec![Measured::new(job.name, model)?];
    if let Some(model) = adapted {
        all.push(Measured::new("  with a LoRA of rank 8", model)?);
    }
    let begun = Instant::now();
    while all[0].seconds.len() < 5 || begun.elapsed().as_secs_f64() < 4.0 * all.len() as f64 {
        all.iter_mut().try_for_each(|one| one.step(&batch))?;
    }
    let medians = all
        .iter_mut()
        .map(|one| one.report(total, threads))
        .collect::<Result<Vec<_>>>()?;
    if let [full, adapted] = medians[..] {
        println!("  {:.2} of the full step", adapted / full);
    }
    Ok(())
}
