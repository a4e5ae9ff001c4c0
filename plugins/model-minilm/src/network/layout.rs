//! How a network's parameters are laid out, part by part: names, shapes, orientations and starts. Which parts there are
//! is left to the layouts of decoder, encoder and heads.

use std::ops::Range;

use codex_nn::linear::Orientation;

use crate::config::{Architecture, NetworkConfig};
use crate::parameters::{Plan, Slot, Start};
use crate::parts::{Linear, Norm};

/// A part of a head that a folder has as a whole or not at all.
#[derive(Clone, Debug)]
pub(crate) struct HeadPart {
    /// What to call it.
    pub(crate) name: &'static str,
    /// Which parameters it has.
    pub(crate) parameters: Range<usize>,
}

/// Gathers parameters in the order in which they are saved.
pub(crate) struct Layout<'a> {
    pub(crate) plan: Plan,
    pub(crate) config: &'a NetworkConfig,
    pub(crate) head_parts: Vec<HeadPart>,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(config: &'a NetworkConfig) -> Self {
        Self {
            plan: Plan::default(),
            config,
            head_parts: Vec::new(),
        }
    }

    /// Adds a part of the head.
    pub(crate) fn head<T>(&mut self, name: &'static str, add: impl FnOnce(&mut Self) -> T) -> T {
        let first = self.plan.count();
        let part = add(self);
        let parameters = first..self.plan.count();
        if !parameters.is_empty() {
            self.head_parts.push(HeadPart { name, parameters });
        }
        part
    }

    /// Adds BERT's pooler for being kept alone.
    pub(crate) fn spare_pooler(&mut self, prefix: &str) {
        let (first, hidden) = (self.plan.count(), self.config.hidden_size);
        self.linear(
            &format!("{prefix}pooler.dense"),
            hidden,
            hidden,
            true,
            false,
        );
        self.plan.keep_only(first..self.plan.count());
    }

    /// Normal starts. Those that end a residual branch of a decoder are smaller, so that the stream's variance does not
    /// grow with depth (Radford et al. 2019); an encoder norms the stream itself.
    fn start(&self, ends_branch: bool) -> Start {
        let deviation = self.config.initializer_range;
        let branches = (2 * self.config.layers.max(1)) as f32;
        let smaller = ends_branch && self.config.architecture != Architecture::Bert;
        Start::Normal(if smaller {
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
            Architecture::Gpt2 | Architecture::Bert => Norm::Layer {
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
