//! Every operation on every architecture: its gradients against differences of the loss, its merged self, its weighted
//! self, the functions for GPUs, and other numbers of threads.

use codex_plugin_api::{AdapterPlan, Ids, Init, Model, Operation, Site, TokenBatch};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm};

use super::{at, based, begin, largest_difference, logits, text};
use crate::golden::relative;
use crate::{at as settings_at, open, pass};

/// What is done at every site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    LowRank,
    LowRankWithDropout,
    /// Matrices that all sites share, with and without gradients of their own.
    Shared {
        train: bool,
    },
    ScaleOutput,
    ScaleInput,
    Magnitude,
    MagnitudeOfPair,
    Bias,
    /// Several at the same site.
    Stack,
}

pub(super) const KINDS: [Kind; 10] = [
    Kind::LowRank,
    Kind::LowRankWithDropout,
    Kind::Shared { train: false },
    Kind::Shared { train: true },
    Kind::ScaleOutput,
    Kind::ScaleInput,
    Kind::Magnitude,
    Kind::MagnitudeOfPair,
    Kind::Bias,
    Kind::Stack,
];

/// Starts at `count` values of the plan that come next.
fn next(values: &mut Vec<f32>, count: u64, mean: f32) -> Init {
    let offset = values.len() as u64;
    let number = |at: u64| ((at * 37 + at * at * 11) % 101) as f32 / 50.0 - 1.0;
    values.extend((offset..offset + count).map(|at| mean + 0.3 * number(at)));
    Init::Values {
        offset,
        length: count,
    }
}

fn pair(values: &mut Vec<f32>, site: &Site, dropout: f32) -> Operation {
    let rank = 3;
    Operation::LowRank {
        rank,
        scale: 0.7,
        dropout,
        a: next(values, u64::from(rank) * site.inputs, 0.0),
        b: next(values, u64::from(rank) * site.outputs, 0.0),
        train: true,
        shared: None,
        rank_scale: None,
        output_scale: None,
    }
}

/// A pair whose matrices all sites share, cut to `site`.
fn shared(values: &mut Vec<f32>, site: &Site, sites: &[Site], train: bool) -> Operation {
    let rank = 3;
    let widest = |width: fn(&Site) -> u64| sites.iter().map(width).max().unwrap();
    let (inputs, outputs) = (widest(|site| site.inputs), widest(|site| site.outputs));
    let matrices = rank * (inputs + outputs);
    if values.is_empty() {
        next(values, matrices, 0.0);
    }
    Operation::LowRank {
        rank: rank as u32,
        scale: 0.7,
        dropout: 0.0,
        a: Init::Values {
            offset: 0,
            length: rank * inputs,
        },
        b: Init::Values {
            offset: rank * inputs,
            length: rank * outputs,
        },
        train,
        shared: Some("vera".to_owned()),
        rank_scale: Some(next(values, rank, 0.5)),
        output_scale: Some(next(values, site.outputs, 0.5)),
    }
}

/// `kind` at every site that takes operations.
pub(super) fn plan(kind: Kind, model: &MiniLm) -> AdapterPlan {
    let mut sites = model.sites().unwrap();
    sites.retain(|site| site.role != "embedding" && site.name != "lm_head");
    let mut plan = AdapterPlan::default();
    let values = &mut plan.values;
    let scale_output = |values: &mut Vec<f32>, site: &Site| Operation::ScaleOutput {
        start: next(values, site.outputs, 1.0),
        train: true,
    };
    let scale_input = |values: &mut Vec<f32>, site: &Site| Operation::ScaleInput {
        start: next(values, site.inputs, 1.0),
        train: true,
    };
    let magnitude = |values: &mut Vec<f32>, site: &Site| Operation::Magnitude {
        start: next(values, site.outputs, 1.0),
        train: true,
    };
    let bias = |values: &mut Vec<f32>, site: &Site| Operation::Bias {
        start: next(values, site.outputs, 0.0),
        train: true,
    };
    for site in &sites {
        let operations = match kind {
            Kind::LowRank => vec![pair(values, site, 0.0)],
            Kind::LowRankWithDropout => vec![pair(values, site, 0.25)],
            Kind::Shared { train } => vec![shared(values, site, &sites, train)],
            Kind::ScaleOutput => vec![scale_output(values, site)],
            // One of the maps side by side reads a scaled input, or the only one.
            Kind::ScaleInput if matches!(site.role.as_str(), "key" | "gate") => vec![],
            Kind::ScaleInput => vec![scale_input(values, site)],
            Kind::Magnitude => vec![magnitude(values, site)],
            Kind::MagnitudeOfPair => vec![pair(values, site, 0.0), magnitude(values, site)],
            Kind::Bias => vec![bias(values, site)],
            Kind::Stack => vec![
                pair(values, site, 0.0),
                scale_output(values, site),
                pair(values, site, 0.0),
                scale_input(values, site),
            ],
        };
        let operations = operations.into_iter();
        plan.operations
            .extend(operations.map(|operation| at(&site.name, operation)));
    }
    plan
}

pub(super) const ARCHITECTURES: [(ArchitectureName, &str); 4] = [
    (ArchitectureName::Gpt2, "causal-lm"),
    (ArchitectureName::Llama, "causal-lm"),
    (ArchitectureName::Bert, "masked-lm"),
    (ArchitectureName::Bert, "classification"),
];

/// One pass of a model with `plan`; gives the loss.
pub(super) fn run(model: &mut MiniLm, task: &str) -> f64 {
    let (ids, offsets) = text();
    // Every third token is to be told.
    let labels: Vec<i64> = (0i64..)
        .zip(&ids)
        .map(|(at, &id)| if at % 3 == 0 { i64::from(id) } else { -100 })
        .collect();
    let classes = [0.0, 2.0, 1.0];
    let batch = TokenBatch {
        labels: (task == "masked-lm").then_some(&labels[..]),
        sequence_labels: (task == "classification").then_some(&classes[..]),
        ..TokenBatch::new(Ids::new(&ids, &offsets).unwrap())
    };
    model.forward_backward(&batch, &pass(1, 0, 1)).unwrap().sum
}

fn with(folder: &tempfile::TempDir, task: &str, plan: &AdapterPlan, threads: usize) -> MiniLm {
    let settings = settings_at(folder.path(), task);
    let mut model = MiniLm::new(&settings, threads).unwrap();
    model.add_adapter("default", plan).unwrap();
    begin(&mut model);
    model
}

/// Gradients of a plan's values, in their order; zeros for those that do not train.
pub(super) fn gradients(model: &MiniLm, plan: &AdapterPlan) -> Vec<f32> {
    let mut all = vec![0.0; plan.values.len()];
    for one in codex_peft::parameters(plan, &model.sites().unwrap()).unwrap() {
        let Init::Values { offset, length } = one.start else {
            panic!("{} has no values", one.key);
        };
        let name = one.key.replace(".base_layer.", ".");
        let name = name.strip_prefix("base_model.model.").unwrap_or(&name);
        // A bias of the base has its own name; everything else the adapter's.
        let gradient = model
            .gradient(&one.key)
            .or_else(|_| model.gradient(name))
            .unwrap();
        assert_eq!(gradient.is_empty(), !one.trains, "{}", one.key);
        if one.trains {
            all[offset as usize..(offset + length) as usize].copy_from_slice(&gradient);
        }
    }
    all
}

#[test]
fn gradients_are_those_of_the_loss() {
    for (architecture, task) in ARCHITECTURES {
        let (folder, model) = based(architecture, task);
        for kind in KINDS {
            let plan = plan(kind, &model);
            let mut trained = with(&folder, task, &plan, 2);
            run(&mut trained, task);
            let gradients = gradients(&trained, &plan);
            // DoRA's norm is a constant for its gradients, not for its loss: only the magnitudes are compared.
            let magnitudes_alone = |at: usize| {
                let parameters = codex_peft::parameters(&plan, &model.sites().unwrap()).unwrap();
                parameters.iter().any(|one| {
                    let Init::Values { offset, length } = one.start else {
                        return false;
                    };
                    one.part == codex_peft::Part::Magnitude
                        && (offset as usize..(offset + length) as usize).contains(&at)
                })
            };
            let counted: Vec<bool> = if kind == Kind::MagnitudeOfPair {
                (0..plan.values.len()).map(magnitudes_alone).collect()
            } else {
                gradients.iter().map(|gradient| *gradient != 0.0).collect()
            };
            let norm = gradients
                .iter()
                .zip(&counted)
                .filter(|(_, counted)| **counted)
                .map(|(gradient, _)| f64::from(*gradient).powi(2))
                .sum::<f64>()
                .sqrt();
            assert!(norm > 0.0, "{architecture:?} {task} {kind:?}: no gradient");
            // Along the gradient the loss grows by its norm.
            let moved = |step: f64| {
                let mut plan = plan.clone();
                for ((value, gradient), counted) in
                    plan.values.iter_mut().zip(&gradients).zip(&counted)
                {
                    if *counted {
                        *value += (step * f64::from(*gradient) / norm) as f32;
                    }
                }
                run(&mut with(&folder, task, &plan, 2), task)
            };
            let step = 4e-3;
            let near = (moved(step) - moved(-step)) / (2.0 * step);
            let far = (moved(2.0 * step) - moved(-2.0 * step)) / (4.0 * step);
            let found = (4.0 * near - far) / 3.0;
            assert!(
                (found - norm).abs() < 5e-3 * norm,
                "{architecture:?} {task} {kind:?}: the loss grows by {found}, the gradient says {norm}"
            );
        }
    }
}

#[test]
fn merged_equals_applied_and_unmerging_leaves_no_trace() {
    for (architecture, task) in &ARCHITECTURES[..3] {
        for kind in KINDS {
            let (folder, mut model) = based(*architecture, task);
            let plan = plan(kind, &model);
            let plain = logits(&model);
            model.add_adapter("one", &plan).unwrap();
            let applied = logits(&model);
            assert!(relative(&plain, &applied) > 1e-3, "{kind:?} does nothing");
            let merged = model.merge_adapter("one", true);
            if kind == Kind::Bias && matches!(architecture, ArchitectureName::Llama) {
                let error = merged.unwrap_err();
                assert!(
                    error.message().contains("q_proj, which has none"),
                    "{error}"
                );
                continue;
            }
            assert!(merged.unwrap() > 0.0);
            let error = relative(&logits(&model), &applied);
            assert!(
                error < 2e-5,
                "{architecture:?} {kind:?}: merged logits differ by {error}"
            );
            // What is saved now needs no adapter.
            let saved = tempfile::tempdir().unwrap();
            model.save(saved.path().to_str().unwrap()).unwrap();
            assert_eq!(logits(&open(saved.path(), 2).unwrap()), logits(&model));
            model.merge_adapter("one", false).unwrap();
            assert_eq!(logits(&model), plain, "{kind:?} after unmerging");
            drop(folder);
        }
    }
}

#[test]
fn a_weight_is_a_way_between_without_and_with() {
    let (_folder, mut model) = based(ArchitectureName::Llama, "causal-lm");
    let whole = plan(Kind::LowRank, &model);
    let mut half = whole.clone();
    for at in &mut half.operations {
        if let Operation::LowRank { scale, .. } = &mut at.operation {
            *scale *= 0.5;
        }
    }
    model.add_adapter("whole", &whole).unwrap();
    model.add_adapter("half", &half).unwrap();
    let mut with = |names: &[&str], weights: &[f32]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        model.activate_adapters(&names, weights).unwrap();
        logits(&model)
    };
    let one = with(&["whole"], &[1.0]);
    assert_eq!(with(&["whole"], &[0.5]), with(&["half"], &[1.0]));
    assert!(relative(&with(&["half", "whole"], &[1.0, 0.5]), &one) < 1e-5);
    assert_eq!(with(&["whole"], &[0.0]), with(&[], &[]));
    // Scales are on a straight line between 1 and themselves.
    let scales = plan(Kind::ScaleOutput, &model);
    let mut halved = scales.clone();
    for value in &mut halved.values {
        *value = 1.0 + 0.5 * (*value - 1.0);
    }
    model.add_adapter("scales", &scales).unwrap();
    model.add_adapter("halved", &halved).unwrap();
    let mut with = |name: &str, weight: f32| {
        model
            .activate_adapters(&[name.to_owned()], &[weight])
            .unwrap();
        logits(&model)
    };
    assert_eq!(with("scales", 0.5), with("halved", 1.0));
}

#[test]
fn other_threads_and_the_functions_for_gpus_give_the_same() {
    for (architecture, task) in ARCHITECTURES {
        let (folder, model) = based(architecture, task);
        for kind in KINDS {
            let plan = plan(kind, &model);
            let of = |mut model: MiniLm| {
                let loss = run(&mut model, task);
                (loss, gradients(&model, &plan))
            };
            let (loss, expected) = of(with(&folder, task, &plan, 2));
            for threads in [1, 5] {
                let (other, found) = of(with(&folder, task, &plan, threads));
                assert!(
                    other.to_bits() == loss.to_bits() && found == expected,
                    "{kind:?}"
                );
            }
            let mut composed = MiniLm::composed(&settings_at(folder.path(), task), 2).unwrap();
            composed.add_adapter("default", &plan).unwrap();
            begin(&mut composed);
            let (other, found) = of(composed);
            assert!(
                (other - loss).abs() < 1e-4 * loss,
                "{kind:?}: {other}, not {loss}"
            );
            let error = relative(&found, &expected);
            assert!(
                error < 1e-3,
                "{architecture:?} {kind:?}: composed gradients differ by {error}"
            );
        }
    }
}

#[test]
fn generation_sees_what_whole_sequences_see() {
    for architecture in [ArchitectureName::Gpt2, ArchitectureName::Llama] {
        let (_folder, mut model) = based(architecture, "causal-lm");
        let plan = plan(Kind::MagnitudeOfPair, &model);
        model.add_adapter("one", &plan).unwrap();
        let ids = crate::text(&[12], 3).0;
        let whole = model.logits(Ids::new(&ids, &[0, 12]).unwrap()).unwrap();
        let session = model.open_session().unwrap();
        for (at, id) in ids.iter().enumerate() {
            let one = model
                .extend_sessions(&[session], Ids::new(&[*id], &[0, 1]).unwrap())
                .unwrap();
            let expected = &whole[at * one.len()..][..one.len()];
            assert!(largest_difference(&one, expected) < 1e-4, "token {at}");
        }
    }
}
