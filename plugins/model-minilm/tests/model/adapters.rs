//! Adapters: PEFT's numbers, and what adding, training, weighting, merging, saving and resuming promise.

mod golden; // logits, gradients and merged weights as PEFT has them
mod operations; // every operation against finite differences and against its merged self
mod promises; // freezing, memory, resuming, switching, saving, refusing
mod quantized; // bases in fewer bits: what they compute, what they take, what they refuse

use codex_plugin_api::{AdapterPlan, Ids, Init, Model, Operation, SiteOperation, TrainingSettings};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm, Settings};

use crate::small;

/// A fresh model that has been saved and opened again, since adapters are for bases that can be found again. Gives the
/// folder as well, which goes with it.
fn based(architecture: ArchitectureName, task: &str) -> (tempfile::TempDir, MiniLm) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        task: task.to_owned(),
        labels: (task == "classification").then_some(3),
        ..small(architecture, 0.0)
    };
    let model = MiniLm::new(&settings, 2).unwrap();
    model.save(folder.path().to_str().unwrap()).unwrap();
    let model = crate::open(folder.path(), 2).unwrap();
    (folder, model)
}

fn low_rank(site: &str, rank: u32) -> SiteOperation {
    at(
        site,
        Operation::LowRank {
            rank,
            scale: 0.7,
            dropout: 0.0,
            a: Init::Normal { std: 0.3 },
            b: Init::Normal { std: 0.3 },
            train: true,
            shared: None,
            rank_scale: None,
            output_scale: None,
        },
    )
}

fn at(site: &str, operation: Operation) -> SiteOperation {
    SiteOperation {
        site: site.to_owned(),
        operation,
    }
}

fn plan(operations: Vec<SiteOperation>) -> AdapterPlan {
    AdapterPlan {
        operations,
        ..AdapterPlan::default()
    }
}

/// Sites of all roles but embeddings and heads.
fn inner_sites(model: &MiniLm) -> Vec<String> {
    let sites = model.sites().unwrap().into_iter();
    sites
        .filter(|site| site.role != "embedding" && site.role != "head")
        .map(|site| site.name)
        .collect()
}

fn begin(model: &mut MiniLm) {
    let task = model.info().unwrap().tasks[0].clone();
    model
        .begin_training(&TrainingSettings {
            task,
            ..TrainingSettings::default()
        })
        .unwrap();
}

fn text() -> (Vec<u32>, Vec<u64>) {
    crate::text(&[20, 7, 33], 5)
}

fn logits(model: &MiniLm) -> Vec<f32> {
    let (ids, offsets) = text();
    model.logits(Ids::new(&ids, &offsets).unwrap()).unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs()));
    differences.fold(0.0, f64::max)
}
