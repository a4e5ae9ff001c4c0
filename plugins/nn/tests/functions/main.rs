//! The training functions against finite differences, against themselves on other thread counts, and packed against
//! apart. Parity with PyTorch is tested where whole models are, in the model plugins.
#![allow(clippy::unwrap_used, reason = "tests")]

mod adamw; // ten steps against a plain f64 AdamW, groups, norm
mod composed; // the compositions for other devices ≡ the CPU's functions
mod gradients; // every backward against finite differences
mod packed; // one packed batch ≡ its sequences one by one, in and out of a cache
mod refusals; // wrong shapes and ids are errors, not panics
mod threads; // one thread ≡ many threads, bit for bit

use candle_core::{Device, Tensor};
use codex_nn::random::Key;

/// Random numbers about 0 as a tensor.
fn random(seed: u64, shape: &[usize]) -> Tensor {
    let key = Key::new(seed);
    let count = shape.iter().product::<usize>() as u64;
    let values: Vec<f32> = (0..count).map(|i| key.normal(i) * 0.7).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::from_vec(vec![0.0f32; shape.iter().product()], shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    codex_nn::Read::new(tensor).unwrap().to_vec()
}

fn copy(tensor: &Tensor) -> Tensor {
    Tensor::from_vec(values(tensor), tensor.shape(), &Device::Cpu).unwrap()
}
