//! GELU, SwiGLU and tanh as compositions.

use candle_core::Tensor;

use super::{overwrite, sigmoid};
use crate::Result;
use crate::gelu::{CUBE, DENSITY, Form, SLOPE};

/// sigmoid(2u) of the tanh form, where u = √(2/π)·(x + 0.044715·x³).
fn gate(x: &Tensor) -> Result<Tensor> {
    let slope = f64::from(SLOPE);
    let inner = x.sqr()?.affine(slope * f64::from(CUBE), slope)?;
    sigmoid(&(inner * x)?)
}

/// Φ(x).
fn cumulative(x: &Tensor) -> Result<Tensor> {
    let scaled = x.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?;
    Ok(scaled.erf()?.affine(0.5, 0.5)?)
}

pub(crate) fn gelu(x: &Tensor, form: Form) -> Result<Tensor> {
    let factor = match form {
        Form::Tanh => gate(x)?,
        Form::Erf => cumulative(x)?,
    };
    Ok((x * factor)?)
}

pub(crate) fn gelu_backward(dy: &Tensor, x: &Tensor, form: Form) -> Result<()> {
    let slope = match form {
        Form::Tanh => {
            let s = gate(x)?;
            let bend = x
                .sqr()?
                .affine(f64::from(3.0 * SLOPE * CUBE), f64::from(SLOPE))?;
            let rest = s.affine(-1.0, 1.0)?;
            (&s + (((x * &s)? * rest)? * bend)?)?
        }
        Form::Erf => {
            let density = x.sqr()?.affine(-0.5, 0.0)?.exp()?;
            (cumulative(x)? + (x * density.affine(f64::from(DENSITY), 0.0)?)?)?
        }
    };
    overwrite(dy, &(dy * slope)?)
}

fn gate_and_up(gate_up: &Tensor) -> Result<(Tensor, Tensor)> {
    let width = gate_up.dims2()?.1 / 2;
    Ok((
        gate_up.narrow(1, 0, width)?,
        gate_up.narrow(1, width, width)?,
    ))
}

pub(crate) fn swiglu(gate_up: &Tensor) -> Result<Tensor> {
    let (gate, up) = gate_and_up(gate_up)?;
    let s = sigmoid(&gate)?;
    Ok(((gate * s)? * up)?)
}

pub(crate) fn swiglu_backward(dy: &Tensor, gate_up: &Tensor) -> Result<Tensor> {
    let (gate, up) = gate_and_up(gate_up)?;
    let s = sigmoid(&gate)?;
    let d_up = ((dy * &gate)? * &s)?;
    let bend = (gate * s.affine(-1.0, 1.0)?)?.affine(1.0, 1.0)?;
    let d_gate = (((dy * up)? * s)? * bend)?;
    Ok(Tensor::cat(&[d_gate, d_up], 1)?)
}

pub(crate) fn tanh_backward(dy: &Tensor, y: &Tensor) -> Result<()> {
    overwrite(dy, &(dy * y.sqr()?.affine(-1.0, 1.0)?)?)
}
