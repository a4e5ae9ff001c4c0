//! The training functions against finite differences, against themselves on other thread counts, and packed against
//! apart. Parity with PyTorch is tested where whole models are, in the model plugins.
#![allow(clippy::unwrap_used, reason = "tests")]

mod adamw; // ten steps against a plain f64 AdamW, groups, norm
mod adapters; // low-rank pairs, factors of columns, norms of adapted weights
mod composed; // the compositions for other devices ≡ the CPU's functions
mod edges; // empty sequences, zero vectors, one pair, one class, no targets, constant rows
mod gradients; // every backward against finite differences
mod packed; // one packed batch ≡ its sequences one by one, in and out of a cache
mod quantized; // weights in fewer bits against their formulas
mod refusals; // wrong shapes and ids are errors, not panics
mod sentences; // pooling, normalisation and the losses of whole sequences against f64 and finite differences
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

/// Compares `gradient` with the central differences of `loss` around `x`.
fn check(name: &str, x: &Tensor, gradient: &Tensor, loss: impl Fn(&Tensor) -> f64) {
    let gradient = values(gradient);
    let largest = gradient.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    assert!(largest > 0.0, "{name}: the gradient is zero everywhere");
    let step = 1e-2f32;
    for index in 0..x.elem_count() {
        let at = |offset: f32| {
            let moved = copy(x);
            codex_nn::write(&moved, |values| values[index] += offset).unwrap();
            loss(&moved)
        };
        // Fourth-order differences: the step has to be large for f32, and this keeps its error small.
        let near = (at(step) - at(-step)) / f64::from(2.0 * step);
        let far = (at(2.0 * step) - at(-2.0 * step)) / f64::from(4.0 * step);
        let expected = (4.0 * near - far) / 3.0;
        let error = (expected - f64::from(gradient[index])).abs();
        assert!(
            error < 2e-3 * f64::from(largest.max(0.1)),
            "{name}[{index}]: backward says {}, differences say {expected}",
            gradient[index]
        );
    }
}

/// Σ out · direction, in f64.
fn project(out: &Tensor, direction: &Tensor) -> f64 {
    let (out, direction) = (values(out), values(direction));
    out.iter()
        .zip(&direction)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}
