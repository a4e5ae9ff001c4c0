//! How a network's parameters are laid out, part by part: names, shapes, orientations and starts. Which parts there are
//! is left to the layouts of decoder, encoder and heads.

use codex_nn::linear::Orientation;

use crate::config::{Architecture, NetworkConfig};
use crate::parameters::{Plan, Slot, Start};
use crate::parts::{Linear, Norm};

/// Gathers parameters in the order in which they are saved.
pub(crate) struct Layout<'a> {
    pub(crate) plan: Plan,
    pub(crate) config: &'a NetworkConfig,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(config: &'a NetworkConfig) -> Self {
        Self {
            plan: Plan::default(),
            config,
        }
    }

    /// Normal starts. Those that end a residual branch smaller, so that the stream's variance does not grow with depth
    /// (Radford et al. 2019).
    fn start(&self, ends_branch: bool) -> Start {
        let deviation = self.config.initializer_range;
        let branches = (2 * self.config.layers.max(1)) as f32;
        Start::Normal(if ends_branch {
            deviation / branches.sqrt()
        } else {
            deviation
        })
    }

    pub(crate) fn weight(&mut self, module: &str, shape: &[usize], ends_branch: bool) -> Slot {
        let start = self.start(ends_branch);
        self.plan.add(format!("{module}.weight"), shape, start)
    }

    pub(crate) fn bias(&mut self, module: &str, size: usize) -> Slot {
        self.plan
            .add(format!("{module}.bias"), &[size], Start::Constant(0.0))
    }

    pub(crate) fn norm(&mut self, module: &str) -> Norm {
        let (size, epsilon) = (self.config.hidden_size, self.config.norm_epsilon);
        let weight = self
            .plan
            .add(format!("{module}.weight"), &[size], Start::Constant(1.0));
        match self.config.architecture {
            Architecture::Gpt2 => Norm::Layer {
                weight,
                bias: self.bias(module, size),
                epsilon,
            },
            Architecture::Llama => Norm::RootMeanSquare { weight, epsilon },
        }
    }

    /// GPT-2's `Conv1D`.
    pub(crate) fn conv(
        &mut self,
        module: &str,
        inputs: usize,
        outputs: usize,
        ends_branch: bool,
    ) -> Linear {
        Linear {
            weight: self.weight(module, &[inputs, outputs], ends_branch),
            bias: Some(self.bias(module, outputs)),
            orientation: Orientation::InOut,
        }
    }

    /// PyTorch's `Linear`.
    pub(crate) fn linear(
        &mut self,
        module: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
        ends_branch: bool,
    ) -> Linear {
        Linear {
            weight: self.weight(module, &[outputs, inputs], ends_branch),
            bias: bias.then(|| self.bias(module, outputs)),
            orientation: Orientation::OutIn,
        }
    }

    /// Linear maps of the same input, side by side.
    pub(crate) fn joined(
        &mut self,
        module: &str,
        parts: &[(&str, usize)],
        inputs: usize,
        bias: bool,
    ) -> Linear {
        let outputs = parts.iter().map(|part| part.1).sum();
        let start = self.start(false);
        let named = |kind: &str, shape: &dyn Fn(usize) -> Vec<usize>| {
            parts
                .iter()
                .map(|(name, size)| (format!("{module}.{name}.{kind}"), shape(*size)))
                .collect()
        };
        let weights = named("weight", &|size| vec![size, inputs]);
        let biases = named("bias", &|size| vec![size]);
        Linear {
            weight: self.plan.add_joined(weights, &[outputs, inputs], start),
            bias: bias.then(|| {
                self.plan
                    .add_joined(biases, &[outputs], Start::Constant(0.0))
            }),
            orientation: Orientation::OutIn,
        }
    }
}
