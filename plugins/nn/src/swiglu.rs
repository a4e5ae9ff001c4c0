//! SwiGLU: silu(gate)·up (Shazeer 2020), with gate and up side by side in one tensor, as one product makes them.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::Read;
use crate::vectorized::{sigmoid, vectorized};
use crate::workspace::tensor_of;
use crate::{Result, Workspace, composed};

vectorized! {
    fn forward_row(out: &mut [f32], gate: &[f32], up: &[f32]) {
        for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
            *out = gate * sigmoid(gate) * up;
        }
    }

    fn backward_row(d_gate: &mut [f32], d_up: &mut [f32], dy: &[f32], gate: &[f32], up: &[f32]) {
        for ((((d_gate, d_up), &dy), &gate), &up) in
            d_gate.iter_mut().zip(d_up).zip(dy).zip(gate).zip(up)
        {
            let s = sigmoid(gate);
            *d_up = dy * gate * s;
            *d_gate = dy * up * s * (1.0 + gate * (1.0 - s));
        }
    }
}

/// `gate_up` `[tokens, 2·width]`, gate before up → `[tokens, width]`.
pub fn forward(workspace: &Workspace, gate_up: &Tensor) -> Result<Tensor> {
    let (tokens, double) = gate_up.dims2()?;
    let width = double / 2;
    if composed::takes(gate_up) {
        return composed::activation::swiglu(gate_up);
    }
    let values = Read::new(gate_up)?;
    let mut out = workspace.take(tokens * width);
    out.par_chunks_mut(width.max(1))
        .zip(values.par_chunks(double.max(1)))
        .with_min_len(16)
        .for_each(|(out, row)| {
            let (gate, up) = row.split_at(width);
            forward_row(out, gate, up);
        });
    tensor_of(out, (tokens, width))
}

/// The gradient of `gate_up`, from that of the output `dy` `[tokens, width]`.
pub fn backward(workspace: &Workspace, dy: &Tensor, gate_up: &Tensor) -> Result<Tensor> {
    let (tokens, double) = gate_up.dims2()?;
    let width = double / 2;
    if composed::takes(dy) {
        return composed::activation::swiglu_backward(dy, gate_up);
    }
    let (dy, values) = (Read::new(dy)?, Read::new(gate_up)?);
    same_size("swiglu output gradient", tokens * width, dy.len())?;
    let mut out = workspace.take(tokens * double);
    out.par_chunks_mut(double.max(1))
        .zip(values.par_chunks(double.max(1)))
        .zip(dy.par_chunks(width.max(1)))
        .with_min_len(16)
        .for_each(|((out, row), dy)| {
            let (gate, up) = row.split_at(width);
            let (d_gate, d_up) = out.split_at_mut(width);
            backward_row(d_gate, d_up, dy, gate, up);
        });
    tensor_of(out, (tokens, double))
}
