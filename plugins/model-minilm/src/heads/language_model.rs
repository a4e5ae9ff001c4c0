//! The head of causal language modelling: each row predicts the next id of its sequence.

use candle_core::Tensor;
use codex_nn::Result;
use codex_nn::linear::{self, Orientation};
use codex_nn::linear_cross_entropy::{self, Loss, Score};

use crate::network::layout::Layout;
use crate::parameters::Slot;
use crate::pass::Pass;

/// One product with the vocabulary.
#[derive(Debug)]
pub(crate) struct LanguageModelHead {
    weight: Slot,
}

impl LanguageModelHead {
    /// A head of its own, or the token embedding where they are tied.
    pub(crate) fn lay_out(layout: &mut Layout<'_>, tokens: Slot) -> Self {
        let config = layout.config;
        let weight = if config.tied {
            tokens
        } else {
            let shape = [config.vocab_size, config.hidden_size];
            layout.weight("lm_head", &shape, false)
        };
        Self { weight }
    }

    /// The loss of `targets` (what each row predicts), and the gradient of `hidden`, which is used up.
    pub(crate) fn forward_backward(
        &self,
        pass: &Pass<'_>,
        hidden: Tensor,
        targets: &[i32],
        factor: f32,
    ) -> Result<(Loss, Tensor)> {
        let weight = pass.parameters.value(self.weight);
        let gradient = pass.parameters.gradient(self.weight);
        let ws = pass.workspace;
        let result = linear_cross_entropy::forward_backward(
            ws, &hidden, weight, None, targets, factor, gradient, None,
        )?;
        ws.recycle(hidden);
        Ok(result)
    }

    /// Log-probability and rank of every target.
    pub(crate) fn scores(
        &self,
        pass: &Pass<'_>,
        hidden: &Tensor,
        targets: &[i32],
    ) -> Result<Vec<Score>> {
        let weight = pass.parameters.value(self.weight);
        linear_cross_entropy::scores(pass.workspace, hidden, weight, None, targets)
    }

    /// Logits of rows of hidden states: `[rows, vocabulary]`.
    pub(crate) fn logits(&self, pass: &Pass<'_>, hidden: &Tensor) -> Result<Tensor> {
        let weight = pass.parameters.value(self.weight);
        linear::forward(pass.workspace, hidden, weight, None, Orientation::OutIn)
    }
}
