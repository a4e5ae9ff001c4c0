//! The parts that blocks are put together from: a linear map, a norm, an activation, each bound to its parameters.

use std::ops::Range;

use candle_core::Tensor;
use codex_nn::gelu::{self, Form};
use codex_nn::linear::{self, Orientation};
use codex_nn::{Result, layer_norm, rms_norm, swiglu};

use crate::adapters::{Attached, Gradient, Saved};
use crate::parameters::{GradientPart, Parameters, Slot, Weight};
use crate::pass::Pass;

/// A linear map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Slot,
    pub(crate) bias: Option<Slot>,
    pub(crate) orientation: Orientation,
}

impl Linear {
    /// Whether its weight, its bias or anything that adapters add to it trains.
    pub(crate) fn trains(&self, pass: &Pass<'_>) -> bool {
        let parameters = pass.parameters;
        parameters.trains(self.weight)
            || self.bias.is_some_and(|bias| parameters.trains(bias))
            || pass.adapters.at(self.weight).is_some_and(Attached::trains)
    }

    /// The output, and what adapters need for backward.
    pub(crate) fn forward(&self, pass: &Pass<'_>, x: &Tensor) -> Result<(Tensor, Saved)> {
        match pass.adapters.at(self.weight) {
            None => Ok((self.base(pass, x)?, Saved::default())),
            Some(attached) => attached.forward(pass, self, x, true),
        }
    }

    /// The output, where no backward follows.
    pub(crate) fn infer(&self, pass: &Pass<'_>, x: &Tensor) -> Result<Tensor> {
        match pass.adapters.at(self.weight) {
            None => self.base(pass, x),
            Some(attached) => Ok(attached.forward(pass, self, x, false)?.0),
        }
    }

    /// Adds the gradients of everything that trains, from that of the output; what is frozen costs nothing. Gives what
    /// [`Self::backward_input`] takes.
    pub(crate) fn backward_weight(
        &self,
        pass: &Pass<'_>,
        dy: &Tensor,
        x: &Tensor,
        saved: Saved,
    ) -> Result<Gradient> {
        let gradient = match pass.adapters.at(self.weight) {
            None => Gradient::default(),
            Some(attached) => attached.backward(pass, self, dy, x, saved)?,
        };
        self.base_backward_weight(pass, gradient.of_base(dy), x)?;
        Ok(gradient)
    }

    /// The gradient of the input.
    pub(crate) fn backward_input(
        &self,
        pass: &Pass<'_>,
        dy: &Tensor,
        gradient: Gradient,
    ) -> Result<Tensor> {
        match pass.adapters.at(self.weight) {
            None => self.base_backward_input(pass, dy),
            Some(attached) => attached.backward_input(pass, self, dy, gradient),
        }
    }

    /// The output without adapters.
    pub(crate) fn base(&self, pass: &Pass<'_>, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight(pass)?;
        let bias = self.bias.map(|slot| pass.parameters.value(slot));
        linear::forward(pass.workspace, x, &weight, bias, self.orientation)
    }

    /// The gradient of the input by way of the map without adapters.
    pub(crate) fn base_backward_input(&self, pass: &Pass<'_>, dy: &Tensor) -> Result<Tensor> {
        let weight = self.weight(pass)?;
        linear::backward_input(pass.workspace, dy, &weight, self.orientation)
    }

    /// The weight, for one product.
    pub(crate) fn weight<'a>(&self, pass: &Pass<'a>) -> Result<Weight<'a>> {
        pass.parameters.weight(pass.workspace, self.weight)
    }

    /// The maps side by side that it consists of, with their parts of `weight`, which is [`Self::weight`].
    pub(crate) fn parts(&self, pass: &Pass<'_>, weight: &Tensor) -> Result<Vec<LinearPart>> {
        let bias = self.bias.map(|slot| pass.parameters.value(slot));
        let parts = pass.parameters.rows_of(self.weight);
        let single = parts.len() < 2;
        parts
            .into_iter()
            .map(|rows| {
                // Only maps of which each row is an output lie side by side.
                let outputs = match self.orientation {
                    Orientation::InOut => 0..self.orientation.sizes(weight)?.1,
                    Orientation::OutIn => rows,
                };
                let part = |tensor: &Tensor| tensor.narrow(0, outputs.start, outputs.len());
                Ok(LinearPart {
                    weight: if single {
                        weight.clone()
                    } else {
                        part(weight)?
                    },
                    bias: bias.map(part).transpose()?,
                    outputs: outputs.clone(),
                })
            })
            .collect()
    }

    fn base_backward_weight(&self, pass: &Pass<'_>, dy: &Tensor, x: &Tensor) -> Result<()> {
        let (ws, parameters) = (pass.workspace, pass.parameters);
        let weight = parameters.gradient(self.weight);
        let bias = self.bias.and_then(|slot| parameters.gradient(slot));
        linear::backward_weight(ws, dy, x, weight, bias, self.orientation)?;
        // Of maps that lie side by side, those that train alone.
        let part = |part: &GradientPart, weight, bias| {
            let outputs = part.rows.clone();
            linear::backward_weight_part(ws, dy, outputs, x, weight, bias, self.orientation)
        };
        for weight in parameters.gradient_parts(self.weight) {
            part(weight, Some(&weight.gradient), None)?;
        }
        if let Some(slot) = self.bias {
            for bias in parameters.gradient_parts(slot) {
                part(bias, None, Some(&bias.gradient))?;
            }
        }
        Ok(())
    }
}

/// One of the maps that lie side by side.
pub(crate) struct LinearPart {
    pub(crate) weight: Tensor,
    pub(crate) bias: Option<Tensor>,
    /// Which columns of the whole output are its own.
    pub(crate) outputs: Range<usize>,
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
