//! GELU in its tanh form (GPT-2's `gelu_new`) and its exact form with erf (Hendrycks and Gimpel 2016).

use candle_core::Tensor;
use rayon::prelude::*;

use crate::storage::{Read, write};
use crate::vectorized::{erf, exp, sigmoid, vectorized};
use crate::workspace::tensor_of;
use crate::{Result, Workspace, composed};

/// Elements of one piece of work.
const PIECE: usize = 1 << 14;
/// 2·√(2/π): tanh(u) = 2·sigmoid(2u) − 1 turns the tanh form into x·sigmoid(2u).
pub(crate) const SLOPE: f32 = 1.595_769_2;
pub(crate) const CUBE: f32 = 0.044_715;
/// 1/√(2π).
pub(crate) const DENSITY: f32 = 0.398_942_3;

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))): `gelu_new`, `gelu_pytorch_tanh`.
    Tanh,
    /// 0.5·x·(1 + erf(x/√2)): `gelu`.
    Erf,
}

vectorized! {
    fn tanh_forward(out: &mut [f32], x: &[f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x * sigmoid(SLOPE * (x + CUBE * x * x * x));
        }
    }

    fn tanh_backward(dy: &mut [f32], x: &[f32]) {
        for (dy, &x) in dy.iter_mut().zip(x) {
            let s = sigmoid(SLOPE * (x + CUBE * x * x * x));
            *dy *= s + x * s * (1.0 - s) * SLOPE * (1.0 + 3.0 * CUBE * x * x);
        }
    }

    fn erf_forward(out: &mut [f32], x: &[f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }

    fn erf_backward(dy: &mut [f32], x: &[f32]) {
        for (dy, &x) in dy.iter_mut().zip(x) {
            let cumulative = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
            *dy *= cumulative + x * DENSITY * exp(-0.5 * x * x);
        }
    }
}

/// The activation of every element of `x`.
pub fn forward(workspace: &Workspace, x: &Tensor, form: Form) -> Result<Tensor> {
    if composed::takes(x) {
        return composed::activation::gelu(x, form);
    }
    let values = Read::new(x)?;
    let mut out = workspace.take(values.len());
    let kernel = match form {
        Form::Tanh => tanh_forward,
        Form::Erf => erf_forward,
    };
    out.par_chunks_mut(PIECE)
        .zip(values.par_chunks(PIECE))
        .for_each(|(out, x)| kernel(out, x));
    tensor_of(out, x.shape())
}

/// Turns the gradient of the output into that of the input, in place. `x` is forward's input.
pub fn backward(dy: &Tensor, x: &Tensor, form: Form) -> Result<()> {
    if composed::takes(dy) {
        return composed::activation::gelu_backward(dy, x, form);
    }
    let x = Read::new(x)?;
    let kernel = match form {
        Form::Tanh => tanh_backward,
        Form::Erf => erf_backward,
    };
    write(dy, |dy| {
        dy.par_chunks_mut(PIECE)
            .zip(x.par_chunks(PIECE))
            .for_each(|(dy, x)| kernel(dy, x));
    })
}
