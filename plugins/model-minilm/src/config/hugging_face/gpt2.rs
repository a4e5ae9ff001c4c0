//! GPT-2's keys in `config.json`.

use codex_nn::attention::Heads;
use codex_nn::gelu::Form;
use codex_plugin_api::Result;
use serde_json::{Map, Value, json};

use super::precise;
use super::reader::Reader;
use crate::config::task::HeadConfig;
use crate::config::{Architecture, NetworkConfig};

/// A decoder from GPT-2's keys.
pub(super) fn read(reader: &Reader<'_>) -> Result<NetworkConfig> {
    reader.refuse_unless("scale_attn_weights", true, true)?;
    reader.refuse_unless("scale_attn_by_inverse_layer_idx", false, false)?;
    reader.refuse_unless("add_cross_attention", false, false)?;
    let hidden_size = reader.size("n_embd")?;
    let heads = reader.size("n_head")?;
    let activation = reader.word("activation_function", "gelu_new")?;
    let gelu = match activation {
        "gelu_new" | "gelu_pytorch_tanh" => Form::Tanh,
        "gelu" => Form::Erf,
        other => {
            return Err(reader.wrong("activation_function", &json!(other), "gelu_new or gelu"));
        }
    };
    Ok(NetworkConfig {
        architecture: Architecture::Gpt2,
        vocab_size: reader.size("vocab_size")?,
        hidden_size,
        layers: reader.size("n_layer")?,
        heads: Heads {
            heads,
            kv_heads: heads,
            head_size: hidden_size / heads,
        },
        intermediate_size: reader.optional_size("n_inner")?.unwrap_or(4 * hidden_size),
        max_positions: reader.size("n_positions")?,
        norm_epsilon: reader.number("layer_norm_epsilon", 1e-5)? as f32,
        type_vocab_size: 0,
        gelu,
        rope_theta: 10_000.0,
        attention_bias: true,
        mlp_bias: true,
        tied: reader.flag("tie_word_embeddings", true)?,
        embedding_dropout: reader.probability("embd_pdrop", 0.1)?,
        attention_dropout: reader.probability("attn_pdrop", 0.1)?,
        residual_dropout: reader.probability("resid_pdrop", 0.1)?,
        initializer_range: reader.number("initializer_range", 0.02)? as f32,
        head: HeadConfig::default(),
        other: Map::new(),
    })
}

/// Sets GPT-2's keys.
pub(super) fn write(config: &NetworkConfig, set: &mut dyn FnMut(&str, Value)) {
    set("n_embd", json!(config.hidden_size));
    set("n_layer", json!(config.layers));
    set("n_head", json!(config.heads.heads));
    set("n_positions", json!(config.max_positions));
    set("n_inner", json!(config.intermediate_size));
    set("layer_norm_epsilon", precise(config.norm_epsilon));
    set(
        "activation_function",
        json!(match config.gelu {
            Form::Tanh => "gelu_new",
            Form::Erf => "gelu",
        }),
    );
    set("embd_pdrop", precise(config.embedding_dropout));
    set("attn_pdrop", precise(config.attention_dropout));
    set("resid_pdrop", precise(config.residual_dropout));
}
