//! One block of an encoder, forward and backward: attention, sum, norm, feed-forward, sum, norm (Devlin et al. 2018).
//! Embeddings are left to `encoder`.

use candle_core::Tensor;
use codex_nn::attention::{self, Mask};
use codex_nn::{Result, residual};

use crate::adapters;
use crate::parts::{Activation, Linear, Norm, NormSaved};
use crate::pass::{Pass, Place};

/// One block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) index: usize,
    pub(crate) qkv: Linear,
    pub(crate) output: Linear,
    pub(crate) attention_norm: Norm,
    pub(crate) up: Linear,
    pub(crate) activation: Activation,
    pub(crate) down: Linear,
    pub(crate) mlp_norm: Norm,
}

/// What a block's backward needs.
pub(crate) struct Saved {
    input: Tensor,
    qkv: Tensor,
    seen: Tensor,
    attention: attention::Saved,
    attention_sum: Tensor,
    attention_norm: NormSaved,
    middle: Tensor,
    up: Tensor,
    activated: Tensor,
    mlp_sum: Tensor,
    mlp_norm: NormSaved,
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
        for tensor in [
            self.qkv,
            self.seen,
            self.attention_sum,
            self.middle,
            self.up,
            self.activated,
            self.mlp_sum,
        ] {
            pass.workspace.recycle(tensor);
        }
        self.input
    }
}

impl Block {
    /// Its linear maps.
    pub(crate) fn maps(&self) -> [Linear; 4] {
        [self.qkv, self.output, self.up, self.down]
    }

    /// Forward that keeps what backward needs.
    pub(crate) fn forward(&self, pass: &Pass<'_>, input: Tensor) -> Result<(Tensor, Saved)> {
        let (ws, block) = (pass.workspace, self.index);
        let sequences = pass.tokens.sequences;
        let mut added = Added::default();
        let (qkv, saved) = self.qkv.forward(pass, &input)?;
        added.qkv = saved;
        let drop = pass.dropout(Place::Attention { block });
        let (seen, attention) = attention::forward(
            ws,
            &qkv,
            sequences,
            pass.heads,
            Mask::Bidirectional,
            drop.as_ref(),
        )?;
        let (attention_sum, saved) = self.output.forward(pass, &seen)?;
        added.output = saved;
        pass.drop(&attention_sum, Place::AfterAttention { block })?;
        let (middle, attention_norm) =
            self.attention_norm
                .forward(pass, &attention_sum, Some(&input))?;

        let (up, saved) = self.up.forward(pass, &middle)?;
        added.up = saved;
        let activated = self.activation.forward(pass, &up)?;
        let (mlp_sum, saved) = self.down.forward(pass, &activated)?;
        added.down = saved;
        pass.drop(&mlp_sum, Place::AfterMlp { block })?;
        let (output, mlp_norm) = self.mlp_norm.forward(pass, &mlp_sum, Some(&middle))?;
        let saved = Saved {
            input,
            qkv,
            seen,
            attention,
            attention_sum,
            attention_norm,
            middle,
            up,
            activated,
            mlp_sum,
            mlp_norm,
            added,
        };
        Ok((output, saved))
    }

    /// Whether anything in the block trains.
    pub(crate) fn trains(&self, pass: &Pass<'_>) -> bool {
        self.attention_trains(pass)
            || self.up.trains(pass)
            || self.down.trains(pass)
            || self.mlp_norm.trains(pass.parameters)
    }

    fn attention_trains(&self, pass: &Pass<'_>) -> bool {
        self.qkv.trains(pass)
            || self.output.trains(pass)
            || self.attention_norm.trains(pass.parameters)
    }

    /// From the gradient of the output to that of the input, if anything `below` needs it; adds the gradients of the
    /// parameters.
    pub(crate) fn backward(
        &self,
        pass: &Pass<'_>,
        saved: Saved,
        d_output: Tensor,
        below: bool,
    ) -> Result<Option<Tensor>> {
        let (ws, block) = (pass.workspace, self.index);
        let d_sum = d_output;
        self.mlp_norm
            .backward(pass, &d_sum, &saved.mlp_sum, &saved.mlp_norm, None)?;
        ws.recycle(saved.mlp_sum);
        // The sum's gradient goes both ways: through the feed-forward part, masked where dropout was, and past it.
        let masked = pass.masked(&d_sum, Place::AfterMlp { block })?;
        let d_out = masked.as_ref().unwrap_or(&d_sum);
        let added = saved.added;
        let inner = self
            .down
            .backward_weight(pass, d_out, &saved.activated, added.down)?;
        let below_mlp = below || self.attention_trains(pass);
        if !below_mlp && !self.up.trains(pass) {
            return Ok(None);
        }
        let d_activated = self.down.backward_input(pass, d_out, inner)?;
        ws.recycle(saved.activated);
        pass.recycle(masked);
        let d_up = self.activation.backward(pass, d_activated, &saved.up)?;
        ws.recycle(saved.up);
        let inner = self
            .up
            .backward_weight(pass, &d_up, &saved.middle, added.up)?;
        ws.recycle(saved.middle);
        if !below_mlp {
            return Ok(None);
        }
        let d_middle = self.up.backward_input(pass, &d_up, inner)?;
        ws.recycle(d_up);
        residual::add(&d_middle, &d_sum)?;
        ws.recycle(d_sum);

        let d_sum = d_middle;
        self.attention_norm.backward(
            pass,
            &d_sum,
            &saved.attention_sum,
            &saved.attention_norm,
            None,
        )?;
        ws.recycle(saved.attention_sum);
        let masked = pass.masked(&d_sum, Place::AfterAttention { block })?;
        let d_out = masked.as_ref().unwrap_or(&d_sum);
        let inner = self
            .output
            .backward_weight(pass, d_out, &saved.seen, added.output)?;
        if !below && !self.qkv.trains(pass) {
            return Ok(None);
        }
        let d_seen = self.output.backward_input(pass, d_out, inner)?;
        pass.recycle(masked);
        let drop = pass.dropout(Place::Attention { block });
        let d_qkv = attention::backward(
            ws,
            &d_seen,
            &saved.qkv,
            &saved.seen,
            &saved.attention,
            pass.tokens.sequences,
            pass.heads,
            Mask::Bidirectional,
            drop.as_ref(),
        )?;
        for tensor in [d_seen, saved.seen, saved.qkv] {
            ws.recycle(tensor);
        }
        let inner = self
            .qkv
            .backward_weight(pass, &d_qkv, &saved.input, added.qkv)?;
        ws.recycle(saved.input);
        if !below {
            return Ok(None);
        }
        let d_input = self.qkv.backward_input(pass, &d_qkv, inner)?;
        ws.recycle(d_qkv);
        residual::add(&d_input, &d_sum)?;
        ws.recycle(d_sum);
        Ok(Some(d_input))
    }

    /// Forward that keeps nothing.
    pub(crate) fn infer(&self, pass: &Pass<'_>, input: Tensor) -> Result<Tensor> {
        let ws = pass.workspace;
        let qkv = self.qkv.infer(pass, &input)?;
        let sequences = pass.tokens.sequences;
        let (seen, _) =
            attention::forward(ws, &qkv, sequences, pass.heads, Mask::Bidirectional, None)?;
        ws.recycle(qkv);
        let sum = self.output.infer(pass, &seen)?;
        ws.recycle(seen);
        let (middle, _) = self.attention_norm.forward(pass, &sum, Some(&input))?;
        ws.recycle(sum);
        ws.recycle(input);
        let up = self.up.infer(pass, &middle)?;
        let activated = self.activation.forward(pass, &up)?;
        ws.recycle(up);
        let sum = self.down.infer(pass, &activated)?;
        ws.recycle(activated);
        let (output, _) = self.mlp_norm.forward(pass, &sum, Some(&middle))?;
        ws.recycle(sum);
        ws.recycle(middle);
        Ok(output)
    }
}
