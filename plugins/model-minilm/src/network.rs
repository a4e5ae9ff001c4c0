//! A network: a trunk that turns tokens into hidden states, and a head that turns those into what a task is about,
//! with all parameters in one place. Files are left to `folder`, the optimizer to `model::training`.

pub(crate) mod layout;
mod trunk;

use candle_core::Tensor;
use codex_nn::attention::cached::Cache;
use codex_nn::linear_cross_entropy::Loss;
use codex_nn::quantized::Format;
use codex_nn::random::Key;
use codex_nn::{Result, Workspace};

use crate::adapters::Adapters;
use crate::config::NetworkConfig;
use crate::config::task::Task;
use crate::heads::{EmbeddingHead, Head, Scored, Targets};
use crate::parameters::Parameters;
use crate::pass::{Pass, Randomness, Tokens};
use layout::{HeadPart, Layout};
use trunk::Trunk;

/// The parameters and functions of one network.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) config: NetworkConfig,
    pub(crate) parameters: Parameters,
    pub(crate) adapters: Adapters,
    pub(crate) workspace: Workspace,
    pub(crate) head_parts: Vec<HeadPart>,
    trunk: Trunk,
    head: Head,
}

/// What training adds to a forward pass.
#[derive(Clone, Copy)]
pub(crate) struct TrainingPass {
    /// Everything random in the pass.
    pub(crate) key: Key,
    /// Gradients are those of `factor` · Σ losses.
    pub(crate) factor: f32,
    /// Keep only each block's input, and compute the rest again in backward.
    pub(crate) checkpoint: bool,
}

impl Network {
    /// A network of zeros, the weights of whose blocks are kept in `base`, if that is given.
    pub(crate) fn new(
        config: NetworkConfig,
        base: Option<Format>,
    ) -> codex_plugin_api::Result<Self> {
        let mut layout = Layout::new(&config);
        // A trunk alone is saved without the prefix that it has beside a head.
        let prefix = match config.head.task {
            Task::Embedding => "",
            _ => config.architecture.prefix(),
        };
        let trunk = Trunk::lay_out(&mut layout, prefix);
        if let Some(format) = base {
            for map in trunk.maps() {
                layout.plan.quantize(map.weight, format);
            }
        }
        let head = Head::lay_out(&mut layout, prefix, trunk.tokens());
        Ok(Self {
            parameters: Parameters::new(layout.plan)?,
            adapters: Adapters::default(),
            workspace: Workspace::new(),
            head_parts: layout.head_parts,
            trunk,
            head,
            config,
        })
    }

    fn pass<'a>(&'a self, tokens: &Tokens<'a>, random: Option<Key>) -> Pass<'a> {
        let config = &self.config;
        Pass {
            parameters: &self.parameters,
            adapters: &self.adapters,
            workspace: &self.workspace,
            tokens: *tokens,
            heads: config.heads,
            rotation: self.trunk.rotation(),
            random: random.map(|key| Randomness {
                key,
                embedding: config.embedding_dropout,
                attention: config.attention_dropout,
                residual: config.residual_dropout,
                classifier: config.head.classifier_dropout,
            }),
        }
    }

    /// One training pass: the loss of `targets`, with all gradients added to theirs.
    pub(crate) fn forward_backward(
        &self,
        tokens: &Tokens<'_>,
        targets: Targets<'_>,
        training: TrainingPass,
    ) -> Result<Loss> {
        let pass = self.pass(tokens, Some(training.key));
        let (hidden, trace) = self.trunk.forward(&pass, training.checkpoint)?;
        let (loss, d_hidden) =
            self.head
                .forward_backward(&pass, hidden, targets, training.factor)?;
        self.trunk.backward(&pass, trace, d_hidden)?;
        Ok(loss)
    }

    /// The last hidden states: `[tokens, hidden]`. With `caches` (for each block, one for each sequence), the tokens
    /// follow those already read.
    pub(crate) fn hidden(
        &self,
        tokens: &Tokens<'_>,
        caches: Option<Vec<Vec<&mut Cache>>>,
    ) -> Result<Tensor> {
        self.trunk.infer(&self.pass(tokens, None), caches)
    }

    /// What the head says of the targets.
    pub(crate) fn scores(&self, tokens: &Tokens<'_>, targets: Targets<'_>) -> Result<Scored> {
        let pass = self.pass(tokens, None);
        let hidden = self.trunk.infer(&pass, None)?;
        self.head.scores(&pass, hidden, targets)
    }

    /// One embedding a sequence, whatever the head is: `[sequences, hidden]`.
    pub(crate) fn embed(&self, tokens: &Tokens<'_>) -> Result<Tensor> {
        let pass = self.pass(tokens, None);
        let hidden = self.trunk.infer(&pass, None)?;
        EmbeddingHead::new(&self.config.head).embed(&pass, hidden)
    }

    /// Logits of rows of hidden states: `[rows, vocabulary]`.
    pub(crate) fn logits(&self, tokens: &Tokens<'_>, hidden: &Tensor) -> Result<Tensor> {
        self.head.logits(&self.pass(tokens, None), hidden)
    }
}
