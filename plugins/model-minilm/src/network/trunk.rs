//! Which trunk a network has. The trunks themselves are `decoder` and `encoder`.

use candle_core::Tensor;
use codex_nn::attention::cached::Cache;
use codex_nn::rope::Rotation;
use codex_nn::{Error, Result};

use super::layout::Layout;
use crate::config::Architecture;
use crate::decoder::{self, Decoder};
use crate::encoder::{self, Encoder};
use crate::parameters::Slot;
use crate::parts::Linear;
use crate::pass::Pass;

/// From tokens to hidden states.
#[derive(Debug)]
pub(super) enum Trunk {
    Decoder(Decoder),
    Encoder(Encoder),
}

/// What a trunk's backward needs.
pub(super) enum Trace {
    Decoder(decoder::Trace),
    Encoder(encoder::Trace),
}

impl Trunk {
    pub(super) fn lay_out(layout: &mut Layout<'_>, prefix: &str) -> Self {
        match layout.config.architecture {
            Architecture::Gpt2 | Architecture::Llama => {
                Self::Decoder(Decoder::lay_out(layout, prefix))
            }
            Architecture::Bert => Self::Encoder(Encoder::lay_out(layout, prefix)),
        }
    }

    /// The linear maps of all blocks.
    pub(super) fn maps(&self) -> Vec<Linear> {
        match self {
            Self::Decoder(decoder) => decoder.maps(),
            Self::Encoder(encoder) => encoder.maps(),
        }
    }

    /// The token embedding.
    pub(super) fn tokens(&self) -> Slot {
        match self {
            Self::Decoder(decoder) => decoder.tokens,
            Self::Encoder(encoder) => encoder.words,
        }
    }

    pub(super) fn rotation(&self) -> Option<&Rotation> {
        match self {
            Self::Decoder(decoder) => decoder.rotation.as_ref(),
            Self::Encoder(_) => None,
        }
    }

    /// The last hidden states `[tokens, hidden]`, and what backward needs.
    pub(super) fn forward(&self, pass: &Pass<'_>, checkpoint: bool) -> Result<(Tensor, Trace)> {
        Ok(match self {
            Self::Decoder(decoder) => {
                let (hidden, trace) = decoder.forward(pass, checkpoint)?;
                (hidden, Trace::Decoder(trace))
            }
            Self::Encoder(encoder) => {
                let (hidden, trace) = encoder.forward(pass, checkpoint)?;
                (hidden, Trace::Encoder(trace))
            }
        })
    }

    /// Adds all gradients to theirs, from that of the last hidden states.
    pub(super) fn backward(&self, pass: &Pass<'_>, trace: Trace, d_hidden: Tensor) -> Result<()> {
        match (self, trace) {
            (Self::Decoder(decoder), Trace::Decoder(trace)) => {
                decoder.backward(pass, trace, d_hidden)
            }
            (Self::Encoder(encoder), Trace::Encoder(trace)) => {
                encoder.backward(pass, trace, d_hidden)
            }
            _ => Err(Error::Unsupported(
                "a trunk's backward with what the other trunk's forward saved".to_owned(),
            )),
        }
    }

    /// The last hidden states, keeping nothing; `caches` are for decoders alone.
    pub(super) fn infer(
        &self,
        pass: &Pass<'_>,
        caches: Option<Vec<Vec<&mut Cache>>>,
    ) -> Result<Tensor> {
        match (self, caches) {
            (Self::Decoder(decoder), caches) => decoder.infer(pass, caches),
            (Self::Encoder(encoder), None) => encoder.infer(pass),
            (Self::Encoder(_), Some(_)) => {
                Err(Error::Unsupported("an encoder with caches".to_owned()))
            }
        }
    }
}
