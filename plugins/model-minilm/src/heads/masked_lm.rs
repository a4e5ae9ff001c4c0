//! The head of masked language modelling: the rows of masked tokens go through a dense layer, GELU and a norm, then meet
//! the word embeddings. Other rows cost nothing.

use candle_core::Tensor;
use codex_nn::linear::{self, Orientation};
use codex_nn::linear_cross_entropy::{self, IGNORE, Loss, Score};
use codex_nn::{Result, rows};

use crate::network::layout::Layout;
use crate::parameters::{Slot, Start};
use crate::parts::{Activation, Linear, Norm, NormSaved};
use crate::pass::Pass;

/// Where the parameters of the head are.
#[derive(Debug)]
pub(crate) struct MaskedLmHead {
    dense: Linear,
    activation: Activation,
    norm: Norm,
    words: Slot,
    bias: Slot,
}

/// Rows with a target, and their targets.
fn masked(targets: &[i32]) -> (Vec<u32>, Vec<i32>) {
    (0u32..)
        .zip(targets)
        .filter(|(_, target)| **target != IGNORE)
        .unzip()
}

impl MaskedLmHead {
    /// `words` is the embedding that the head is tied to.
    pub(crate) fn lay_out(layout: &mut Layout<'_>, words: Slot) -> Self {
        let config = layout.config;
        let hidden = config.hidden_size;
        let name = "cls.predictions.transform";
        let bias = ("cls.predictions.bias".to_owned(), config.vocab_size);
        Self {
            bias: layout.plan.add(bias.0, &[bias.1], Start::Constant(0.0)),
            dense: layout.linear(&format!("{name}.dense"), hidden, hidden, true, false),
            activation: Activation::Gelu(config.gelu),
            norm: layout.norm(&format!("{name}.LayerNorm")),
            words,
        }
    }

    /// From the dense layer's output to (after the activation, normed, what the norm's backward needs).
    fn transform(&self, pass: &Pass<'_>, dense: &Tensor) -> Result<(Tensor, Tensor, NormSaved)> {
        let activated = self.activation.forward(pass, dense)?;
        let (normed, saved) = self.norm.forward(pass, &activated, None)?;
        Ok((activated, normed, saved))
    }

    /// The same where no backward follows.
    fn transformed(&self, pass: &Pass<'_>, x: &Tensor) -> Result<Tensor> {
        let dense = self.dense.infer(pass, x)?;
        let (activated, normed, _) = self.transform(pass, &dense)?;
        pass.workspace.recycle(dense);
        pass.workspace.recycle(activated);
        Ok(normed)
    }

    /// The loss of `targets` (the id of each masked row), and the gradient of `hidden`, which is used up.
    pub(crate) fn forward_backward(
        &self,
        pass: &Pass<'_>,
        hidden: Tensor,
        targets: &[i32],
        factor: f32,
    ) -> Result<(Loss, Tensor)> {
        let (ws, parameters) = (pass.workspace, pass.parameters);
        let (at, targets) = masked(targets);
        let tokens = hidden.dims2()?.0;
        let x = rows::gather(ws, &hidden, &at)?;
        ws.recycle(hidden);
        let (dense, added) = self.dense.forward(pass, &x)?;
        let (activated, normed, saved) = self.transform(pass, &dense)?;
        let (loss, d_normed) = linear_cross_entropy::forward_backward(
            ws,
            &normed,
            parameters.value(self.words),
            Some(parameters.value(self.bias)),
            &targets,
            factor,
            parameters.gradient(self.words),
            parameters.gradient(self.bias),
        )?;
        ws.recycle(normed);
        self.norm
            .backward(pass, &d_normed, &activated, &saved, None)?;
        ws.recycle(activated);
        let d_dense = self.activation.backward(pass, d_normed, &dense)?;
        ws.recycle(dense);
        let inner = self.dense.backward_weight(pass, &d_dense, &x, added)?;
        ws.recycle(x);
        let d_x = self.dense.backward_input(pass, &d_dense, inner)?;
        ws.recycle(d_dense);
        let d_hidden = rows::scatter(ws, &d_x, &at, tokens)?;
        ws.recycle(d_x);
        Ok((loss, d_hidden))
    }

    /// Log-probability and rank of every target, in the order of the rows.
    pub(crate) fn scores(
        &self,
        pass: &Pass<'_>,
        hidden: &Tensor,
        targets: &[i32],
    ) -> Result<Vec<Score>> {
        let (ws, parameters) = (pass.workspace, pass.parameters);
        let (at, targets) = masked(targets);
        let x = rows::gather(ws, hidden, &at)?;
        let normed = self.transformed(pass, &x)?;
        ws.recycle(x);
        let (words, bias) = (parameters.value(self.words), parameters.value(self.bias));
        let scores = linear_cross_entropy::scores(ws, &normed, words, Some(bias), &targets)?;
        ws.recycle(normed);
        Ok(scores)
    }

    /// Logits of rows of hidden states: `[rows, vocabulary]`.
    pub(crate) fn logits(&self, pass: &Pass<'_>, hidden: &Tensor) -> Result<Tensor> {
        let (ws, parameters) = (pass.workspace, pass.parameters);
        let normed = self.transformed(pass, hidden)?;
        let (words, bias) = (parameters.value(self.words), parameters.value(self.bias));
        linear::forward(ws, &normed, words, Some(bias), Orientation::OutIn)
    }
}
