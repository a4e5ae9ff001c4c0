//! What a network is made of, whatever its folder calls it. Reading and writing `config.json` is in [`hugging_face`],
//! what users may set in [`settings`], what a network is for in [`task`].

pub(crate) mod hugging_face;
pub(crate) mod settings;
pub(crate) mod task;

use codex_nn::attention::Heads;
use codex_nn::gelu::Form;
use serde_json::{Map, Value};

use task::HeadConfig;

/// Which layout of weights, and so which family of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// Learned positions, layer norm, GELU, weights as `[in, out]`.
    Gpt2,
    /// Rotary positions, RMS norm, SwiGLU, grouped queries, weights as `[out, in]`.
    Llama,
    /// Learned positions and segments, attention in both directions, layer norm after each sum, GELU.
    Bert,
}

impl Architecture {
    /// The word in `config.json`'s `model_type`.
    pub(crate) fn model_type(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::Llama => "llama",
            Self::Bert => "bert",
        }
    }

    /// What Transformers puts before the names of the trunk's parameters where a head stands beside it.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Gpt2 => "transformer.",
            Self::Llama => "model.",
            Self::Bert => "bert.",
        }
    }
}

/// The sizes and choices of one network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NetworkConfig {
    /// Layout of weights and family of functions.
    pub(crate) architecture: Architecture,
    /// Rows of the token embedding.
    pub(crate) vocab_size: usize,
    /// Width of the hidden states.
    pub(crate) hidden_size: usize,
    /// Number of blocks.
    pub(crate) layers: usize,
    /// Query, key and value heads of each block.
    pub(crate) heads: Heads,
    /// Width inside the feed-forward part.
    pub(crate) intermediate_size: usize,
    /// Positions that there are: a sequence can have no more tokens.
    pub(crate) max_positions: usize,
    /// Added to the variance in norms.
    pub(crate) norm_epsilon: f32,
    /// Rows of the segment embedding (BERT).
    pub(crate) type_vocab_size: usize,
    /// The form of GELU (GPT-2, BERT).
    pub(crate) gelu: Form,
    /// The base of rotary positions (Llama).
    pub(crate) rope_theta: f64,
    /// Biases in the attention's linear maps (Llama; GPT-2 and BERT always have them).
    pub(crate) attention_bias: bool,
    /// Biases in the feed-forward's linear maps (Llama; GPT-2 and BERT always have them).
    pub(crate) mlp_bias: bool,
    /// Whether the head is the token embedding.
    pub(crate) tied: bool,
    /// Dropout after the embeddings (GPT-2, BERT).
    pub(crate) embedding_dropout: f32,
    /// Dropout of attention probabilities.
    pub(crate) attention_dropout: f32,
    /// Dropout of what each half of a block adds (GPT-2, BERT).
    pub(crate) residual_dropout: f32,
    /// Standard deviation of fresh weights.
    pub(crate) initializer_range: f32,
    /// What the head needs to know.
    pub(crate) head: HeadConfig,
    /// Keys of the `config.json` that this was read from, kept for writing it again.
    pub(crate) other: Map<String, Value>,
}
