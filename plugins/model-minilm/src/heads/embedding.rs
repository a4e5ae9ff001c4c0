//! Embeddings: hidden states pooled into one vector for each sequence, and the loss with in-batch negatives.

use candle_core::Tensor;
use codex_nn::in_batch_negatives::{self, Options};
use codex_nn::linear_cross_entropy::{Loss, Score};
use codex_nn::pooling::{self, Pooling};
use codex_nn::{Result, l2_norm};

use crate::config::task::HeadConfig;
use crate::pass::Pass;

/// How embeddings are made; nothing here trains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EmbeddingHead {
    pooling: Pooling,
    normalize: bool,
}

impl EmbeddingHead {
    pub(crate) fn new(config: &HeadConfig) -> Self {
        Self {
            pooling: config.pooling,
            normalize: config.normalize,
        }
    }

    fn pool(self, pass: &Pass<'_>, hidden: Tensor) -> Result<Tensor> {
        let pooled =
            pooling::forward(pass.workspace, &hidden, pass.tokens.sequences, self.pooling)?;
        pass.workspace.recycle(hidden);
        Ok(pooled)
    }

    /// One embedding a sequence: `[sequences, hidden]`. `hidden` is used up.
    pub(crate) fn embed(self, pass: &Pass<'_>, hidden: Tensor) -> Result<Tensor> {
        let pooled = self.pool(pass, hidden)?;
        if !self.normalize {
            return Ok(pooled);
        }
        let (normalized, _) = l2_norm::forward(pass.workspace, &pooled)?;
        pass.workspace.recycle(pooled);
        Ok(normalized)
    }

    /// The loss of telling each anchor's positive from all others, and the gradient of `hidden`, which is used up.
    pub(crate) fn forward_backward(
        self,
        pass: &Pass<'_>,
        hidden: Tensor,
        parts: usize,
        options: &Options,
        factor: f32,
    ) -> Result<(Loss, Tensor)> {
        let ws = pass.workspace;
        let pooled = self.pool(pass, hidden)?;
        let (loss, d_pooled) =
            in_batch_negatives::forward_backward(ws, &pooled, parts, options, factor)?;
        ws.recycle(pooled);
        let d_hidden = pooling::backward(ws, &d_pooled, pass.tokens.sequences, self.pooling)?;
        ws.recycle(d_pooled);
        Ok((loss, d_hidden))
    }

    /// Log-probability and rank of each anchor's positive among all candidates. `hidden` is used up.
    pub(crate) fn scores(
        self,
        pass: &Pass<'_>,
        hidden: Tensor,
        parts: usize,
        options: &Options,
    ) -> Result<Vec<Score>> {
        let pooled = self.pool(pass, hidden)?;
        let scores = in_batch_negatives::scores(pass.workspace, &pooled, parts, options)?;
        pass.workspace.recycle(pooled);
        Ok(scores)
    }
}
