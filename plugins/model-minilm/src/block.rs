//! One block of a causal decoder, forward and backward: norm, attention, sum, norm, feed-forward, sum. GPT-2 and Llama
//! differ in the parts only. Embeddings, head and loss are left to `decoder`.

mod parts;

use candle_core::Tensor;
use codex_nn::attention::cached::{self, Cache};
use codex_nn::attention::{self, Heads};
use codex_nn::dropout::{self, Dropout};
use codex_nn::random::Key;
use codex_nn::rope::{self, Rotation};
use codex_nn::{Result, Sequences, Workspace};

use crate::parameters::Parameters;
pub(crate) use parts::{Activation, Linear, Norm, NormSaved};

/// What is the same for all blocks in one pass.
pub(crate) struct Pass<'a> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) workspace: &'a Workspace,
    pub(crate) sequences: &'a Sequences,
    /// Position of each token in its sequence.
    pub(crate) positions: &'a [u32],
    pub(crate) heads: Heads,
    pub(crate) rotation: Option<&'a Rotation>,
    /// Set in training passes with dropout.
    pub(crate) random: Option<Randomness>,
}

/// Dropout of one pass.
#[derive(Clone, Copy)]
pub(crate) struct Randomness {
    pub(crate) key: Key,
    pub(crate) attention: f32,
    pub(crate) residual: f32,
}

impl Pass<'_> {
    fn dropout(&self, block: usize, place: u64) -> Option<Dropout> {
        let random = self.random?;
        let probability = if place == ATTENTION {
            random.attention
        } else {
            random.residual
        };
        (probability > 0.0).then(|| Dropout {
            probability,
            key: random.key.with(block as u64 + 1).with(place),
        })
    }
}

const ATTENTION: u64 = 0;
const AFTER_ATTENTION: u64 = 1;
const AFTER_MLP: u64 = 2;

/// One block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) index: usize,
    pub(crate) attention_norm: Norm,
    pub(crate) qkv: Linear,
    pub(crate) output: Linear,
    pub(crate) mlp_norm: Norm,
    pub(crate) up: Linear,
    pub(crate) activation: Activation,
    pub(crate) down: Linear,
}

/// The residual stream between blocks: the sum so far, and what the last half-block adds to it. The next norm sums
/// them in passing.
pub(crate) struct Stream {
    pub(crate) sum: Tensor,
    pub(crate) addition: Option<Tensor>,
}

impl Stream {
    /// Sums, norms, and gives (the new sum, its norm, what the norm's backward needs).
    pub(crate) fn norm(self, pass: &Pass<'_>, norm: &Norm) -> Result<(Tensor, Tensor, NormSaved)> {
        match self.addition {
            None => {
                let (normed, saved) = norm.forward(pass, &self.sum, None)?;
                Ok((self.sum, normed, saved))
            }
            Some(addition) => {
                let (normed, saved) = norm.forward(pass, &addition, Some(&self.sum))?;
                Ok((addition, normed, saved))
            }
        }
    }
}

/// What a block's backward needs.
pub(crate) struct Saved {
    sum: Tensor,
    norm: NormSaved,
    normed: Tensor,
    qkv: Tensor,
    seen: Tensor,
    attention: attention::Saved,
    mlp_sum: Tensor,
    mlp_norm: NormSaved,
    mlp_normed: Tensor,
    up: Tensor,
    activated: Tensor,
}

impl Saved {
    /// Keeps the block's input alone, for computing the rest again.
    pub(crate) fn into_input(self, workspace: &Workspace) -> Tensor {
        // Not `mlp_sum`: the stream still holds it.
        for tensor in [
            self.normed,
            self.qkv,
            self.seen,
            self.mlp_normed,
            self.up,
            self.activated,
        ] {
            workspace.recycle(tensor);
        }
        self.sum
    }
}

impl Block {
    /// Forward that keeps what backward needs. The stream's sum before the block's first norm is kept as well, so the
    /// caller must not change it.
    pub(crate) fn forward(&self, pass: &Pass<'_>, stream: Stream) -> Result<(Stream, Saved)> {
        let ws = pass.workspace;
        let (sum, normed, norm) = stream.norm(pass, &self.attention_norm)?;
        let qkv = self.qkv.forward(pass, &normed)?;
        rotate(pass, &qkv)?;
        let drop = pass.dropout(self.index, ATTENTION);
        let (seen, attention) =
            attention::forward(ws, &qkv, pass.sequences, pass.heads, drop.as_ref())?;
        let addition = self.output.forward(pass, &seen)?;
        if let Some(drop) = pass.dropout(self.index, AFTER_ATTENTION) {
            dropout::forward(&addition, &drop)?;
        }

        let stream = Stream {
            sum: sum.clone(),
            addition: Some(addition),
        };
        let (mlp_sum, mlp_normed, mlp_norm) = stream.norm(pass, &self.mlp_norm)?;
        let up = self.up.forward(pass, &mlp_normed)?;
        let activated = self.activation.forward(pass, &up)?;
        let addition = self.down.forward(pass, &activated)?;
        if let Some(drop) = pass.dropout(self.index, AFTER_MLP) {
            dropout::forward(&addition, &drop)?;
        }
        let stream = Stream {
            sum: mlp_sum.clone(),
            addition: Some(addition),
        };
        let saved = Saved {
            sum,
            norm,
            normed,
            qkv,
            seen,
            attention,
            mlp_sum,
            mlp_norm,
            mlp_normed,
            up,
            activated,
        };
        Ok((stream, saved))
    }

    /// From the gradient of the stream after the block to that before it; adds the gradients of the parameters.
    pub(crate) fn backward(
        &self,
        pass: &Pass<'_>,
        saved: Saved,
        d_stream: Tensor,
    ) -> Result<Tensor> {
        let ws = pass.workspace;
        // Half a block: what it adds has the stream's gradient, masked where dropout was.
        let d_addition = masked(ws, &d_stream, pass.dropout(self.index, AFTER_MLP))?;
        let d_out = d_addition.as_ref().unwrap_or(&d_stream);
        self.down.backward_weight(pass, d_out, &saved.activated)?;
        let d_activated = self.down.backward_input(pass, d_out)?;
        ws.recycle(saved.activated);
        recycle(ws, d_addition);
        let d_up = self.activation.backward(pass, d_activated, &saved.up)?;
        ws.recycle(saved.up);
        self.up.backward_weight(pass, &d_up, &saved.mlp_normed)?;
        let d_sum = self.up.backward_input(pass, &d_up)?;
        ws.recycle(d_up);
        ws.recycle(saved.mlp_normed);
        self.mlp_norm.backward(
            pass,
            &d_sum,
            &saved.mlp_sum,
            &saved.mlp_norm,
            Some(&d_stream),
        )?;
        ws.recycle(saved.mlp_sum);
        ws.recycle(d_stream);

        let d_addition = masked(ws, &d_sum, pass.dropout(self.index, AFTER_ATTENTION))?;
        let d_out = d_addition.as_ref().unwrap_or(&d_sum);
        self.output.backward_weight(pass, d_out, &saved.seen)?;
        let d_seen = self.output.backward_input(pass, d_out)?;
        recycle(ws, d_addition);
        let drop = pass.dropout(self.index, ATTENTION);
        let d_qkv = attention::backward(
            ws,
            &d_seen,
            &saved.qkv,
            &saved.seen,
            &saved.attention,
            pass.sequences,
            pass.heads,
            drop.as_ref(),
        )?;
        for tensor in [d_seen, saved.seen, saved.qkv] {
            ws.recycle(tensor);
        }
        if let Some(rotation) = pass.rotation {
            rope::backward(&d_qkv, rotated_heads(pass.heads), pass.positions, rotation)?;
        }
        self.qkv.backward_weight(pass, &d_qkv, &saved.normed)?;
        let d_input = self.qkv.backward_input(pass, &d_qkv)?;
        ws.recycle(d_qkv);
        ws.recycle(saved.normed);
        self.attention_norm
            .backward(pass, &d_input, &saved.sum, &saved.norm, Some(&d_sum))?;
        ws.recycle(d_sum);
        ws.recycle(saved.sum);
        Ok(d_input)
    }

    /// Forward that keeps nothing; with `caches`, new tokens see what the caches hold.
    pub(crate) fn infer(
        &self,
        pass: &Pass<'_>,
        stream: Stream,
        caches: Option<&mut [&mut Cache]>,
    ) -> Result<Stream> {
        let ws = pass.workspace;
        let summed = stream.addition.is_some().then(|| stream.sum.clone());
        let (sum, normed, _) = stream.norm(pass, &self.attention_norm)?;
        recycle(ws, summed);
        let qkv = self.qkv.forward(pass, &normed)?;
        ws.recycle(normed);
        rotate(pass, &qkv)?;
        let seen = match caches {
            Some(caches) => cached::forward(ws, &qkv, pass.sequences, caches, pass.heads)?,
            None => attention::forward(ws, &qkv, pass.sequences, pass.heads, None)?.0,
        };
        ws.recycle(qkv);
        let addition = self.output.forward(pass, &seen)?;
        ws.recycle(seen);
        let old = sum.clone();
        let stream = Stream {
            sum,
            addition: Some(addition),
        };
        let (sum, normed, _) = stream.norm(pass, &self.mlp_norm)?;
        ws.recycle(old);
        let up = self.up.forward(pass, &normed)?;
        ws.recycle(normed);
        let activated = self.activation.forward(pass, &up)?;
        ws.recycle(up);
        let addition = self.down.forward(pass, &activated)?;
        ws.recycle(activated);
        Ok(Stream {
            sum,
            addition: Some(addition),
        })
    }
}

fn rotate(pass: &Pass<'_>, qkv: &Tensor) -> Result<()> {
    match pass.rotation {
        Some(rotation) => rope::forward(qkv, rotated_heads(pass.heads), pass.positions, rotation),
        None => Ok(()),
    }
}

/// Queries and keys are rotated; they come first in the columns.
fn rotated_heads(heads: Heads) -> usize {
    heads.heads + heads.kv_heads
}

fn masked(
    workspace: &Workspace,
    gradient: &Tensor,
    drop: Option<Dropout>,
) -> Result<Option<Tensor>> {
    let Some(drop) = drop else {
        return Ok(None);
    };
    let copy = workspace.copy(gradient)?;
    dropout::backward(&copy, &drop)?;
    Ok(Some(copy))
}

fn recycle(workspace: &Workspace, tensor: Option<Tensor>) {
    if let Some(tensor) = tensor {
        workspace.recycle(tensor);
    }
}
