//! One block of a causal decoder, forward and backward: norm, attention, sum, norm, feed-forward, sum. GPT-2 and Llama
//! differ in the parts only. Embeddings and the last norm are left to `decoder`.

use candle_core::Tensor;
use codex_nn::Result;
use codex_nn::attention::cached::{self, Cache};
use codex_nn::attention::{self, Heads, Mask};
use codex_nn::rope;

use crate::adapters;
use crate::parts::{Activation, Linear, Norm, NormSaved};
use crate::pass::{Pass, Place};

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
    added: Added,
}

/// What adapters need for the backward of each linear map.
#[derive(Default)]
struct Added {
    qkv: adapters::Saved,
    output: adapters::Saved,
    up: adapters::Saved,
    down: adapters::Saved,
}

impl Saved {
    /// Keeps the block's input alone, for computing the rest again.
    pub(crate) fn into_input(self, pass: &Pass<'_>) -> Tensor {
        let Added {
            qkv,
            output,
            up,
            down,
        } = self.added;
        for added in [qkv, output, up, down] {
            added.recycle(pass);
        }
        // Not `mlp_sum`: the stream still holds it.
        for tensor in [
            self.normed,
            self.qkv,
            self.seen,
            self.mlp_normed,
            self.up,
            self.activated,
        ] {
            pass.workspace.recycle(tensor);
        }
        self.sum
    }
}

impl Block {
    /// Its linear maps.
    pub(crate) fn maps(&self) -> [Linear; 4] {
        [self.qkv, self.output, self.up, self.down]
    }

    /// Forward that keeps what backward needs. The stream's sum before the block's first norm is kept as well, so the
    /// caller must not change it.
    pub(crate) fn forward(&self, pass: &Pass<'_>, stream: Stream) -> Result<(Stream, Saved)> {
        let (ws, block) = (pass.workspace, self.index);
        let (sum, normed, norm) = stream.norm(pass, &self.attention_norm)?;
        let mut added = Added::default();
        let (qkv, saved) = self.qkv.forward(pass, &normed)?;
        added.qkv = saved;
        rotate(pass, &qkv)?;
        let drop = pass.dropout(Place::Attention { block });
        let sequences = pass.tokens.sequences;
        let (seen, attention) =
            attention::forward(ws, &qkv, sequences, pass.heads, Mask::Causal, drop.as_ref())?;
        let (addition, saved) = self.output.forward(pass, &seen)?;
        added.output = saved;
        pass.drop(&addition, Place::AfterAttention { block })?;

        let stream = Stream {
            sum: sum.clone(),
            addition: Some(addition),
        };
        let (mlp_sum, mlp_normed, mlp_norm) = stream.norm(pass, &self.mlp_norm)?;
        let (up, saved) = self.up.forward(pass, &mlp_normed)?;
        added.up = saved;
        let activated = self.activation.forward(pass, &up)?;
        let (addition, saved) = self.down.forward(pass, &activated)?;
        added.down = saved;
        pass.drop(&addition, Place::AfterMlp { block })?;
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
            added,
        };
        Ok((stream, saved))
    }

    /// Whether anything in the block trains.
    pub(crate) fn trains(&self, pass: &Pass<'_>) -> bool {
        self.attention_trains(pass)
            || self.mlp_norm.trains(pass.parameters)
            || self.up.trains(pass)
            || self.down.trains(pass)
    }

    fn attention_trains(&self, pass: &Pass<'_>) -> bool {
        self.attention_norm.trains(pass.parameters)
            || self.qkv.trains(pass)
            || self.output.trains(pass)
    }

    /// From the gradient of the stream after the block to that before it, if anything `below` needs it; adds the
    /// gradients of the parameters.
    pub(crate) fn backward(
        &self,
        pass: &Pass<'_>,
        saved: Saved,
        d_stream: Tensor,
        below: bool,
    ) -> Result<Option<Tensor>> {
        let (ws, block) = (pass.workspace, self.index);
        // Half a block: what it adds has the stream's gradient, masked where dropout was.
        let d_addition = pass.masked(&d_stream, Place::AfterMlp { block })?;
        let d_out = d_addition.as_ref().unwrap_or(&d_stream);
        let added = saved.added;
        let inner = self
            .down
            .backward_weight(pass, d_out, &saved.activated, added.down)?;
        let d_activated = self.down.backward_input(pass, d_out, inner)?;
        ws.recycle(saved.activated);
        pass.recycle(d_addition);
        let d_up = self.activation.backward(pass, d_activated, &saved.up)?;
        ws.recycle(saved.up);
        let inner = self
            .up
            .backward_weight(pass, &d_up, &saved.mlp_normed, added.up)?;
        ws.recycle(saved.mlp_normed);
        let below_mlp = below || self.attention_trains(pass);
        if !below_mlp && !self.mlp_norm.trains(pass.parameters) {
            return Ok(None);
        }
        let d_sum = self.up.backward_input(pass, &d_up, inner)?;
        ws.recycle(d_up);
        self.mlp_norm.backward(
            pass,
            &d_sum,
            &saved.mlp_sum,
            &saved.mlp_norm,
            Some(&d_stream),
        )?;
        ws.recycle(saved.mlp_sum);
        ws.recycle(d_stream);
        if !below_mlp {
            return Ok(None);
        }

        let d_addition = pass.masked(&d_sum, Place::AfterAttention { block })?;
        let d_out = d_addition.as_ref().unwrap_or(&d_sum);
        let inner = self
            .output
            .backward_weight(pass, d_out, &saved.seen, added.output)?;
        let d_seen = self.output.backward_input(pass, d_out, inner)?;
        pass.recycle(d_addition);
        let drop = pass.dropout(Place::Attention { block });
        let d_qkv = attention::backward(
            ws,
            &d_seen,
            &saved.qkv,
            &saved.seen,
            &saved.attention,
            pass.tokens.sequences,
            pass.heads,
            Mask::Causal,
            drop.as_ref(),
        )?;
        for tensor in [d_seen, saved.seen, saved.qkv] {
            ws.recycle(tensor);
        }
        if let Some(rotation) = pass.rotation {
            let positions = pass.tokens.positions;
            rope::backward(&d_qkv, rotated_heads(pass.heads), positions, rotation)?;
        }
        let inner = self
            .qkv
            .backward_weight(pass, &d_qkv, &saved.normed, added.qkv)?;
        ws.recycle(saved.normed);
        if !below && !self.attention_norm.trains(pass.parameters) {
            return Ok(None);
        }
        let d_input = self.qkv.backward_input(pass, &d_qkv, inner)?;
        ws.recycle(d_qkv);
        self.attention_norm
            .backward(pass, &d_input, &saved.sum, &saved.norm, Some(&d_sum))?;
        ws.recycle(d_sum);
        ws.recycle(saved.sum);
        Ok(Some(d_input))
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
        pass.recycle(summed);
        let qkv = self.qkv.infer(pass, &normed)?;
        ws.recycle(normed);
        rotate(pass, &qkv)?;
        let seen = match caches {
            Some(caches) => cached::forward(ws, &qkv, pass.tokens.sequences, caches, pass.heads)?,
            None => {
                attention::forward(
                    ws,
                    &qkv,
                    pass.tokens.sequences,
                    pass.heads,
                    Mask::Causal,
                    None,
                )?
                .0
            }
        };
        ws.recycle(qkv);
        let addition = self.output.infer(pass, &seen)?;
        ws.recycle(seen);
        let old = sum.clone();
        let stream = Stream {
            sum,
            addition: Some(addition),
        };
        let (sum, normed, _) = stream.norm(pass, &self.mlp_norm)?;
        ws.recycle(old);
        let up = self.up.infer(pass, &normed)?;
        ws.recycle(normed);
        let activated = self.activation.forward(pass, &up)?;
        ws.recycle(up);
        let addition = self.down.infer(pass, &activated)?;
        ws.recycle(activated);
        Ok(Stream {
            sum,
            addition: Some(addition),
        })
    }
}

fn rotate(pass: &Pass<'_>, qkv: &Tensor) -> Result<()> {
    match pass.rotation {
        Some(rotation) => rope::forward(
            qkv,
            rotated_heads(pass.heads),
            pass.tokens.positions,
            rotation,
        ),
        None => Ok(()),
    }
}

/// Queries and keys are rotated; they come first in the columns.
fn rotated_heads(heads: Heads) -> usize {
    heads.heads + heads.kv_heads
}
