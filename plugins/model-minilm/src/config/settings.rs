//! What a user may set for this model in a run's configuration. The host validates against the schema made from this.

use codex_nn::Precision;
use codex_nn::attention::Heads;
use codex_nn::gelu::Form;
use codex_nn::pooling::Pooling;
use codex_nn::quantized::Format;
use codex_plugin_api::schemars::{self, JsonSchema};
use codex_plugin_api::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, json};

use super::task::{self, HeadConfig, Task};
use super::{Architecture, NetworkConfig};

/// The layout of a new model's weights.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArchitectureName {
    /// Learned positions, layer norm, GELU.
    #[default]
    Gpt2,
    /// Rotary positions, RMS norm, SwiGLU, grouped queries.
    Llama,
    /// Attention in both directions, learned positions and segments: an encoder.
    Bert,
}

/// How a sequence's hidden states become its embedding.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PoolingName {
    /// The mean of all tokens.
    Mean,
    /// The first token (encoders).
    Cls,
}

/// How the weights of a model are kept that an adapter is trained beside, or that is only used.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BaseDtype {
    /// As they are: 32 bits.
    #[default]
    F32,
    /// The nearest bfloat16: 16 bits.
    Bf16,
    /// Blocks of 64 with a scale each: 8.5 bits.
    Int8,
    /// QLoRA's 4-bit `NormalFloat`, with scales that are quantised once more: 4.13 bits.
    Nf4,
}

impl BaseDtype {
    /// The format of the weights, where it is not `f32`.
    pub(crate) fn format(self) -> Option<Format> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(Format::Bf16),
            Self::Int8 => Some(Format::Int8),
            Self::Nf4 => Some(Format::Nf4),
        }
    }

    /// The word in configurations.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Nf4 => "nf4",
        }
    }
}

/// Configuration of `model-minilm`: a new model of these sizes, or the one in the folder `path`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A Hugging Face folder to load; its `config.json` then decides about all sizes below.
    pub path: Option<String>,
    /// The layout of a new model's weights.
    pub architecture: ArchitectureName,
    /// What the model is for, and so which head it has: `causal-lm` (gpt2, llama), `masked-lm` (bert), `embedding`,
    /// `classification` or `regression`; `auto` is what the folder was saved for, and language modelling in a new model.
    /// The host sets it to the run's task.
    pub task: String,
    /// Number of classes of a classifier, or of values of a regression (1 when not set). The host sets it from the data.
    #[schemars(range(min = 1, max = 1000000))]
    pub labels: Option<u32>,
    /// Names of the classes, in the order of their numbers, written to `config.json`. The host sets them from the data.
    pub label_names: Vec<String>,
    /// How an embedding is pooled; when not set as the folder says, and the mean in a new model.
    pub pooling: Option<PoolingName>,
    /// Number of ids; the host sets it to the tokenizer's.
    #[schemars(range(min = 1, max = 1073741824))]
    pub vocab_size: u32,
    /// Width of the hidden states.
    #[schemars(range(min = 1, max = 65536))]
    pub hidden_size: u32,
    /// Number of blocks.
    #[schemars(range(min = 1, max = 1024))]
    pub layers: u32,
    /// Query heads of each block; divides `hidden_size`.
    #[schemars(range(min = 1, max = 4096))]
    pub heads: u32,
    /// Key and value heads (Llama); divides `heads`, and equals it when not set.
    #[schemars(range(min = 1, max = 4096))]
    pub kv_heads: Option<u32>,
    /// Width inside the feed-forward part; when not set 4 times `hidden_size`, for Llama 8/3 rounded up to 32.
    #[schemars(range(min = 1, max = 1048576))]
    pub intermediate_size: Option<u32>,
    /// Rows of the segment embedding (BERT).
    #[schemars(range(min = 1, max = 65536))]
    pub type_vocab_size: u32,
    /// Longest sequence in tokens.
    #[schemars(range(min = 1, max = 16777216))]
    pub sequence_length: u32,
    /// Probability of dropping activations in training: embeddings, attention and residuals in GPT-2 and
    /// BERT, attention in Llama.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f32,
    /// Whether the head is the token embedding; when not set, yes for GPT-2 and BERT, no for Llama.
    pub tie_word_embeddings: Option<bool>,
    /// The base of rotary positions (Llama).
    #[schemars(range(min = 1.0))]
    pub rope_theta: f64,
    /// Standard deviation of fresh weights; those that end a residual branch of a decoder get it divided
    /// by √(2·layers).
    #[schemars(range(min = 0.0, max = 10.0))]
    pub initializer_range: f32,
    /// Seeds fresh weights.
    pub seed: u64,
    /// Where to compute: `cpu`, `cuda:N` (a build with CUDA), or `auto`, the first CUDA device that works and else the CPU.
    pub device: String,
    /// What matrix products round their operands to: `f32` (`auto`) or `bf16`, which needs a CPU with dot products of
    /// bf16 and is `f32` elsewhere. Weights and their gradients are `f32` in any case.
    pub precision: String,
    /// How the weights of the layers of a model in `path` are kept: `f32`, or `bf16`, `int8` or `nf4` (QLoRA), which take
    /// less memory. Such weights do not train: an adapter beside them does, in `f32`, as do embeddings, norms, biases and
    /// heads that it names in `modules_to_save`. On the CPU only.
    pub base_dtype: BaseDtype,
    /// Written to `config.json` for those who generate elsewhere.
    pub bos_token_id: Option<u32>,
    /// Written to `config.json` for those who generate elsewhere.
    pub eos_token_id: Option<u32>,
    /// Written to `config.json` for those who generate elsewhere.
    pub pad_token_id: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: None,
            architecture: ArchitectureName::Gpt2,
            task: "auto".to_owned(),
            labels: None,
            label_names: Vec::new(),
            pooling: None,
            vocab_size: 1024,
            hidden_size: 128,
            layers: 4,
            heads: 4,
            kv_heads: None,
            intermediate_size: None,
            type_vocab_size: 2,
            sequence_length: 128,
            dropout: 0.0,
            tie_word_embeddings: None,
            rope_theta: 10_000.0,
            initializer_range: 0.02,
            seed: 0,
            device: "auto".to_owned(),
            precision: "f32".to_owned(),
            base_dtype: BaseDtype::F32,
            bos_token_id: None,
            eos_token_id: None,
            pad_token_id: None,
        }
    }
}

impl Settings {
    /// The precision that is asked for; the CPU may not have it.
    pub(crate) fn products(&self) -> Result<Precision> {
        match self.precision.as_str() {
            "auto" | "f32" => Ok(Precision::F32),
            "bf16" => Ok(Precision::Bf16),
            other => Err(Error::config(format!(
                "precision is {other:?}, which this model does not compute in"
            ))
            .hint("set precision to f32 or bf16")),
        }
    }

    /// The network that the settings describe.
    ///
    /// # Errors
    /// When the sizes do not fit together.
    pub(crate) fn network(&self) -> Result<NetworkConfig> {
        let architecture = match self.architecture {
            ArchitectureName::Gpt2 => Architecture::Gpt2,
            ArchitectureName::Llama => Architecture::Llama,
            ArchitectureName::Bert => Architecture::Bert,
        };
        let (llama, bert) = (
            architecture == Architecture::Llama,
            architecture == Architecture::Bert,
        );
        let (hidden, heads) = (self.hidden_size as usize, (self.heads as usize).max(1));
        let kv_heads = self.kv_heads.unwrap_or(self.heads) as usize;
        if !llama && kv_heads != heads {
            return Err(Error::config(format!(
                "kv_heads is {kv_heads}, but {} has as many as heads, {heads}",
                architecture.model_type()
            ))
            .hint("leave kv_heads out, or set architecture to llama"));
        }
        if !hidden.is_multiple_of(heads) {
            return Err(Error::config(format!(
                "hidden_size {hidden} does not divide into {heads} heads"
            ))
            .hint(format!(
                "set hidden_size to a multiple of heads, for example {}",
                hidden.next_multiple_of(heads)
            )));
        }
        let intermediate = match self.intermediate_size {
            Some(size) => size as usize,
            None if llama => (hidden * 8).div_ceil(3).next_multiple_of(32),
            None => 4 * hidden,
        };
        if bert && self.tie_word_embeddings == Some(false) {
            return Err(Error::config(
                "tie_word_embeddings is false, but bert's head is the token embedding",
            )
            .hint("leave tie_word_embeddings out"));
        }
        let mut other = Map::new();
        for (key, id) in [
            ("bos_token_id", self.bos_token_id),
            ("eos_token_id", self.eos_token_id),
            ("pad_token_id", self.pad_token_id),
        ] {
            // Left out, Transformers would take GPT-2's own 50256, which a small vocabulary does not have.
            other.insert(key.to_owned(), json!(id));
        }
        let config = NetworkConfig {
            architecture,
            vocab_size: self.vocab_size as usize,
            hidden_size: hidden,
            layers: self.layers as usize,
            heads: Heads {
                heads,
                kv_heads: kv_heads.max(1),
                head_size: hidden / heads,
            },
            intermediate_size: intermediate,
            max_positions: self.sequence_length as usize,
            norm_epsilon: match architecture {
                Architecture::Gpt2 => 1e-5,
                Architecture::Llama => 1e-6,
                Architecture::Bert => 1e-12,
            },
            type_vocab_size: if bert {
                self.type_vocab_size as usize
            } else {
                0
            },
            gelu: if bert { Form::Erf } else { Form::Tanh },
            rope_theta: self.rope_theta,
            attention_bias: !llama,
            mlp_bias: !llama,
            tied: self.tie_word_embeddings.unwrap_or(!llama),
            embedding_dropout: if llama { 0.0 } else { self.dropout },
            attention_dropout: self.dropout,
            residual_dropout: if llama { 0.0 } else { self.dropout },
            initializer_range: self.initializer_range,
            head: self.head(architecture)?,
            other,
        };
        config
            .check()
            .map_err(|why| Error::config(why).hint("correct the model's sizes"))?;
        Ok(config)
    }

    /// What the head of a new model needs to know.
    fn head(&self, architecture: Architecture) -> Result<HeadConfig> {
        let usual = if architecture == Architecture::Bert {
            Task::MaskedLm
        } else {
            Task::CausalLm
        };
        let task = Task::parse(&self.task, architecture)?.unwrap_or(usual);
        Ok(HeadConfig {
            task,
            labels: task::labels(task, self, None)?,
            classifier_dropout: self.dropout,
            pooling: self.pooling(architecture)?,
            max_tokens: self.sequence_length as usize,
            ..HeadConfig::default()
        })
    }

    /// How embeddings are pooled where no folder says it.
    ///
    /// # Errors
    /// When a decoder shall take the first token, which has seen nothing but itself.
    pub(crate) fn pooling(&self, architecture: Architecture) -> Result<Pooling> {
        match self.pooling {
            Some(PoolingName::Cls) if architecture != Architecture::Bert => {
                Err(Error::config(format!(
                    "pooling is cls, but the first token of {} sees only itself",
                    architecture.model_type()
                ))
                .hint("set pooling to mean"))
            }
            Some(PoolingName::Cls) => Ok(Pooling::Cls),
            Some(PoolingName::Mean) | None => Ok(Pooling::Mean),
        }
    }
}
