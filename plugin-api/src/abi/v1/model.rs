//! Models across the border: what is exchanged and the table. The side that offers a model is `model/offer.rs`, the side
//! that uses one `model/using.rs`.

mod offer;
mod using;

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr, RString, RVec};

use super::buffers::{AbiIds, AbiTokenBatch};
use super::error::AbiResult;
use super::object::{object, release, table};
use crate::Model;

/// [`crate::Loss`].
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiLoss {
    sum: f64,
    targets: u64,
}

/// [`crate::TrainingPass`].
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiTrainingPass {
    step: u64,
    accumulation: u32,
    loss_scale: f64,
}

/// [`crate::OptimizerStep`].
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiOptimizerStep {
    learning_rate: f64,
    max_grad_norm: f64,
}

/// [`crate::GradientSummary`]; `received` is 0 or 1.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiGradientSummary {
    name: RString,
    norm: f64,
    received: u8,
}

/// [`crate::GradientBuffer`]; `device` is 0 for the process's memory and 1 for CUDA.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiGradientBuffer {
    address: u64,
    length: u64,
    dtype: RString,
    device: u8,
    ordinal: u32,
}

/// [`crate::Scores`].
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiScores {
    target_offsets: RVec<u64>,
    log_probabilities: RVec<f32>,
    ranks: RVec<u32>,
    sequence_outputs: RVec<f32>,
    loss: AbiLoss,
}

/// The functions of a model.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ModelTable, prefix_fields = ModelTablePrefix)))]
pub struct ModelFunctions {
    release: unsafe extern "C" fn(*mut ()),
    /// [`crate::ModelInfo`] as JSON.
    info: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<u8>>,
    /// A list of [`crate::Parameter`] as JSON.
    parameters: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<u8>>,
    /// Bit 0 asks for log-probabilities, bit 1 for ranks, bit 2 for sequence outputs.
    score: unsafe extern "C" fn(*mut (), &AbiTokenBatch<'_>, u64) -> AbiResult<AbiScores>,
    save: unsafe extern "C" fn(*mut (), RStr<'_>) -> AbiResult<()>,
    /// [`crate::TrainingSettings`] as JSON.
    begin_training: unsafe extern "C" fn(*mut (), RSlice<'_, u8>) -> AbiResult<()>,
    forward_backward:
        unsafe extern "C" fn(*mut (), &AbiTokenBatch<'_>, AbiTrainingPass) -> AbiResult<AbiLoss>,
    gradients: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<AbiGradientSummary>>,
    optimizer_step: unsafe extern "C" fn(*mut (), AbiOptimizerStep) -> AbiResult<f64>,
    lend_gradients: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<AbiGradientBuffer>>,
    export_state: unsafe extern "C" fn(*mut (), RStr<'_>) -> AbiResult<()>,
    import_state: unsafe extern "C" fn(*mut (), RStr<'_>) -> AbiResult<()>,
    embed: unsafe extern "C" fn(*mut (), AbiIds<'_>) -> AbiResult<RVec<f32>>,
    open_session: unsafe extern "C" fn(*mut ()) -> AbiResult<u64>,
    extend_sessions:
        unsafe extern "C" fn(*mut (), RSlice<'_, u64>, AbiIds<'_>) -> AbiResult<RVec<f32>>,
    truncate_session: unsafe extern "C" fn(*mut (), u64, u64) -> AbiResult<()>,
    close_session: unsafe extern "C" fn(*mut (), u64) -> AbiResult<()>,
    /// A list of [`crate::Site`] as JSON.
    sites: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<u8>>,
    /// The plan as JSON, then its values.
    add_adapter:
        unsafe extern "C" fn(*mut (), RStr<'_>, RSlice<'_, u8>, RSlice<'_, f32>) -> AbiResult<()>,
    load_adapter: unsafe extern "C" fn(*mut (), RStr<'_>, RStr<'_>) -> AbiResult<()>,
    save_adapter: unsafe extern "C" fn(*mut (), RStr<'_>, RStr<'_>) -> AbiResult<()>,
    /// The names as a JSON list, then their weights.
    activate_adapters:
        unsafe extern "C" fn(*mut (), RSlice<'_, u8>, RSlice<'_, f32>) -> AbiResult<()>,
    /// The number is 1 to merge and 0 to take out.
    #[sabi(last_prefix_field)]
    merge_adapter: unsafe extern "C" fn(*mut (), RStr<'_>, u8) -> AbiResult<f64>,
}

table! {
    ModelTable of ModelFunctions {
        release: release::<dyn Model>,
        info: offer::info,
        parameters: offer::parameters,
        score: offer::score,
        save: offer::save,
        begin_training: offer::begin_training,
        forward_backward: offer::forward_backward,
        gradients: offer::gradients,
        optimizer_step: offer::optimizer_step,
        lend_gradients: offer::lend_gradients,
        export_state: offer::export_state,
        import_state: offer::import_state,
        embed: offer::embed,
        open_session: offer::open_session,
        extend_sessions: offer::extend_sessions,
        truncate_session: offer::truncate_session,
        close_session: offer::close_session,
        sites: offer::sites,
        add_adapter: offer::add_adapter,
        load_adapter: offer::load_adapter,
        save_adapter: offer::save_adapter,
        activate_adapters: offer::activate_adapters,
        merge_adapter: offer::merge_adapter,
    }
}

object! {
    /// A model.
    AbiModel, ModelTable, Model
}
