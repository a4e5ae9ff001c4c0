//! The functions in a model's table: each reads its arguments, calls the trait, and writes the answer.
//!
//! SAFETY of every function: the table's contract. `this` is a live instance made with this table; functions that take
//! `&mut self` in the trait are called by one thread at a time.

use abi_stable::std_types::{RSlice, RStr, RVec};

use super::{
    AbiGradientBuffer, AbiGradientSummary, AbiLoss, AbiOptimizerStep, AbiScores, AbiTrainingPass,
};
use crate::abi::v1::buffers::{AbiIds, AbiTokenBatch, argument, flags, text, to_json};
use crate::abi::v1::error::AbiResult;
use crate::abi::v1::guard::guard;
use crate::abi::v1::object::{exclusive, shared};
use crate::{
    AdapterPlan, DeviceKind, Loss, Model, OptimizerStep, ScoreRequest, TrainingPass,
    TrainingSettings,
};

/// The model, while others may read it too.
unsafe fn reading<'a>(this: *mut ()) -> &'a (dyn Model + 'static) {
    // SAFETY: the caller's promise is the same.
    unsafe { shared::<dyn Model>(this) }
}

/// The model, for one caller.
unsafe fn writing<'a>(this: *mut ()) -> &'a mut (dyn Model + 'static) {
    // SAFETY: the caller's promise is the same.
    unsafe { exclusive::<dyn Model>(this) }
}

fn loss(loss: Loss) -> AbiLoss {
    AbiLoss {
        sum: loss.sum,
        targets: loss.targets,
    }
}

pub(super) unsafe extern "C" fn info(this: *mut ()) -> AbiResult<RVec<u8>> {
    guard(|| to_json(&unsafe { reading(this) }.info()?, "a model's description"))
}

pub(super) unsafe extern "C" fn parameters(this: *mut ()) -> AbiResult<RVec<u8>> {
    guard(|| to_json(&unsafe { reading(this) }.parameters()?, "parameters"))
}

pub(super) unsafe extern "C" fn score(
    this: *mut (),
    batch: &AbiTokenBatch<'_>,
    request: u64,
) -> AbiResult<AbiScores> {
    guard(|| {
        let [log_probabilities, ranks, sequence_outputs] = flags(request, "scoring")?;
        let request = ScoreRequest {
            log_probabilities,
            ranks,
            sequence_outputs,
        };
        let scores = unsafe { writing(this) }.score(&batch.read()?, request)?;
        Ok(AbiScores {
            target_offsets: scores.target_offsets.into(),
            log_probabilities: scores.log_probabilities.into(),
            ranks: scores.ranks.into(),
            sequence_outputs: scores.sequence_outputs.into(),
            loss: loss(scores.loss),
        })
    })
}

pub(super) unsafe extern "C" fn save(this: *mut (), folder: RStr<'_>) -> AbiResult<()> {
    guard(|| unsafe { reading(this) }.save(text(folder, "a folder")?))
}

pub(super) unsafe extern "C" fn begin_training(
    this: *mut (),
    settings: RSlice<'_, u8>,
) -> AbiResult<()> {
    guard(|| {
        let settings: TrainingSettings = argument(settings, "these training settings")?;
        unsafe { writing(this) }.begin_training(&settings)
    })
}

pub(super) unsafe extern "C" fn forward_backward(
    this: *mut (),
    batch: &AbiTokenBatch<'_>,
    pass: AbiTrainingPass,
) -> AbiResult<AbiLoss> {
    guard(|| {
        let pass = TrainingPass {
            step: pass.step,
            accumulation: pass.accumulation,
            loss_scale: pass.loss_scale,
        };
        unsafe { writing(this) }
            .forward_backward(&batch.read()?, &pass)
            .map(loss)
    })
}

pub(super) unsafe extern "C" fn gradients(this: *mut ()) -> AbiResult<RVec<AbiGradientSummary>> {
    guard(|| {
        let gradients = unsafe { writing(this) }.gradients()?;
        Ok(gradients
            .into_iter()
            .map(|gradient| AbiGradientSummary {
                name: gradient.name.into(),
                norm: gradient.norm,
                received: gradient.received.into(),
            })
            .collect())
    })
}

pub(super) unsafe extern "C" fn optimizer_step(
    this: *mut (),
    step: AbiOptimizerStep,
) -> AbiResult<f64> {
    guard(|| {
        unsafe { writing(this) }.optimizer_step(&OptimizerStep {
            learning_rate: step.learning_rate,
            max_grad_norm: step.max_grad_norm,
        })
    })
}

pub(super) unsafe extern "C" fn lend_gradients(
    this: *mut (),
) -> AbiResult<RVec<AbiGradientBuffer>> {
    guard(|| {
        let buffers = unsafe { writing(this) }.lend_gradients()?;
        Ok(buffers
            .into_iter()
            .map(|buffer| AbiGradientBuffer {
                address: buffer.address,
                length: buffer.length,
                dtype: buffer.dtype.into(),
                device: u8::from(buffer.device == DeviceKind::Cuda),
                ordinal: buffer.ordinal,
            })
            .collect())
    })
}

pub(super) unsafe extern "C" fn export_state(this: *mut (), folder: RStr<'_>) -> AbiResult<()> {
    guard(|| unsafe { reading(this) }.export_state(text(folder, "a folder")?))
}

pub(super) unsafe extern "C" fn import_state(this: *mut (), folder: RStr<'_>) -> AbiResult<()> {
    guard(|| unsafe { writing(this) }.import_state(text(folder, "a folder")?))
}

pub(super) unsafe extern "C" fn embed(
    this: *mut (),
    sequences: AbiIds<'_>,
) -> AbiResult<RVec<f32>> {
    guard(|| {
        unsafe { writing(this) }
            .embed(sequences.read()?)
            .map(RVec::from)
    })
}

pub(super) unsafe extern "C" fn open_session(this: *mut ()) -> AbiResult<u64> {
    guard(|| unsafe { writing(this) }.open_session())
}

pub(super) unsafe extern "C" fn extend_sessions(
    this: *mut (),
    sessions: RSlice<'_, u64>,
    ids: AbiIds<'_>,
) -> AbiResult<RVec<f32>> {
    guard(|| {
        unsafe { writing(this) }
            .extend_sessions(sessions.as_slice(), ids.read()?)
            .map(RVec::from)
    })
}

pub(super) unsafe extern "C" fn truncate_session(
    this: *mut (),
    session: u64,
    length: u64,
) -> AbiResult<()> {
    guard(|| unsafe { writing(this) }.truncate_session(session, length))
}

pub(super) unsafe extern "C" fn close_session(this: *mut (), session: u64) -> AbiResult<()> {
    guard(|| unsafe { writing(this) }.close_session(session))
}

pub(super) unsafe extern "C" fn sites(this: *mut ()) -> AbiResult<RVec<u8>> {
    guard(|| to_json(&unsafe { reading(this) }.sites()?, "sites"))
}

pub(super) unsafe extern "C" fn add_adapter(
    this: *mut (),
    name: RStr<'_>,
    plan: RSlice<'_, u8>,
    values: RSlice<'_, f32>,
) -> AbiResult<()> {
    guard(|| {
        let mut plan: AdapterPlan = argument(plan, "this adapter plan")?;
        plan.values = values.to_vec();
        unsafe { writing(this) }.add_adapter(text(name, "an adapter's name")?, &plan)
    })
}

pub(super) unsafe extern "C" fn load_adapter(
    this: *mut (),
    name: RStr<'_>,
    folder: RStr<'_>,
) -> AbiResult<()> {
    guard(|| {
        unsafe { writing(this) }
            .load_adapter(text(name, "an adapter's name")?, text(folder, "a folder")?)
    })
}

pub(super) unsafe extern "C" fn save_adapter(
    this: *mut (),
    name: RStr<'_>,
    folder: RStr<'_>,
) -> AbiResult<()> {
    guard(|| {
        unsafe { reading(this) }
            .save_adapter(text(name, "an adapter's name")?, text(folder, "a folder")?)
    })
}

pub(super) unsafe extern "C" fn activate_adapters(
    this: *mut (),
    names: RSlice<'_, u8>,
    weights: RSlice<'_, f32>,
) -> AbiResult<()> {
    guard(|| {
        let names: Vec<String> = argument(names, "these adapters' names")?;
        unsafe { writing(this) }.activate_adapters(&names, weights.as_slice())
    })
}

pub(super) unsafe extern "C" fn merge_adapter(
    this: *mut (),
    name: RStr<'_>,
    merged: u8,
) -> AbiResult<f64> {
    guard(|| unsafe { writing(this) }.merge_adapter(text(name, "an adapter's name")?, merged != 0))
}
