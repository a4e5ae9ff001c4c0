//! Training must learn, must count every target once, and must go on where it stopped.

use super::{ALL, Create, Made, causal};
use crate::testing::folder::Folder;
use crate::testing::report::{Report, close, ensure};
use crate::{Model, ModelInfo, OptimizerStep, Result, TrainingPass, TrainingSettings};

const STEP: OptimizerStep = OptimizerStep {
    learning_rate: 3e-3,
    max_grad_norm: 1.0,
};

fn training(create: &mut Create<'_>) -> Result<(Box<dyn Model>, ModelInfo)> {
    let (mut model, info) = causal(create)?;
    model.begin_training(&TrainingSettings {
        seed: 5,
        ..TrainingSettings::default()
    })?;
    Ok((model, info))
}

fn pass(step: u64, accumulation: u32, targets: u64) -> TrainingPass {
    TrainingPass {
        step,
        accumulation,
        loss_scale: 1.0 / targets as f64,
    }
}

/// One step on a batch; gives the loss before it.
fn step(model: &mut dyn Model, made: &Made, number: u64) -> Result<f64> {
    let batch = made.batch()?;
    let loss = model.forward_backward(&batch, &pass(number, 0, batch.causal_targets()))?;
    let norm = model.optimizer_step(&STEP)?;
    ensure(norm.is_finite() && norm > 0.0, || {
        format!("the gradient norm of step {number} is {norm}")
    })?;
    Ok(loss.sum)
}

pub(super) fn check(report: &mut Report, create: &mut Create<'_>) {
    report.check("the training loss is the scored loss", || {
        let (mut model, info) = training(create)?;
        let made = Made::new(&info, &[6, 3]);
        let scored = model.score(&made.batch()?, ALL)?.loss;
        let trained = model.forward_backward(&made.batch()?, &pass(1, 0, scored.targets))?;
        let same = trained.targets == scored.targets && close(trained.sum, scored.sum, 1e-3);
        ensure(same, || {
            format!("{trained:?} and {scored:?} (no dropout in this check, please)")
        })
    });
    report.check(
        "every trainable parameter receives a finite gradient",
        || {
            let (mut model, info) = training(create)?;
            let made = Made::new(&info, &[8, 5]);
            let batch = made.batch()?;
            model.forward_backward(&batch, &pass(1, 0, batch.causal_targets()))?;
            let gradients = model.gradients()?;
            for parameter in model.parameters()?.iter().filter(|one| one.trainable) {
                let found = gradients
                    .iter()
                    .find(|gradient| gradient.name == parameter.name);
                ensure(
                    found.is_some_and(|one| one.received && one.norm.is_finite()),
                    || format!("{} has {found:?}", parameter.name),
                )?;
            }
            let silent = gradients.iter().all(|gradient| gradient.norm == 0.0);
            ensure(!silent, || "all gradients are 0".to_owned())?;
            model.optimizer_step(&STEP)?;
            let left = model
                .gradients()?
                .into_iter()
                .find(|one| one.received && one.norm != 0.0);
            ensure(left.is_none(), || {
                format!("after the optimizer step there is still {left:?}")
            })
        },
    );
    report.check("the loss falls", || {
        let (mut model, info) = training(create)?;
        let made = Made::new(&info, &[8, 6]);
        let first = step(&mut *model, &made, 1)?;
        for number in 2..=30 {
            step(&mut *model, &made, number)?;
        }
        let last = model.score(&made.batch()?, ALL)?.loss.sum;
        ensure(last < 0.95 * first, || {
            format!("from {first} to {last} in 30 steps on one batch")
        })
    });
    report.check("accumulated batches equal one large batch", || {
        let (mut whole, info) = training(create)?;
        let (mut parts, _) = training(create)?;
        let made = Made::new(&info, &[7, 4]);
        let targets = made.batch()?.causal_targets();
        whole.forward_backward(&made.batch()?, &pass(1, 0, targets))?;
        for index in 0..2 {
            let only = made.only(index);
            parts.forward_backward(&only.batch()?, &pass(1, index as u32, targets))?;
        }
        for (a, b) in whole.gradients()?.iter().zip(&parts.gradients()?) {
            ensure(a.name == b.name && close(a.norm, b.norm, 1e-3), || {
                format!("{a:?} of the whole, {b:?} of the parts")
            })?;
        }
        let (a, b) = (whole.optimizer_step(&STEP)?, parts.optimizer_step(&STEP)?);
        ensure(close(a, b, 1e-3), || format!("the norms are {a} and {b}"))
    });
    report.check(
        "training goes on bit for bit from an exported state",
        || {
            let folder = Folder::new()?;
            let (mut model, info) = training(create)?;
            let made = Made::new(&info, &[8, 3]);
            for number in 1..=3 {
                step(&mut *model, &made, number)?;
            }
            model.export_state(folder.path()?)?;
            let (mut again, _) = training(create)?;
            again.import_state(folder.path()?)?;
            for number in 4..=6 {
                let (a, b) = (
                    step(&mut *model, &made, number)?,
                    step(&mut *again, &made, number)?,
                );
                ensure(a.to_bits() == b.to_bits(), || {
                    format!("in step {number} the losses are {a:?} and {b:?}")
                })?;
            }
            Ok(())
        },
    );
}
