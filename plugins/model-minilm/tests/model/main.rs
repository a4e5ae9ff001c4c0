//! The model through its public face, as the host sees it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod adapters; // PEFT's numbers, and what adding, weighting, merging, saving and resuming promise
mod devices; // the reference cases by way of the functions for GPUs, and on a GPU where there is one
mod encoder_folders; // BERT's folders in all their forms, and sentence-transformers' files
mod folders; // what is saved opens again; what does not fit is refused by name
mod generation; // sessions give what whole sequences give
mod golden; // PyTorch's and Transformers' numbers
mod precision; // rounding operands of products leaves the results near
mod tasks; // what each task learns, and what every task promises
mod training; // accumulation, freezing, dropout, checkpointing, resuming

use std::path::PathBuf;

use codex_plugin_api::{Ids, Model, TrainingPass, TrainingSettings};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm, Settings};

/// The folder of reference values.
fn golden(case: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(case);
    assert!(
        folder.is_dir(),
        "{} is missing; see tests/golden/README.md",
        folder.display()
    );
    folder
}

fn open(folder: &std::path::Path, threads: usize) -> codex_plugin_api::Result<MiniLm> {
    MiniLm::new(&at(folder, "auto"), threads)
}

/// Settings that open a folder for a task.
fn at(folder: &std::path::Path, task: &str) -> Settings {
    Settings {
        path: Some(folder.to_str().unwrap().to_owned()),
        task: task.to_owned(),
        ..Settings::default()
    }
}

/// A fresh model that is small and yet large enough to be shared out over threads.
fn fresh(architecture: ArchitectureName, dropout: f32) -> MiniLm {
    MiniLm::new(&small(architecture, dropout), 2).unwrap()
}

fn small(architecture: ArchitectureName, dropout: f32) -> Settings {
    let llama = matches!(architecture, ArchitectureName::Llama);
    Settings {
        architecture,
        vocab_size: 300,
        hidden_size: 48,
        layers: 2,
        heads: 4,
        kv_heads: llama.then_some(2),
        sequence_length: 64,
        dropout,
        seed: 3,
        ..Settings::default()
    }
}

/// Repeatable ids below 300 in sequences of these lengths, with their offsets.
fn text(lengths: &[usize], seed: u32) -> (Vec<u32>, Vec<u64>) {
    let total: usize = lengths.iter().sum();
    let ids = (0..total as u32)
        .map(|i| (i * i * 31 + i * 7 + seed * 101) % 300)
        .collect();
    let mut offsets = vec![0];
    for length in lengths {
        offsets.push(offsets.last().unwrap() + *length as u64);
    }
    (ids, offsets)
}

fn batch(text: &(Vec<u32>, Vec<u64>)) -> codex_plugin_api::TokenBatch<'_> {
    codex_plugin_api::TokenBatch::new(Ids::new(&text.0, &text.1).unwrap())
}

fn pass(step: u64, accumulation: u32, targets: u64) -> TrainingPass {
    TrainingPass {
        step,
        accumulation,
        loss_scale: 1.0 / targets as f64,
    }
}

fn begin(model: &mut MiniLm) {
    model.begin_training(&TrainingSettings::default()).unwrap();
}
