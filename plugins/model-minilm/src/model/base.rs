//! What a model cannot do whose weights are kept in fewer bits. What adapters cannot do beside them is in `adapters`.

use candle_core::Device;
use codex_plugin_api::{Error, Result};

use crate::config::settings::{BaseDtype, Settings};
use crate::device;
use crate::network::Network;

/// Refuses a base that is to be quantised where it cannot be.
pub(super) fn check(settings: &Settings, device: &Device) -> Result<()> {
    let dtype = settings.base_dtype;
    if dtype == BaseDtype::F32 {
        return Ok(());
    }
    if settings.path.is_none() {
        return Err(Error::config(format!(
            "base_dtype is {}, but the model is a new one, whose weights have to train",
            dtype.word()
        ))
        .hint("set model.path to the model that an adapter is for, or leave base_dtype out"));
    }
    if !device.is_cpu() {
        return Err(Error::unsupported(format!(
            "base_dtype {} on {}",
            dtype.word(),
            device::name(device)
        ))
        .hint("set device to cpu, or leave base_dtype out"));
    }
    Ok(())
}

/// Refuses to train what is quantised.
pub(super) fn check_training(network: &Network) -> Result<()> {
    let quantized = network.parameters.first_quantized();
    match (quantized, network.adapters.trained()) {
        (Some(entry), None) => Err(Error::config(format!(
            "base_dtype is {}, in which weights do not train, and there is no adapter",
            entry.dtype()
        ))
        .hint("train an adapter beside them (adapter=lora), or leave model.base_dtype out")),
        _ => Ok(()),
    }
}
