//! The parts that blocks are put together from: a linear map, a norm, an activation, each bound to its parameters.

use candle_core::Tensor;
use codex_nn::gelu::{self, Form};
use codex_nn::linear::{self, Orientation};
use codex_nn::{Result, layer_norm, rms_norm, swiglu};

use crate::parameters::{GradientPart, Parameters, Slot};
use crate::pass::Pass;

/// A linear map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Slot,
    pub(crate) bias: Option<Slot>,
    pub(crate) orientation: Orientation,
}

impl Linear {
    /// Whether its weight or its bias trains.
    pub(crate) fn trains(&self, parameters: &Parameters) -> bool {
        parameters.trains(self.weight) || self.bias.is_some_and(|bias| parameters.trains(bias))
    }

    pub(crate) fn forward(&self, pass: &Pass<'_>, x: &Tensor) -> Result<Tensor> {
        let weight = pass.parameters.value(self.weight);
        let bias = self.bias.map(|slot| pass.parameters.value(slot));
        linear::forward(pass.workspace, x, weight, bias, self.orientation)
    }

    pub(crate) fn backward_input(&self, pass: &Pass<'_>, dy: &Tensor) -> Result<Tensor> {
        let weight = pass.parameters.value(self.weight);
        linear::backward_input(pass.workspace, dy, weight, self.orientation)
    }

    /// Adds the gradients of weight and bias; what is frozen costs nothing.
    pub(crate) fn backward_weight(&self, pass: &Pass<'_>, dy: &Tensor, x: &Tensor) -> Result<()> {
        let (ws, parameters) = (pass.workspace, pass.parameters);
        let mut weight = parameters.gradient(self.weight);
        let mut bias = self.bias.and_then(|slot| parameters.gradient(slot));
        // Of maps that lie side by side, those that train alone.
        for part in parameters.gradient_parts(self.weight) {
            weight = None;
            let dy = columns(dy, part)?;
            linear::backward_weight(ws, &dy, x, Some(&part.gradient), None, self.orientation)?;
        }
        for part in self
            .bias
            .iter()
            .flat_map(|&bias| parameters.gradient_parts(bias))
        {
            bias = None;
            let dy = columns(dy, part)?;
            linear::backward_weight(ws, &dy, x, None, Some(&part.gradient), self.orientation)?;
        }
        linear::backward_weight(ws, dy, x, weight, bias, self.orientation)
    }
}

/// The columns of an output's gradient that belong to a part of the map.
fn columns(dy: &Tensor, part: &GradientPart) -> Result<Tensor> {
    let columns = dy.narrow(1, part.rows.start, part.rows.len())?;
    Ok(columns.contiguous()?)
}

/// A norm of either family.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Norm {
    Layer {
        weight: Slot,
        bias: Slot,
        epsilon: f32,
    },
    RootMeanSquare {
        weight: Slot,
        epsilon: f32,
    },
}

/// What the norm's backward needs.
pub(crate) enum NormSaved {
    Layer(layer_norm::Saved),
    RootMeanSquare(rms_norm::Saved),
}

impl Norm {
    /// Whether its weight or its bias trains.
    pub(crate) fn trains(&self, parameters: &Parameters) -> bool {
        match *self {
            Self::Layer { weight, bias, .. } => {
                parameters.trains(weight) || parameters.trains(bias)
            }
            Self::RootMeanSquare { weight, .. } => parameters.trains(weight),
        }
    }

    /// Adds `residual` to `x` in place and gives the norm of the sum.
    pub(crate) fn forward(
        &self,
        pass: &Pass<'_>,
        x: &Tensor,
        residual: Option<&Tensor>,
    ) -> Result<(Tensor, NormSaved)> {
        let (ws, parameters) = (pass.workspace, pass.parameters);
        match *self {
            Self::Layer {
                weight,
                bias,
                epsilon,
            } => {
                let (weight, bias) = (parameters.value(weight), parameters.value(bias));
                let (out, saved) = layer_norm::forward(ws, x, residual, weight, bias, epsilon)?;
                Ok((out, NormSaved::Layer(saved)))
            }
            Self::RootMeanSquare { weight, epsilon } => {
                let weight = parameters.value(weight);
                let (out, saved) = rms_norm::forward(ws, x, residual, weight, epsilon)?;
                Ok((out, NormSaved::RootMeanSquare(saved)))
            }
        }
    }

    /// Turns `dy` into the gradient of the sum `x`, in place, with `stream` added.
    pub(crate) fn backward(
        &self,
        pass: &Pass<'_>,
        dy: &Tensor,
        x: &Tensor,
        saved: &NormSaved,
        stream: Option<&Tensor>,
    ) -> Result<()> {
        let (ws, parameters) = (pass.workspace, pass.parameters);
        match (*self, saved) {
            (Self::Layer { weight, bias, .. }, NormSaved::Layer(saved)) => {
                let gradients = (parameters.gradient(weight), parameters.gradient(bias));
                let weight = parameters.value(weight);
                layer_norm::backward(ws, dy, x, saved, weight, stream, gradients.0, gradients.1)
            }
            (Self::RootMeanSquare { weight, .. }, NormSaved::RootMeanSquare(saved)) => {
                let gradient = parameters.gradient(weight);
                rms_norm::backward(ws, dy, x, saved, parameters.value(weight), stream, gradient)
            }
            _ => Err(codex_nn::Error::Unsupported(
                "a norm's backward with what the other norm's forward saved".to_owned(),
            )),
        }
    }
}

/// What stands between the two linear maps of the feed-forward part.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Activation {
    Gelu(Form),
    SwiGlu,
}

impl Activation {
    pub(crate) fn forward(self, pass: &Pass<'_>, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gelu(form) => gelu::forward(pass.workspace, x, form),
            Self::SwiGlu => swiglu::forward(pass.workspace, x),
        }
    }

    pub(crate) fn backward(self, pass: &Pass<'_>, dy: Tensor, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gelu(form) => {
                gelu::backward(&dy, x, form)?;
                Ok(dy)
            }
            Self::SwiGlu => {
                let dx = swiglu::backward(pass.workspace, &dy, x)?;
                pass.workspace.recycle(dy);
                Ok(dx)
            }
        }
    }
}
